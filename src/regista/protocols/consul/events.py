"""/v1/event/…: user events, kept in memory.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from regista.catalog import EVENTS, Event, events_index, is_for, read_filters
from regista.model import BadInput, TooLarge
from regista.protocols.consul.context import Context
from regista.protocols.consul.fields import NAME_CHARACTERS_MAX
from regista.protocols.consul.parameters import DC, INDEX, NS, PRETTY, WAIT
from regista.protocols.consul.reads import (
    JSON,
    ReadOptions,
    check_datacenter,
    json_response,
    read_options,
    refuse_namespaces,
    required_argument,
)
from regista.protocols.http import Answer, Parameter, Request, Response, Route, View, encode_json

_NAME = Parameter("name", "Only events of exactly this name.")
_REMOTE_EXECUTION = "_rexec"
"""Consul's own messages for running commands; agents without that feature, as all of ours, pass them over."""

_VERSION = 1


class Events:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/event/fire/",
                self.fire,
                "Fires a user event; the body is its payload",
                argument="name",
                parameters=(
                    DC,
                    NS,
                    PRETTY,
                    Parameter("node", "A pattern: only for agents whose node's name it matches."),
                    Parameter("service", "A pattern: only for agents with a service whose name it matches."),
                    Parameter("tag", "A pattern: only if that service has a tag that it matches."),
                ),
                access="event:write",
                body="bytes",
            ),
            Route(
                "GET",
                "/v1/event/list",
                self.list,
                "The latest user events, oldest first",
                parameters=(NS, PRETTY, INDEX, WAIT, _NAME),
                access="event:read",
                load="list",
            ),
        )

    async def fire(self, request: Request) -> Response:
        """PUT event/fire/{name}: the event; it is kept if its filters are for this agent."""
        context = self._context
        refuse_namespaces(request)
        check_datacenter(request.parameters.first("dc"), context)
        name = required_argument(request, "Missing name")
        if len(name) > NAME_CHARACTERS_MAX:
            raise BadInput(f"the event's name is too long: {len(name)} characters", field="name")
        parameters = request.parameters
        event = Event(
            id=context.new_id(),
            name=name,
            payload=await request.body(context.settings.body_bytes_max),
            node_filter=parameters.first("node"),
            service_filter=parameters.first("service"),
            tag_filter=parameters.first("tag"),
        )
        filters = read_filters(event)
        self._check_size(event)
        own = context.catalog.service_indexes.by_node.get(context.identity.node_name.lower(), {})
        services = [entry.record for entry in own.values() if entry.record.manager != "server"]
        is_kept = is_for(filters, context.identity.node_name, services) and name != _REMOTE_EXECUTION
        context.events.add(event, is_kept=is_kept)
        return json_response(request, _shown(event))

    async def list(self, request: Request) -> Response:
        """GET event/list: waits only while the last event is the one that `index` tells."""
        context = self._context
        options = read_options(request, context)
        name = request.parameters.first("name")
        view = View(
            key=f"{request.path}\x00{options.key}\x00{name!r}",
            topics=(EVENTS,),
            encode=lambda: encode_json(
                [_shown(event) for event in context.events.named(name)], pretty=options.is_pretty
            ),
            index=lambda: events_index(context.events.named(name)),
        )
        return _response(await self._answer(view, options))

    async def _answer(self, view: View, options: ReadOptions) -> Answer:
        answers = self._context.answers
        answer = answers.get(view)
        if options.after_index != answer.index:
            return answer
        # The index has no order; equal to the answer's own it means: wait for another answer.
        return await answers.wait(view, after_index=answer.index, wait_s=options.wait_s)

    def _check_size(self, event: Event) -> None:
        size = _encoded_bytes(event)
        most = self._context.event_settings.bytes_max
        if size > most:
            raise TooLarge(
                '1 error occurred:\n\t* error broadcasting event to segment "": user event exceeds configured '
                f"limit of {most} bytes before encoding\n\nIt has {size} bytes with its name and filters; send a "
                "reference to where the rest can be read.",
                limit_bytes=most,
                limit="events.bytes_max",
                used=size,
            )


def _response(answer: Answer) -> Response:
    return Response(200, answer.body, JSON, (("X-Consul-Index", str(answer.index)),), answer.gzipped)


def _shown(event: Event) -> dict[str, Any]:
    return {
        "ID": event.id,
        "Name": event.name,
        "Payload": base64.b64encode(event.payload).decode() if event.payload else None,
        "NodeFilter": event.node_filter,
        "ServiceFilter": event.service_filter,
        "TagFilter": event.tag_filter,
        "Version": _VERSION,
        "LTime": event.ltime,
    }


def _encoded_bytes(event: Event) -> int:
    """How large Consul's own message of the event would be, which its limit is about.

    Source: Consul 1.9, `agent/user_event.go` (MessagePack, empty fields left out); Serf counts the name too.
    """
    message: dict[str, Any] = {"ID": event.id, "n": event.name, "v": _VERSION}
    texts = {"nf": event.node_filter, "sf": event.service_filter, "tf": event.tag_filter}
    message |= {key: text for key, text in texts.items() if text}
    if event.payload:
        message["p"] = event.payload
    return len(f"consul:event:{event.name}".encode()) + len(msgspec.msgpack.encode(message))
