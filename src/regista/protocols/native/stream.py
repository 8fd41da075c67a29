"""GET /v1/regista/stream: the instances of services, and then each that changes."""

from __future__ import annotations

import re

from regista.catalog import Lookup
from regista.model import BadInput
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.context import Context

_PLACE = re.compile(r"([0-9]{1,19})(?:\.([0-9a-f]{1,32}))?")

_HEADERS = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
"""The second has nginx pass on every event at once."""

_SERVICES_MAX = 32
"""A drain waits for each of them; who follows more uses several connections."""

_TAGS_MAX = 16

_TRUE = frozenset(("", "1", "t", "true"))
_FALSE = frozenset(("0", "f", "false"))


class Stream:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/stream",
                self.stream,
                "The instances of services, and then each one that changes: server-sent events",
                parameters=(
                    Parameter("service", "Whose instances; several with commas between them.", is_repeatable=True),
                    Parameter("passing", "Only instances whose checks are all passing.", "boolean"),
                    Parameter("tag", "Only instances with this tag; with all of several.", is_repeatable=True),
                    Parameter(
                        "after",
                        "The id that was read last, as `Last-Event-ID` would say, or the index of what is known "
                        "from elsewhere.",
                    ),
                ),
                access="service:read",
                load="watch",
                is_replicated=True,
            ),
        )

    def stream(self, request: Request) -> Response:
        """GET regista/stream: until the caller hangs up."""
        passing_only = _wants_passing(request)
        tags = tuple(sorted({tag.lower() for tag in request.parameters.all("tag")}))
        if len(tags) > _TAGS_MAX:
            raise BadInput(f"Invalid tag: there are {len(tags)}; at most {_TAGS_MAX}", field="tag")
        lookups = [Lookup(name, tags=tags, passing_only=passing_only) for name in _services(request)]
        feed = self._context.instances
        stream = feed.listen(lookups, _after(request, feed.life), request)
        return Response(200, content_type="text/event-stream", headers=_HEADERS, stream=stream)


def _services(request: Request) -> list[str]:
    """The names of the services, each once whatever its case."""
    texts = request.parameters.all("service")
    names = {name.strip().lower(): name.strip() for text in texts for name in text.split(",") if name.strip()}
    if not 1 <= len(names) <= _SERVICES_MAX:
        raise BadInput(
            f"Invalid service: {len(names)} are named; there must be 1 to {_SERVICES_MAX}, as in "
            "?service=web&service=api",
            field="service",
        )
    return list(names.values())


def _wants_passing(request: Request) -> bool:
    if "passing" not in request.parameters:
        return False
    value = request.parameters.first("passing").lower()
    if value not in _TRUE | _FALSE:
        raise BadInput("Invalid value for ?passing: it must be true or false, or stand alone", field="passing")
    return value in _TRUE


def _after(request: Request, life: str) -> int | None:
    """The index of what the reader knows; None if it knows nothing, or of another life of the agent."""
    field = "Last-Event-ID" if "Last-Event-ID" in request.headers else "after"
    text = request.headers.get("Last-Event-ID", "") or request.parameters.first("after")
    if not text:
        return None
    found = _PLACE.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        raise BadInput(
            f'Invalid {field}: "{text[:40]}" is no id of this stream, such as 42.0f3a, and no index', field=field
        )
    return int(found[1]) if found[2] in (None, life) else None
