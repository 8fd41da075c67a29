"""What every read has in common: parameters, consistency, waiting, headers.

Source: Consul 1.9, "features" of its API (behaviour), see `docs/reference/consul-compatibility.md`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from regista.catalog import Filter, FilterFields, parse_filter
from regista.model import BadInput, NotFound, parse_duration_s
from regista.protocols.consul.caching import must_revalidate
from regista.protocols.consul.context import Context
from regista.protocols.consul.labels import Labelled
from regista.protocols.http import (
    Answer,
    Encoded,
    Headers,
    Lasting,
    Request,
    Response,
    View,
    encode_json,
    text_response,
)

JSON = "application/json"

Pair = tuple[str, str]

_INDEX_DIGITS_MAX = 20
assert len(str(2**64 - 1)) == _INDEX_DIGITS_MAX

_EMPTY_BODIES = (b"[]", b"[]\n")
_EMPTY_BYTES_MAX = max(len(body) for body in _EMPTY_BODIES)

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class ReadOptions(msgspec.Struct, frozen=True):
    """The parameters that catalog and health reads share.

    Attributes:
        after_index: 0 to answer at once; otherwise wait for a change after it.
        wait_s: how long at the most.
        consistency: `leader`, `stale` or `consistent`, as the answer's header says it.
        is_cached: whether an answer out of the agent's cache would do, where there is one.
        is_anew: whether the caller wants it not out of a cache, whatever else it says.
        near: the node to sort by, `_agent` resolved; "" for none.
        keeps: whether the caller wants an entry of the answer, by its filter; None without a filter.
        key: the part of a view's key that these parameters make up.
    """

    after_index: int
    wait_s: float
    consistency: str
    is_cached: bool
    is_anew: bool
    near: str
    node_meta: tuple[Pair, ...]
    is_pretty: bool
    keeps: Filter | None
    key: str


def read_options(
    request: Request, context: Context, fields: FilterFields | None = None, *, is_namespaced: bool = True
) -> ReadOptions:
    """The shared parameters of a read.

    Args:
        fields: what the entries of the answer have that a filter can ask for; None where a filter has no meaning,
            and is passed over as Consul does.
        is_namespaced: False where Consul passes over a namespace, as nodes and datacenters have none.

    Raises:
        BadInput: a parameter has a value that it can't have.
        NotFound: another datacenter is asked for.
    """
    parameters = request.parameters
    if is_namespaced:
        refuse_namespaces(request)
    check_datacenter(parameters.first("dc"), context)
    is_stale = "stale" in parameters or _is_max_stale(parameters.first("max_stale"))
    is_consistent = "consistent" in parameters
    if is_stale and is_consistent:
        raise BadInput("Cannot specify ?stale with ?consistent, conflicting semantics.", field="consistent")
    is_cached = "cached" in parameters
    if is_cached and is_consistent:
        raise BadInput("Cannot specify ?cached with ?consistent, conflicting semantics.", field="consistent")
    cache_control = request.headers.get("Cache-Control", "")
    is_anew = bool(cache_control) and must_revalidate(cache_control)
    near = parameters.first("near")
    if near == "_agent":
        near = context.identity.node_name
    node_meta = pairs(request, "node-meta")
    is_pretty = "pretty" in parameters
    expression = parameters.first("filter") if fields is not None else ""
    return ReadOptions(
        after_index=_index(parameters.first("index")),
        wait_s=_wait_s(parameters.first("wait"), context),
        consistency="consistent" if is_consistent else "stale" if is_stale else "leader",
        is_cached=is_cached,
        is_anew=is_anew,
        near=near,
        node_meta=node_meta,
        is_pretty=is_pretty,
        keeps=parse_filter(expression, fields) if expression and fields is not None else None,
        # As Python writes them, so that no text can pass for another question's parts, whatever characters it has.
        key=f"{near!r}{node_meta}{is_pretty}{expression!r}"
        if near or node_meta or is_pretty or expression
        else "",
    )


def kept(options: ReadOptions, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of an answer that the caller's filter lets through."""
    return list(entries) if options.keeps is None else [entry for entry in entries if options.keeps(entry)]


def answer_view(
    request: Request,
    context: Context,
    options: ReadOptions,
    *,
    topics: tuple[str, ...],
    find: Callable[[], Any],
    key: str = "",
    missing: str | None = None,
    is_cacheable: bool = False,
    quiet_topics: tuple[str, ...] = (),
    standing_of: str | None = None,
    is_lasting: bool = False,
) -> Response | Awaitable[Response]:
    """The answer to a read: at once, or when it changes.

    Args:
        topics: what the answer depends on.
        find: the answer as JSON values, `Labelled`, or `Encoded` already.
        quiet_topics: what it depends on besides, see `View`.
        standing_of: the topic of what was asked for ("" without one), if the answer is to say how far it can be
            relied on.
        key: what distinguishes this question from others of the same path and shared parameters.
        missing: the text of a 404 that is answered instead of null; None where null is an answer as any other.
        is_cacheable: whether Consul's agent would keep the answer for callers who say `cached`.
        is_lasting: whether the same request has these topics whatever the replica holds, so that its response may
            be given again while they stay as they are.
    """
    if is_cacheable and options.is_cached:
        return _cached(
            request,
            context,
            options,
            topics=topics,
            find=find,
            key=key,
            missing=missing,
            quiet_topics=quiet_topics,
            standing_of=standing_of,
        )
    view = View(
        key=f"{request.path}\x00{options.key}\x00{key}",
        topics=topics + quiet_topics,
        encode=lambda: _encoded(find(), options),
        quiet_topics=quiet_topics,
    )
    if options.after_index or options.consistency == "consistent":
        return _answer_later(request, context, options, view, missing=missing, standing_of=standing_of)
    answer = context.answers.get(view)
    lasting_topics = view.topics if is_lasting else ()
    return _response(
        context, answer, options, missing=missing, standing_of=standing_of, lasting_topics=lasting_topics
    )


def _encoded(found: Any, options: ReadOptions) -> bytes | Encoded:
    if isinstance(found, Encoded):
        return found
    if isinstance(found, Labelled):
        return Encoded(encode_json(found.value, pretty=options.is_pretty), found.headers)
    return encode_json(found, pretty=options.is_pretty)


def _cached(
    request: Request, context: Context, options: ReadOptions, **question: Any
) -> Response | Awaitable[Response]:
    """The answer, with the headers that say how Consul's cache would have it."""
    asked = f"{request.path}\x00{options.near!r}{options.node_meta}{request.parameters.first('filter')!r}"
    headers = context.cached_questions.ask(f"{asked}\x00{question['key']}")
    # A caller of the cache hears that of whoever filled it.
    uncached = msgspec.structs.replace(options, is_cached=False, consistency="leader")
    answering = answer_view(request, context, uncached, **question)

    def labelled(response: Response) -> Response:
        # Another response than the one that is kept: the next who asks may be told something else.
        all_headers = (*response.headers, *headers)
        return msgspec.structs.replace(response, headers=all_headers, forms=None, lasting=None)

    async def later(answering: Awaitable[Response]) -> Response:
        return labelled(await answering)

    return labelled(answering) if isinstance(answering, Response) else later(answering)


async def _answer_later(
    request: Request,
    context: Context,
    options: ReadOptions,
    view: View,
    *,
    missing: str | None,
    standing_of: str | None,
) -> Response:
    answer = await later_answer(context, options, view, request)
    return _response(context, answer, options, missing=missing, standing_of=standing_of)


async def later_answer(
    context: Context, options: ReadOptions, view: View, request: Request | None = None
) -> Answer:
    """The answer to a read that waits, or that wants every write acknowledged before.

    Args:
        request: whose client is noted among those that follow the view.
    """
    if options.consistency == "consistent":
        await context.writer.barrier()
    if not options.after_index:
        return context.answers.get(view)
    wait_s = options.wait_s * (1 + context.wait_jitter() / 16)
    return await context.answers.wait(view, after_index=options.after_index, wait_s=wait_s, request=request)


def _response(
    context: Context,
    answer: Answer,
    options: ReadOptions,
    *,
    missing: str | None,
    standing_of: str | None,
    lasting_topics: tuple[str, ...] = (),
) -> Response:
    """The response that is made of an answer: the same one again for all who are to be told the same.

    Args:
        lasting_topics: what a response depends on that may be given again; () for any other.
    """
    if missing is not None and answer.body.rstrip() == b"null":
        return text_response(404, missing, index_headers(context, answer.index, options.consistency))
    standing = context.standing
    stale_s = standing.stale_s()
    label: Headers = ()
    tally = None
    if standing_of is not None:
        is_empty = len(answer.body) <= _EMPTY_BYTES_MAX and answer.body in _EMPTY_BODIES
        label = standing.label(standing_of, is_empty=is_empty, headers=answer.headers)
        tally = standing.tally(label, answer.headers)
    if stale_s is not None or (standing_of is not None and tally is None):
        # What it says of itself is another thing in a moment.
        headers = _index_headers(answer.index, options.consistency, stale_s) + answer.headers + label
        return Response(200, answer.body, JSON, headers, answer.gzipped)
    key = options.consistency, label, bool(lasting_topics)
    response = answer.responses.get(key)
    if response is None:
        headers = _index_headers(answer.index, options.consistency, stale_s) + answer.headers + label
        lasting = None
        if lasting_topics and answer.version:
            lasting = Lasting(lasting_topics, answer.version, standing.is_steady, tally)
        response = Response(200, answer.body, JSON, headers, answer.gzipped, forms={}, lasting=lasting)
        answer.responses[key] = response
    return response


def index_headers(context: Context, index: int, consistency: str) -> Headers:
    """The headers of every read that has an index, for an answer of now.

    Args:
        consistency: as the caller wants it; what may lack something is `stale`, whatever was wanted.
    """
    return _index_headers(index, consistency, context.standing.stale_s())


def _index_headers(index: int, consistency: str, stale_s: float | None) -> Headers:
    """As above, for an answer in which something may be missing for so long."""
    return (
        ("X-Consul-Index", str(index)),
        *contact_headers(stale_s),
        ("X-Consul-Effective-Consistency", consistency if stale_s is None else "stale"),
    )


def contact_headers(stale_s: float | None) -> Headers:
    """The headers of every read from the replica, for an answer in which something may be missing for so long."""
    return (
        ("X-Consul-Knownleader", "true"),
        ("X-Consul-Lastcontact", "0" if stale_s is None else str(int(stale_s * 1000))),
    )


def contact_fields(consistency: str, stale_s: float | None) -> dict[str, Any]:
    """The same in a body, where Consul says it there too; the time is in nanoseconds."""
    return {
        "Index": 0,
        "LastContact": 0 if stale_s is None else int(stale_s * 1_000_000_000),
        "KnownLeader": True,
        "ConsistencyLevel": consistency if stale_s is None else "stale",
        "NotModified": False,
    }


def json_response(request: Request, value: Any, headers: Headers = ()) -> Response:
    """A response without an index."""
    return Response(200, encode_json(value, pretty="pretty" in request.parameters), JSON, headers)


def wants_passing(request: Request) -> bool:
    """Whether only passing instances are asked for.

    Raises:
        BadInput: `passing` has a value that is no boolean.
    """
    if "passing" not in request.parameters:
        return False
    value = request.parameters.first("passing")
    is_wanted = True if value == "" else truth_of(value)
    if is_wanted is not None:
        return is_wanted
    raise BadInput("Invalid value for ?passing: it must be true or false, or stand alone", field="passing")


def truth_of(text: str) -> bool | None:
    """What a boolean parameter says, in Go's spellings; None for anything else."""
    return True if text in _TRUE else False if text in _FALSE else None


def pairs(request: Request, name: str) -> tuple[Pair, ...]:
    """Key and value of each `name=key:value`; of the same key the last one counts."""
    found = {}
    for text in request.parameters.all(name):
        key, _, value = text.partition(":")
        found[key] = value
    return tuple(found.items())


def refuse_namespaces(request: Request) -> None:
    """Does nothing unless a namespace is named, which neither Regista nor the open Consul has."""
    if request.parameters.first("ns"):
        raise BadInput(
            'Bad request: Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature', field="ns"
        )
    if request.headers.get("X-Consul-Namespace"):
        raise BadInput(
            'Bad request: Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature',
            field="X-Consul-Namespace",
        )


def check_datacenter(name: str, context: Context) -> None:
    """Does nothing if it is this one, or none is named."""
    if name and name.lower() != context.identity.datacenter:
        raise NotFound(f'No path to datacenter "{name}"; this agent knows {context.identity.datacenter}')


def required_argument(request: Request, problem: str) -> str:
    """What follows the route's path.

    Raises:
        BadInput: nothing does.
    """
    if not request.argument:
        raise BadInput(problem)
    return request.argument


def _index(text: str) -> int:
    if not text:
        return 0
    digits = text.lstrip("0") or "0"
    # Counted before they are read: Python refuses some thousand digits with an error of its own.
    if not text.isascii() or not text.isdigit() or len(digits) > _INDEX_DIGITS_MAX or int(digits) >= 2**64:
        raise BadInput("Invalid index: it must be a whole number, as X-Consul-Index gave it", field="index")
    return int(digits)


def _is_max_stale(text: str) -> bool:
    """Whether any age of the answer above none is allowed."""
    if not text:
        return False
    try:
        return parse_duration_s(text) > 0
    except ValueError as error:
        raise BadInput(
            f'Invalid max_stale value "{text}": write it as 10s, 1m30s or 500ms', field="max_stale"
        ) from error


def _wait_s(text: str, context: Context) -> float:
    settings = context.settings
    if not text:
        return settings.wait_default_s
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise BadInput("Invalid wait time: write it as 10s, 1m30s or 500ms", field="wait") from error
    return min(seconds, settings.wait_max_s) if seconds > 0 else settings.wait_default_s
