"""/v1/config…: configuration entries, which say how services are to be reached.

Source: Consul 1.9 (behaviour); what it answers with 500 for a mistake of the caller is 400 here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from regista.catalog import CONFIG_ENTRIES, Catalog, config_topic, delete_config_entry, put_config_entry
from regista.model import BadInput, NotFound, Transaction
from regista.protocols.consul.config_kinds import CONFIG_KINDS
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode_config import entry_name, read_config_entry, show_config_entry
from regista.protocols.consul.parameters import CAS, DC, NS, PRETTY, READ
from regista.protocols.consul.reads import (
    answer_view,
    check_datacenter,
    json_response,
    read_options,
    refuse_namespaces,
)
from regista.protocols.http import REASON, Request, Response, Route, decode_json, request_cause

Answering = Response | Awaitable[Response]

_INDEX_DIGITS_MAX = 20


class ConfigEntries:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        writing = (DC, NS, CAS, PRETTY, REASON)
        return (
            Route(
                "PUT",
                "/v1/config",
                self.put,
                "Writes a configuration entry",
                parameters=writing,
                access="operator:write",
                body="json",
            ),
            Route(
                "GET",
                "/v1/config/",
                self.read,
                "A configuration entry (`kind/name`), those of a kind, or all",
                argument="entry",
                parameters=READ,
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "DELETE",
                "/v1/config/",
                self.delete,
                "Deletes a configuration entry (`kind/name`)",
                argument="entry",
                parameters=writing,
                access="operator:write",
            ),
        )

    async def put(self, request: Request) -> Response:
        """PUT config: `true`, or `false` if `cas` does not fit."""
        refuse_namespaces(request)
        check_datacenter(request.parameters.first("dc"), self._context)
        expected_index = _cas(request)
        entry = read_config_entry(await self._body(request))
        datacenter = self._context.identity.datacenter
        is_written = await self._write(
            request,
            lambda catalog: put_config_entry(catalog, entry, datacenter=datacenter, expected_index=expected_index),
        )
        return json_response(request, is_written)

    def read(self, request: Request) -> Answering:
        """GET config/{kind}/{name}, config/{kind}, config/: an entry, those of a kind by name, or all."""
        options = read_options(request, self._context)
        entries = self._catalog.config_entries
        entry_kind, _, name = request.argument.partition("/")
        if not request.argument:

            def find_all() -> Any:
                return [show_config_entry(entry) for entry in entries.all()]

            return answer_view(request, self._context, options, topics=(CONFIG_ENTRIES,), find=find_all)
        if entry_kind not in CONFIG_KINDS:
            raise _unknown_kind(entry_kind)
        if not name:

            def find_kind() -> Any:
                return [show_config_entry(entry) for entry in entries.of_kind(entry_kind)]

            return answer_view(request, self._context, options, topics=(config_topic(entry_kind),), find=find_kind)

        def find_one() -> Any:
            found = entries.find(entry_kind, name)
            return show_config_entry(found) if found else None

        return answer_view(
            request,
            self._context,
            options,
            topics=(config_topic(entry_kind, name),),
            find=find_one,
            missing=f'Config entry not found for "{entry_kind}" / "{name}"',
        )

    async def delete(self, request: Request) -> Response:
        """DELETE config/{kind}/{name}: `{}`, also if it was not there; with `cas`, whether it was deleted."""
        refuse_namespaces(request)
        check_datacenter(request.parameters.first("dc"), self._context)
        expected_index = _cas(request)
        entry_kind, _, name = request.argument.partition("/")
        if not entry_kind or not name:
            raise NotFound("Must provide both a kind and name to delete")
        if entry_kind not in CONFIG_KINDS:
            raise _unknown_kind(entry_kind)
        name = entry_name(entry_kind, name)
        datacenter = self._context.identity.datacenter
        is_written = await self._write(
            request,
            lambda catalog: delete_config_entry(
                catalog, entry_kind, name, datacenter=datacenter, expected_index=expected_index
            ),
        )
        return json_response(request, {} if expected_index is None else is_written)

    async def _body(self, request: Request) -> Any:
        try:
            return decode_json(await request.body(self._context.settings.body_bytes_max))
        except BadInput as error:
            reason = str(error).removeprefix("Request decode failed: ")
            raise BadInput(f"Bad request: Request decoding failed: {reason}") from None

    async def _write(self, request: Request, plan: Callable[[Catalog], Transaction | None]) -> bool:
        """Whether the caller's index was that of the entry, so that what the plan wants is true now."""
        is_as_expected = False

        def plan_and_note(catalog: Catalog) -> Transaction:
            nonlocal is_as_expected
            transaction = plan(catalog)
            is_as_expected = transaction is not None
            return transaction if transaction is not None else Transaction()

        await self._context.writer.write(plan_and_note, cause=request_cause(request))
        return is_as_expected


def _cas(request: Request) -> int | None:
    text = request.parameters.first("cas")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > _INDEX_DIGITS_MAX or int(text) >= 2**64:
        raise BadInput(f'strconv.ParseUint: parsing "{text[:100]}": invalid syntax', field="cas")
    return int(text)


def _unknown_kind(entry_kind: str) -> BadInput:
    return BadInput(f"invalid config entry kind: {entry_kind}; known are {', '.join(CONFIG_KINDS)}")
