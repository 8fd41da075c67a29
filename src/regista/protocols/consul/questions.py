"""What a caller of health/service, catalog/service and their like asks for, and the answer to it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec

from regista.catalog import (
    CHECK_SERVICE_NODE_FIELDS,
    COORDINATES,
    FALLBACK_ANY,
    FALLBACK_WARNING,
    Available,
    Catalog,
    Instance,
    Lookup,
    Terms,
    degrading_topics,
    elsewhere_of,
    find_available,
    find_instances,
    panic_threshold,
    parse_range,
    service_topic,
)
from regista.model import BadInput
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import health_entry
from regista.protocols.consul.fields import NAME_CHARACTERS_MAX
from regista.protocols.consul.health_parts import HealthParts
from regista.protocols.consul.labels import Labelled, degraded_headers, has_marks, instance_headers
from regista.protocols.consul.parameters import FALLBACK, FILTER, META, NEAR, NODE_META, PASSING, TAG, VERSION
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
    pairs,
    read_options,
    required_argument,
    wants_passing,
)
from regista.protocols.http import Encoded, Request, Response, encode_json

QUESTION = (FILTER, NODE_META, NEAR, PASSING, TAG, META, VERSION, FALLBACK)
"""The parameters that decide which instances are in an answer, and in which order."""

_FALLBACKS_MAX = 8
"""Each is one more look-up, and one more thing to be woken for."""

_NAMES_KEPT = 4096
"""Of so many services it is remembered by which name their settings are told; 400 bytes each."""


def read_lookup(request: Request, options: ReadOptions, *, passing_only: bool = False) -> Lookup:
    """Which instances of the service in the path are wanted.

    Raises:
        BadInput: `version` is no range.
    """
    version = request.parameters.first("version")
    return Lookup(
        name=request.argument,
        tags=tuple(request.parameters.all("tag")),
        meta=pairs(request, "meta"),
        node_meta=options.node_meta,
        version=parse_range(version) if version else None,
        passing_only=passing_only,
        near=options.near,
    )


def read_fallbacks(request: Request) -> tuple[str, ...]:
    """What else would do, in order: `warning`, `any`, or the names of other services.

    Raises:
        BadInput: it is empty, too much, the service itself, or no name.
    """
    if "fallback" not in request.parameters:
        return ()
    wanted = [each.strip() for text in request.parameters.all("fallback") for each in text.split(",")]
    if len(wanted) > _FALLBACKS_MAX:
        raise BadInput(f"Invalid fallback: it names {len(wanted)}; at most {_FALLBACKS_MAX}", field="fallback")
    for each in wanted:
        if not each or not each.isprintable() or len(each) > NAME_CHARACTERS_MAX:
            raise BadInput(
                f"Invalid fallback: each is {FALLBACK_WARNING}, {FALLBACK_ANY} or the name of another service, of "
                f"at most {NAME_CHARACTERS_MAX} characters, parted by commas",
                field="fallback",
            )
        if each.lower() == request.argument.lower():
            raise BadInput(f"Invalid fallback: {each} is the service that is asked for", field="fallback")
    return tuple(dict.fromkeys(wanted))


class Search(msgspec.Struct, frozen=True):
    """A look-up by a service's name, as an endpoint makes it.

    Attributes:
        topic_of: what the instances of a name are told by.
        wide_topics: what the answer depends on where the names are not all that decides; () otherwise.
        lookups_for: the look-ups for a service, at this moment; None for the one look-up as it is.
        is_about_health: whether the answer tells of health, so that what is marked is told too.
    """

    lookup: Lookup
    fallbacks: tuple[str, ...]
    topic_of: Callable[[str], str] = service_topic
    wide_topics: tuple[str, ...] = ()
    lookups_for: Callable[[str], Sequence[Lookup]] | None = None
    is_about_health: bool = True

    def available(self, catalog: Catalog, terms: Terms) -> Available:
        """The instances that the caller gets."""
        return find_available(catalog, self.lookup.name, terms, lookups_for=self.lookups)

    def lookups(self, service: str) -> Sequence[Lookup]:
        """The look-ups for this service or another."""
        if self.lookups_for is not None:
            return self.lookups_for(service)
        return (self.lookup if service == self.lookup.name else elsewhere_of(self.lookup, service),)

    def wanted(self, catalog: Catalog) -> Iterator[Instance]:
        """All that would be found, were it well."""
        for lookup in self.lookups(self.lookup.name):
            yield from find_instances(catalog, msgspec.structs.replace(lookup, passing_only=False))


def answer_search(
    request: Request,
    context: Context,
    options: ReadOptions,
    search: Search,
    shape: Callable[[Instance], dict[str, Any]],
    *,
    parts: HealthParts | None = None,
) -> Response | Awaitable[Response]:
    """The answer to a look-up by a service's name.

    Args:
        shape: an instance as JSON values.
        parts: has the same, encoded.
    """
    lookup, catalog = search.lookup, context.catalog

    def find() -> Labelled | Encoded:
        if parts is not None and options.keeps is None and not options.is_pretty:
            return _encode_parts(context, search, parts)
        shown: dict[str, dict[str, Any]] = {}

        def keeps(instance: Instance) -> bool:
            entry = shown[instance.service.record.key] = shape(instance)
            return options.keeps is None or options.keeps(entry)

        terms = Terms(
            context.degrading.panic_threshold_percent,
            search.fallbacks,
            keeps if options.keeps is not None else None,
        )
        found = search.available(catalog, terms)
        headers = degraded_headers(found.findings)
        if search.is_about_health and has_marks(catalog):
            headers += instance_headers(catalog, search.wanted(catalog))
        return Labelled([shown.get(each.service.record.key) or shape(each) for each in found.instances], headers)

    topics = search.wide_topics or (search.topic_of(lookup.name),)
    standing_of = "" if search.wide_topics else topics[0]
    quiet_topics: tuple[str, ...] = ()
    if not search.wide_topics and (lookup.passing_only or search.fallbacks):
        quiet_topics = _quiet_topics(search)
    if options.near:
        topics = (*topics, COORDINATES)
    version = lookup.version.text if lookup.version else None
    return answer_view(
        request,
        context,
        options,
        topics=topics,
        find=find,
        key=f"{lookup.tags}{lookup.meta}{version}{lookup.passing_only}{search.fallbacks}",
        is_cacheable=True,
        quiet_topics=quiet_topics,
        standing_of=standing_of,
        is_lasting=True,
    )


def _encode_parts(context: Context, search: Search, parts: HealthParts) -> Encoded:
    """The answer to a look-up without a filter, put together from encoded instances."""
    lookup, catalog = search.lookup, context.catalog
    threshold_default = context.degrading.panic_threshold_percent
    is_plain = lookup == Lookup(name=lookup.name, passing_only=lookup.passing_only, near=lookup.near)
    if is_plain and not search.fallbacks and search.lookups_for is None and not has_marks(catalog):
        may_panic = lookup.passing_only and panic_threshold(catalog, lookup.name, default=threshold_default)
        if not may_panic:
            return parts.encode_all(lookup.name, passing_only=lookup.passing_only, near=lookup.near)
    found = search.available(catalog, Terms(threshold_default, search.fallbacks))
    headers = degraded_headers(found.findings)
    if has_marks(catalog):
        headers += instance_headers(catalog, search.wanted(catalog))
    return parts.encode(found.instances, headers)


def _quiet_topics(search: Search) -> tuple[str, ...]:
    """The settings of the services, and the other services themselves."""
    if not search.fallbacks:
        return _settings_topics(search.lookup.name)
    others = [each for each in search.fallbacks if each not in (FALLBACK_WARNING, FALLBACK_ANY)]
    settings = degrading_topics((search.lookup.name, *others)) if search.lookup.passing_only else ()
    return (*settings, *map(search.topic_of, others))


@functools.lru_cache(maxsize=_NAMES_KEPT)
def _settings_topics(service: str) -> tuple[str, ...]:
    return degrading_topics((service,))


@dataclasses.dataclass(frozen=True, slots=True)
class HealthQuestion:
    """What health/service answers.

    Attributes:
        filter_text: the expression that entries of the answer must meet besides; "" for none.
    """

    search: Search
    filter_text: str
    _options: ReadOptions
    _context: Context

    @property
    def lookup(self) -> Lookup:
        """By name, tags and so on."""
        return self.search.lookup

    def keeps(self, catalog: Catalog, instance: Instance) -> bool:
        """Whether the entry of an instance meets the filter."""
        keeps = self._options.keeps
        return keeps is None or keeps(health_entry(catalog, instance, self._context.identity.datacenter))

    def available(self, catalog: Catalog) -> Available:
        """The instances in the answer, and why they are not just what was asked for."""
        terms = Terms(
            self._context.degrading.panic_threshold_percent,
            self.search.fallbacks,
            lambda instance: self.keeps(catalog, instance),
        )
        return self.search.available(catalog, terms)


def read_health_question(request: Request, context: Context) -> HealthQuestion:
    """What a request with the path and parameters of health/service asks for.

    Raises:
        BadInput: a parameter has a value that it can't have.
        NotFound: another datacenter is asked for.
    """
    required_argument(request, "Missing service name")
    options = read_options(request, context, CHECK_SERVICE_NODE_FIELDS)
    lookup = read_lookup(request, options, passing_only=wants_passing(request))
    search = Search(lookup, read_fallbacks(request))
    return HealthQuestion(search, request.parameters.first("filter"), options, context)


def encode_instance(context: Context, instance: Instance) -> bytes:
    """An entry of health/service, as JSON."""
    return encode_json(health_entry(context.catalog, instance, context.identity.datacenter))


def label_answer(context: Context, topic: str, is_empty: bool) -> str:  # noqa: FBT001 - see the native door
    """How far an answer about health can be relied on: the value of `X-Regista-Answer`."""
    return ", ".join(value for _, value in context.standing.label(topic, is_empty=is_empty))


def answer_read(
    request: Request,
    context: Context,
    *,
    topics: tuple[str, ...],
    find: Callable[[], Any],
    key: str,
) -> Response | Awaitable[Response]:
    """The answer to a read of another door's, with the headers, consistency and waiting of every read."""
    options = read_options(request, context)
    return answer_view(request, context, options, topics=topics, find=find, key=key)
