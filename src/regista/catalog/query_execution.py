"""Finding a prepared query by what a caller calls it, and answering it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from regista.catalog.degrading import Available, is_withdrawn, panic_threshold, share_out
from regista.catalog.distance import distance_from
from regista.catalog.queries import Instance
from regista.catalog.query_templates import Template
from regista.catalog.replica import Catalog
from regista.model import CRITICAL, PASSING, BadInput, Check, Entry, PreparedQuery, query_name_key

Shuffle = Callable[[list[Instance]], None]

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether it is written as the ids of queries are."""
    return _UUID.fullmatch(text) is not None


def find_query(catalog: Catalog, id_or_name: str) -> Entry[PreparedQuery] | None:
    """The query that is meant, a template rendered for the name: by id, by exact name, by the longest prefix.

    Raises:
        BadInput: a template is asked for by its id, or comes to nothing for this name.
    """
    if is_uuid(id_or_name):
        found = catalog.queries.entries.get(id_or_name.lower())
        if found is not None and found.record.template_type:
            raise BadInput("prepared query templates can only be resolved up by name, not by ID")
        if found is not None:
            return found
    owner = catalog.query_names.get(query_name_key(id_or_name)) if id_or_name else None
    found = catalog.queries.entries.get(owner.record.query) if owner else catalog.queries.template_for(id_or_name)
    if found is None or not found.record.template_type:
        return found
    rendered = Template(found.record).render(id_or_name)
    return Entry(rendered, found.create_index, found.modify_index)


def answer_query(
    catalog: Catalog,
    query: PreparedQuery,
    *,
    near: str = "",
    limit: int = 0,
    shuffle: Shuffle,
    threshold_default: float = 0.0,
) -> Available:
    """The instances that a query asks for, in random order, or by distance from `near`.

    What the query calls usable (not critical, or passing) is what counts for the panic threshold.

    Args:
        near: a node's name; "" for none.
        limit: how many at the most; 0 for all.
        shuffle: puts a list in random order.
        threshold_default: the panic threshold of a service that has none of its own, in percent.

    Source: Consul 1.9, query/execute (behaviour).
    """
    group = catalog.service_indexes.by_name.get(query.service.lower())
    if group is None:
        return Available([])
    ignored = frozenset(query.ignore_check_ids or ())
    wanted, unwanted = _wanted_tags(query.tags or ())
    candidates = []
    for entry in group.ordered():
        service = entry.record
        if not _has_pairs(service.meta, query.service_meta):
            continue
        tags = {tag.lower() for tag in service.tags}
        if not wanted <= tags or unwanted & tags:
            continue
        node = catalog.nodes.get(service.node.lower())
        if not _has_pairs(node.record.meta if node else None, query.node_meta):
            continue
        candidates.append(Instance(entry, node, tuple(catalog.check_entries(service))))
    available = share_out(
        candidates,
        lambda each: _is_usable(each.checks, ignored, only_passing=query.only_passing),
        threshold=panic_threshold(catalog, query.service, default=threshold_default),
        withdrawn=lambda each: is_withdrawn(check for check in each.checks if check.record.id not in ignored),
    )
    found = available.instances
    shuffle(found)
    if near:
        distance = distance_from(catalog.coordinates, near)
        found.sort(key=lambda instance: distance(instance.service.record.node))
    return Available(found[:limit] if limit > 0 else found, available.findings)


def _wanted_tags(tags: Iterable[str]) -> tuple[set[str], set[str]]:
    """The tags that an instance must have, and those that it must not have, in small letters."""
    wanted, unwanted = set(), set()
    for tag in tags:
        if tag.startswith("!"):
            unwanted.add(tag[1:].lower())
        else:
            wanted.add(tag.lower())
    return wanted, unwanted


def _is_usable(checks: Iterable[Entry[Check]], ignored: frozenset[str], *, only_passing: bool) -> bool:
    statuses = [entry.record.status for entry in checks if entry.record.id not in ignored]
    if only_passing:
        return all(status == PASSING for status in statuses)
    return CRITICAL not in statuses


def _has_pairs(meta: dict[str, str] | None, pairs: dict[str, str] | None) -> bool:
    return not pairs or (meta is not None and all(meta.get(key) == value for key, value in pairs.items()))
