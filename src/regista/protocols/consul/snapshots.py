"""/v1/snapshot: the whole registry as a file, and back.

Source: Consul 1.9 (recorded answers); what it answers with 500 for a file that can't be used is 400 here.
"""

from __future__ import annotations

import asyncio

from regista.catalog import restore
from regista.model import TooLarge, caused_by
from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import DC, STALE
from regista.protocols.consul.reads import index_headers, read_options
from regista.protocols.consul.snapshot_archive import SnapshotOrigin, decode_archive, encode_archive
from regista.protocols.http import REASON, Request, Response, Route, request_cause

_TYPE = "application/x-gzip"


class Snapshots:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # Each holds the whole state as text for a while.
        self._one_at_a_time = asyncio.Lock()

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/snapshot",
                self.save,
                "The whole registry as a file",
                parameters=(DC, STALE),
                access="management",
                load="list",
            ),
            Route(
                "PUT",
                "/v1/snapshot",
                self.restore,
                "Puts a saved registry in the place of this one",
                parameters=(DC, REASON),
                access="management",
                body="bytes",
            ),
        )

    async def save(self, request: Request) -> Response:
        """GET snapshot: the file; its index is that of the last transaction in it."""
        context = self._context
        options = read_options(request, context)
        async with self._one_at_a_time:
            if options.consistency != "stale":
                await context.writer.barrier()
            # Entries are immutable: taken in one go, they are one state, whatever is written meanwhile.
            entries = list(context.catalog.all_entries())
            identity = context.identity
            origin = SnapshotOrigin(
                index=context.catalog.index,
                at_s=context.wall_clock(),
                node_id=identity.node_id,
                server_address=identity.server_address(),
            )
            archive = await asyncio.to_thread(encode_archive, entries, origin)
        headers = index_headers(context, origin.index, options.consistency)
        return Response(200, archive, _TYPE, headers, is_packed=True)

    async def restore(self, request: Request) -> Response:
        """PUT snapshot: an empty 200 once the saved state is in force; all of it, or none."""
        context = self._context
        read_options(request, context)
        bytes_max = context.settings.snapshot_bytes_max
        async with self._one_at_a_time:
            archive = await _read_archive(request, bytes_max)
            records = await asyncio.to_thread(decode_archive, archive, bytes_max=bytes_max)
            cause = request_cause(request)
            await context.writer.write_alone(
                lambda catalog: restore(catalog, records, own_node=context.identity.node_name),
                cause=caused_by(
                    "operator",
                    source=cause.source,
                    path=cause.path,
                    reason=cause.reason or "a snapshot was restored",
                ),
            )
        return Response()


async def _read_archive(request: Request, bytes_max: int) -> bytes:
    """The body.

    Raises:
        TooLarge: it is over the limit of snapshots.
    """
    try:
        return await request.body(bytes_max)
    except TooLarge as error:
        raise TooLarge(
            f"the snapshot is larger than {bytes_max} bytes; http.snapshot_bytes_max in the agent's configuration "
            "is the limit",
            limit_bytes=bytes_max,
            limit="http.snapshot_bytes_max",
            used=error.used,
        ) from error
