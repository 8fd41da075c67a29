"""GET /v1/regista/events: what changes, as it changes; and the schemas of the events."""

from __future__ import annotations

import re

from regista.catalog import EVENT_TYPES, EventFilter, EventPlace, data_schema, types_like
from regista.model import BadInput, NotFound
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import json_response
from regista.protocols.native.parameters import PRETTY

_PLACE = re.compile(r"([0-9]{1,19})(?:\.([0-9]{1,9}))?")

_CACHE_HEADERS = (("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no"))
"""The second has nginx pass on every event at once."""

_WORDS_MAX = 64


class Events:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/events",
                self.events,
                "What changes, as it changes: server-sent events in the CloudEvents form",
                parameters=(
                    Parameter("type", "Only events of these types, or of all of a kind: `service.registered,kv`."),
                    Parameter("service", "Only events of these services, with commas between them."),
                    Parameter("tag", "Only events of instances with one of these tags."),
                    Parameter("status", "Only changes of health to one of these statuses."),
                    Parameter("node", "Only events of these nodes."),
                    Parameter("key", "Only events of keys that begin with this."),
                    Parameter(
                        "after", "The id of the last event seen, as `Last-Event-ID` would say; an index will do."
                    ),
                ),
                access="event:read",
                load="watch",
            ),
            Route(
                "GET",
                "/v1/regista/schemas",
                self.types,
                "The types of events",
                parameters=(PRETTY,),
                load="dashboard",
            ),
            Route(
                "GET",
                "/v1/regista/schemas/",
                self.schema,
                "The JSON schema of the data of a type of event",
                argument="type",
                parameters=(PRETTY,),
                load="dashboard",
            ),
        )

    def events(self, request: Request) -> Response:
        """GET regista/events: the events after a place, or from now on, until the caller hangs up."""
        wanted = EventFilter(
            types=_types(request),
            services=_words(request, "service"),
            tags=_words(request, "tag"),
            statuses=_words(request, "status"),
            nodes=_words(request, "node"),
            key_prefix=request.parameters.first("key"),
        )
        stream = self._context.events.listen(wanted, _place(request))
        return Response(200, content_type="text/event-stream", headers=_CACHE_HEADERS, stream=stream)

    def types(self, request: Request) -> Response:
        """GET regista/schemas: every type of event."""
        return json_response(request, list(EVENT_TYPES))

    def schema(self, request: Request) -> Response:
        """GET regista/schemas/{type}: the schema of its data."""
        if request.argument not in EVENT_TYPES:
            raise NotFound(f'there is no event of type "{request.argument}"; there are {", ".join(EVENT_TYPES)}')
        return json_response(request, data_schema(request.argument))


def _place(request: Request) -> EventPlace | None:
    """Where the listener was, as it says; None for one that is new."""
    field = "Last-Event-ID" if "Last-Event-ID" in request.headers else "after"
    text = request.headers.get("Last-Event-ID", "") or request.parameters.first("after")
    if not text:
        return None
    found = _PLACE.fullmatch(text)
    if found is None or int(found[1]) >= 2**63:
        raise BadInput(
            f'Invalid {field}: "{text[:40]}" is no id of an event, such as 42.0, and no index', field=field
        )
    return EventPlace(int(found[1]), int(found[2]) if found[2] else None)


def _words(request: Request, name: str) -> frozenset[str]:
    """What a parameter lists, in small letters."""
    texts = request.parameters.all(name)
    words = frozenset(word.strip().lower() for text in texts for word in text.split(",") if word.strip())
    if len(words) > _WORDS_MAX:
        raise BadInput(f"Invalid {name}: it lists {len(words)} things; at most {_WORDS_MAX}", field=name)
    return words


def _types(request: Request) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for word in _words(request, "type"):
        types = types_like(word)
        if not types:
            raise BadInput(
                f'Invalid type: there is no event of type "{word}"; there are {", ".join(EVENT_TYPES)}',
                field="type",
            )
        found |= types
    return found
