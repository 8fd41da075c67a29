"""/v1/session/…: who holds locks, and for how long.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from regista.catalog import SESSIONS, create_session, destroy_session, session_key, session_topic
from regista.model import (
    LOCK_DELAY_S,
    BadInput,
    NotFound,
    Session,
    SessionBehavior,
    SessionCheck,
    format_duration,
    parse_duration_s,
)
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode_kv import session_object
from regista.protocols.consul.fields import (
    DURATION_S_MAX,
    Fields,
    duration_s,
    list_of,
    name,
    object_of,
    read_object,
)
from regista.protocols.consul.parameters import DC, NS, PRETTY, READ
from regista.protocols.consul.reads import (
    answer_view,
    check_datacenter,
    json_response,
    read_options,
    refuse_namespaces,
    required_argument,
)
from regista.protocols.http import REASON, Request, Response, Route, decode_json, request_cause

_MISSING = "Missing session"
_NODE_ALIVE = "serfHealth"
_TTL_S_MAX = 86400.0
_CHECKS_MAX = 64
_SECONDS_BELOW_NS = 1000
"""A lock-delay of fewer nanoseconds is taken for one in seconds: clients wrote numbers of seconds (Consul 1.9)."""

_WRITE = (DC, NS, PRETTY, REASON)


def _lock_delay_s(value: Any, path: str) -> float:
    if isinstance(value, str):
        try:
            seconds = parse_duration_s(value)
        except ValueError as error:
            raise BadInput(
                f"Request decode failed: {error}; write LockDelay as 15s or 500ms", field="LockDelay"
            ) from error
    else:
        seconds = duration_s(value, path)
    nanoseconds = seconds * 1e9
    return min(nanoseconds if nanoseconds < _SECONDS_BELOW_NS else seconds, DURATION_S_MAX)


_CHECK_LIST = list_of(name, "[]string", _CHECKS_MAX)

_FIELDS: Fields = {
    "Name": name,
    "Node": name,
    "LockDelay": _lock_delay_s,
    "TTL": name,
    "Behavior": name,
    "NodeChecks": _CHECK_LIST,
    "ServiceChecks": list_of(object_of({"ID": name, "Namespace": name}), "[]ServiceCheck", _CHECKS_MAX),
    "Checks": _CHECK_LIST,
}
_FOLDED = frozenset(field.lower() for field in _FIELDS)


class Sessions:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/session/create",
                self.create,
                "Begins a session",
                parameters=_WRITE,
                access="session:write",
                body="json",
            ),
            Route(
                "PUT",
                "/v1/session/destroy/",
                self.destroy,
                "Ends a session, and lets go of its keys",
                argument="session_id",
                parameters=_WRITE,
                access="session:write",
            ),
            Route(
                "PUT",
                "/v1/session/renew/",
                self.renew,
                "Begins a session's TTL anew",
                argument="session_id",
                parameters=(DC, NS, PRETTY),
                access="session:write",
                load="renewal",
            ),
            Route(
                "GET",
                "/v1/session/info/",
                self.info,
                "One session",
                argument="session_id",
                parameters=READ,
                access="session:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/session/node/",
                self.node,
                "The sessions of a node",
                argument="node",
                parameters=READ,
                access="session:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/session/list",
                self.list,
                "All sessions",
                parameters=READ,
                access="session:read",
                load="list",
                is_replicated=True,
            ),
        )

    async def create(self, request: Request) -> Response:
        """PUT session/create: the new session's id."""
        context = self._context
        self._check(request)
        body = await request.body(context.settings.body_bytes_max)
        session = self._session(_read(body))
        await context.writer.write(lambda catalog: create_session(catalog, session), cause=request_cause(request))
        return json_response(request, {"ID": session.id})

    async def destroy(self, request: Request) -> Response:
        """PUT session/destroy/{id}: `true`, also if there is no such session."""
        self._check(request)
        key = session_key(required_argument(request, _MISSING))
        await self._context.writer.write(
            lambda catalog: destroy_session(catalog, key), cause=request_cause(request)
        )
        return json_response(request, value=True)

    async def renew(self, request: Request) -> Response:
        """PUT session/renew/{id}: the session, in a list; nothing is written."""
        context = self._context
        self._check(request)
        session_id = required_argument(request, _MISSING)
        key = session_key(session_id)
        if key not in context.catalog.sessions.entries:
            await context.writer.barrier()
        found = context.catalog.sessions.entries.get(key)
        if found is None:
            raise NotFound(f"Session id '{session_id}' not found")
        context.health.renew_session(key)
        return json_response(request, [session_object(found)])

    def info(self, request: Request) -> Response | Awaitable[Response]:
        """GET session/info/{id}: the session in a list, which is empty if there is none."""
        context = self._context
        options = read_options(request, context)
        key = session_key(required_argument(request, _MISSING))

        def find() -> list[dict[str, Any]]:
            found = context.catalog.sessions.entries.get(key)
            return [session_object(found)] if found else []

        return answer_view(request, context, options, topics=(session_topic(key),), find=find)

    def node(self, request: Request) -> Response | Awaitable[Response]:
        """GET session/node/{name}: the sessions of a node, by id."""
        context = self._context
        options = read_options(request, context)
        node = required_argument(request, "Missing node name").lower()

        def find() -> list[dict[str, Any]]:
            found = context.catalog.sessions.by_node.get(node, {})
            return [session_object(entry) for _, entry in sorted(found.items())]

        return answer_view(request, context, options, topics=(SESSIONS,), find=find)

    def list(self, request: Request) -> Response | Awaitable[Response]:
        """GET session/list: all sessions, by id."""
        context = self._context
        options = read_options(request, context)

        def find() -> list[dict[str, Any]]:
            return [session_object(entry) for _, entry in sorted(context.catalog.sessions.entries.items())]

        return answer_view(request, context, options, topics=(SESSIONS,), find=find)

    def _check(self, request: Request) -> None:
        refuse_namespaces(request)
        check_datacenter(request.parameters.first("dc"), self._context)

    def _session(self, found: dict[str, Any]) -> Session:
        """The session that these fields describe, with a fresh id.

        Raises:
            BadInput: they describe none.
        """
        node = found.get("Node", self._context.identity.node_name)
        if not node:
            raise BadInput("Must provide Node", field="Node")
        wish = found.get("Behavior") or "release"
        if wish not in ("release", "delete"):
            raise BadInput(f"Invalid Behavior setting '{wish}'; it is release or delete", field="Behavior")
        behavior: SessionBehavior = "delete" if wish == "delete" else "release"
        checks, node_checks = _check_lists(found)
        service_checks = found.get("ServiceChecks")
        ttl = found.get("TTL", "")
        return Session(
            id=self._context.new_id(),
            node=node,
            name=found.get("Name", ""),
            lock_delay_s=found.get("LockDelay", LOCK_DELAY_S),
            behavior=behavior,
            ttl=ttl,
            ttl_s=self._ttl_s(ttl),
            node_checks=node_checks,
            service_checks=None
            if service_checks is None
            else tuple(SessionCheck(each.get("ID", ""), each.get("Namespace", "")) for each in service_checks),
            checks=checks,
        )

    def _ttl_s(self, text: str) -> float:
        """Seconds in a TTL; 0 for none.

        Raises:
            BadInput: it is no duration, or out of bounds.
        """
        if not text:
            return 0.0
        try:
            ttl_s = parse_duration_s(text)
        except ValueError as error:
            raise BadInput(f"Session TTL '{text}' invalid: {error}; write it as 15s or 1m", field="TTL") from error
        least_s = self._context.kv_settings.session_ttl_s_min
        if ttl_s and not least_s <= ttl_s <= _TTL_S_MAX:
            raise BadInput(
                f"Invalid Session TTL '{round(ttl_s * 1e9)}', must be between "
                f"[{format_duration(least_s)}={format_duration(_TTL_S_MAX)}]",
                field="TTL",
            )
        return ttl_s


def _read(body: bytes) -> dict[str, Any]:
    """The fields in the body that mean something; none in an empty body."""
    value = decode_json(body) if body.strip() else {}
    if isinstance(value, dict):
        # Consul passes over what it does not know, here.
        value = {key: each for key, each in value.items() if key.replace("_", "").lower() in _FOLDED}
    return read_object({} if value is None else value, _FIELDS)


def _check_lists(found: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The old list of checks and the one for checks of the node: where only one is given, it alone counts."""
    default = (_NODE_ALIVE,)
    checks: tuple[str, ...] = found.get("Checks", default)
    node_checks: tuple[str, ...] = found.get("NodeChecks", default)
    if not checks:
        return (), () if "NodeChecks" not in found else node_checks
    if not node_checks or checks == default:
        return (), node_checks
    return checks, () if node_checks == default else node_checks
