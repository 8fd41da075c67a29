"""/v1/kv/…: keys with their values, and the locks on them.

Source: Consul 1.9 (behaviour); the headers of `raw` are those of 1.9.5.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn
from urllib.parse import parse_qsl, urlencode

from regista.catalog import (
    Catalog,
    KvStep,
    acquire_key,
    delete_key,
    delete_key_at,
    delete_keys,
    plan_kv,
    release_key,
    set_key,
    set_key_at,
)
from regista.model import BadInput, KvEntry, TooLarge, Transaction
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode_kv import kv_object
from regista.protocols.consul.parameters import AT, DC, NS, PRETTY, READ
from regista.protocols.consul.past import at_any_time
from regista.protocols.consul.reads import (
    JSON,
    ReadOptions,
    check_datacenter,
    index_headers,
    json_response,
    later_answer,
    read_options,
    refuse_namespaces,
)
from regista.protocols.http import (
    REASON,
    Answer,
    Headers,
    Parameter,
    Request,
    Response,
    Route,
    View,
    encode_json,
    request_cause,
)

_HELP = "https://www.consul.io/docs/agent/options.html"

_RAW_HEADERS: Headers = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox"),
)
"""A value is whatever somebody put there; no browser shall run it."""

_FLAG_DIGITS_MAX = 20
assert len(str(2**64 - 1)) == _FLAG_DIGITS_MAX

_RECURSE = Parameter("recurse", "All keys that begin so; it counts by being there.", "boolean")
_CAS = Parameter("cas", "Only if the key was last changed at this index; 0: only if it is not there.", "integer")

_GET = (
    *READ,
    AT,
    Parameter("raw", "The value's bytes alone.", "boolean"),
    _RECURSE,
    Parameter("keys", "The keys alone, of all that begin so.", "boolean"),
    Parameter("separator", "With `keys`: cuts each key behind the first of these after the beginning."),
)
_PUT = (
    DC,
    NS,
    PRETTY,
    REASON,
    Parameter("flags", "A number of 64 bits that means something to clients; 0 if it is left out.", "integer"),
    _CAS,
    Parameter("acquire", "Locks the key for this session."),
    Parameter("release", "Lets go of this session's lock."),
)
_DELETE = (DC, NS, PRETTY, REASON, _RECURSE, _CAS)


class Kv:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def context(self) -> Context:
        """What it was made with."""
        return self._context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        path = "/v1/kv/"
        return (
            Route(
                "GET",
                path,
                at_any_time(self, Kv.get),
                "A key with its value, or all that begin so",
                argument="key",
                parameters=_GET,
                access="key:read",
                is_replicated=True,
                parts_at_escapes=True,
            ),
            Route(
                "PUT",
                path,
                self.put,
                "Writes a key, if it may be",
                argument="key",
                parameters=_PUT,
                access="key:write",
                body="bytes",
                parts_at_escapes=True,
            ),
            Route(
                "DELETE",
                path,
                self.delete,
                "Deletes a key, or all that begin so",
                argument="key",
                parameters=_DELETE,
                access="key:write",
                parts_at_escapes=True,
            ),
        )

    # ---- reading ----

    def get(self, request: Request) -> Response | Awaitable[Response]:
        """GET kv/{key}: the key, all that begin so, or their names; 404 if there is none."""
        options = read_options(request, self._context)
        parameters = request.parameters
        key = request.argument
        if "keys" in parameters:
            name = "separator" if "separator" in parameters else "seperator"  # clients write both
            return self._names(options, key, parameters.first(name))
        if "recurse" in parameters:
            return self._below(options, key)
        if not key:
            raise _missing_key()
        return self._raw(options, key) if "raw" in parameters else self._one(options, key)

    def _one(self, options: ReadOptions, key: str) -> Response | Awaitable[Response]:
        shelf = self._context.catalog.kv

        def encode() -> bytes:
            entry = shelf.entries.get(key)
            return encode_json([kv_object(entry)], pretty=options.is_pretty) if entry else b""

        view = View(f"kv\x00{options.key}\x00{key}", (shelf.key_topic(key),), encode, lambda: shelf.index_of(key))
        return self._answer(options, view, _json_or_nothing)

    def _raw(self, options: ReadOptions, key: str) -> Response | Awaitable[Response]:
        shelf = self._context.catalog.kv

        def encode() -> bytes:
            # The sign in front tells an empty value from none.
            entry = shelf.entries.get(key)
            return b"=" + entry.record.value if entry else b""

        def respond(answer: Answer, headers: Headers) -> Response:
            if not answer.body:
                return Response(404, headers=headers)
            return Response(200, answer.body[1:], "text/plain", (*headers, *_RAW_HEADERS))

        view = View(f"kv raw\x00{key}", (shelf.key_topic(key),), encode, lambda: shelf.index_of(key))
        return self._answer(options, view, respond)

    def _below(self, options: ReadOptions, prefix: str) -> Response | Awaitable[Response]:
        shelf = self._context.catalog.kv

        def encode() -> bytes:
            found = [kv_object(entry) for entry in shelf.below(prefix)]
            return encode_json(found, pretty=options.is_pretty) if found else b""

        view = View(
            f"kv recurse\x00{options.key}\x00{prefix}",
            (shelf.prefix_topic(prefix),),
            encode,
            lambda: shelf.index_below(prefix),
        )
        return self._answer(options, view, _json_or_nothing)

    def _names(self, options: ReadOptions, prefix: str, separator: str) -> Response | Awaitable[Response]:
        shelf = self._context.catalog.kv

        def encode() -> bytes:
            found = shelf.names_below(prefix, separator)
            return encode_json(found, pretty=options.is_pretty) if found or not prefix else b""

        view = View(
            f"kv keys\x00{options.key}\x00{separator!r}\x00{prefix}",
            (shelf.prefix_topic(prefix),),
            encode,
            lambda: shelf.index_below(prefix),
        )
        return self._answer(options, view, _json_or_nothing)

    def _answer(
        self, options: ReadOptions, view: View, respond: Callable[[Answer, Headers], Response]
    ) -> Response | Awaitable[Response]:
        context = self._context

        async def later() -> Response:
            answer = await later_answer(context, options, view)
            return respond(answer, index_headers(context, answer.index, options.consistency))

        if options.after_index or options.consistency == "consistent":
            return later()
        answer = context.answers.get(view)
        return respond(answer, index_headers(context, answer.index, options.consistency))

    # ---- writing ----

    async def put(self, request: Request) -> Response:
        """PUT kv/{key}: whether it was written; `false` is the answer of a lost race, not an error."""
        parameters = request.parameters
        key = self._key(request)
        _refuse_conflicts(request, ("cas", "acquire", "release"))
        flags = _unsigned(request, "flags")
        index = _unsigned(request, "cas")
        session = (parameters.first("acquire") or parameters.first("release")).lower()
        value = await self._value(request)
        wanted = KvEntry(key=key, value=value, flags=flags or 0)
        if index is not None:
            return await self._write(request, lambda draft: set_key_at(draft, wanted, index))
        if "acquire" in parameters:
            locked = KvEntry(key=key, value=value, flags=flags or 0, session=session)
            return await self._write(request, lambda draft: acquire_key(draft, locked, self._context.lock_delays))
        if "release" in parameters:
            locked = KvEntry(key=key, value=value, flags=flags or 0, session=session)
            return await self._write(request, lambda draft: release_key(draft, locked))
        return await self._write(request, lambda draft: set_key(draft, wanted))

    async def delete(self, request: Request) -> Response:
        """DELETE kv/{key}: whether it is gone; `false` if `cas` names another index."""
        if "recurse" in request.parameters:
            prefix = self._key(request, may_be_empty=True)
            _refuse_conflicts(request, ("recurse", "cas"))
            return await self._write(request, lambda draft: delete_keys(draft, prefix))
        key = self._key(request)
        index = _unsigned(request, "cas")
        if index is not None:
            return await self._write(request, lambda draft: delete_key_at(draft, key, index))
        return await self._write(request, lambda draft: delete_key(draft, key))

    async def _write(self, request: Request, step: KvStep) -> Response:
        """Makes the step; `true` or `false`."""
        context = self._context
        cause = request_cause(request)
        is_done = False

        def plan(catalog: Catalog) -> Transaction:
            nonlocal is_done
            is_done, transaction = plan_kv(catalog, step)
            return transaction

        try:
            await context.writer.write(plan, cause=cause)
        except BadInput:
            is_done = False
        if not is_done:
            # Refused on what this replica knows; it may be behind what another server has acknowledged.
            await context.writer.barrier()
            await context.writer.write(plan, cause=cause)
        return json_response(request, is_done)

    def _key(self, request: Request, *, may_be_empty: bool = False) -> str:
        """The key in the path.

        Raises:
            BadInput: there is none, or it is too long.
        """
        refuse_namespaces(request)
        check_datacenter(request.parameters.first("dc"), self._context)
        key = request.argument
        if not key and not may_be_empty:
            raise _missing_key()
        refuse_long_key(key, self._context)
        return key

    async def _value(self, request: Request) -> bytes:
        """The body.

        Raises:
            TooLarge: it is over the limit, in Consul's words.
        """
        most = self._context.kv_settings.value_bytes_max
        return await read_body(request, bytes_max=most, limit="kv.value_bytes_max", setting="kv_max_value_size")


async def read_body(request: Request, *, bytes_max: int, limit: str, setting: str) -> bytes:
    """The body of a request.

    Args:
        limit: the setting's name.
        setting: what Consul calls the limit.

    Raises:
        TooLarge: it is over the limit, in Consul's words.
    """
    told = request.headers.get("Content-Length", "")
    size = f"({told} bytes)" if told.isdigit() else ""
    problem = f"Request body{size} too large, max size: {bytes_max} bytes. See {_HELP}#{setting}."
    if size and int(told) > bytes_max:
        raise TooLarge(problem, limit_bytes=bytes_max, limit=limit, used=int(told))
    try:
        return await request.body(bytes_max)
    except TooLarge as error:
        raise TooLarge(problem, limit_bytes=bytes_max, limit=limit, used=error.used) from error


def refuse_long_key(key: str, context: Context) -> None:
    """Does nothing unless the key is longer than the limit.

    Raises:
        BadInput: it is.
    """
    most = context.kv_settings.key_bytes_max
    size = len(key.encode())
    if size > most:
        raise BadInput(f"the key has {size} bytes; at most {most} (kv.key_bytes_max)", field="key")


def _missing_key() -> BadInput:
    return BadInput("Missing key name", field="key")


def _json_or_nothing(answer: Answer, headers: Headers) -> Response:
    if not answer.body:
        return Response(404, headers=headers)
    return Response(200, answer.body, JSON, headers, answer.gzipped)


def _refuse_conflicts(request: Request, names: tuple[str, ...]) -> None:
    if sum(name in request.parameters for name in names) > 1:
        pairs = sorted(parse_qsl(request.parameters.text, keep_blank_values=True), key=lambda pair: pair[0])
        raise BadInput(f"Conflicting flags: {urlencode(pairs)}", field=names[0])


def _unsigned(request: Request, name: str) -> int | None:
    """The parameter as a number of 64 bits without sign; None if it is not there.

    Raises:
        BadInput: it is no such number, in the words of Go's `strconv.ParseUint`.
    """
    if name not in request.parameters:
        return None
    text = request.parameters.first(name)
    if not text.isascii() or not text.isdigit():
        _refuse_number(name, text, "invalid syntax")
    digits = text.lstrip("0") or "0"
    if len(digits) > _FLAG_DIGITS_MAX or int(digits) >= 2**64:
        _refuse_number(name, text, "value out of range")
    return int(digits)


def _refuse_number(name: str, text: str, problem: str) -> NoReturn:
    raise BadInput(
        f'strconv.ParseUint: parsing "{text[:100]}": {problem}; {name} is a whole number from 0 to 2^64-1',
        field=name,
    )
