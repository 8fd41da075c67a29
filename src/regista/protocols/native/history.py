"""GET /v1/regista/history: what changed between two points of the log, by whom, and what stood before."""

from __future__ import annotations

import dataclasses
import re

from regista.model import KINDS, BadInput, Batch, Change, Check, Record, Service, Tombstone
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import Json, before_of, change_object, json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_BATCHES_AT_ONCE = 256
"""What the store reads in one go, in a few milliseconds; commits wait no longer than that."""

_PAGE_CHANGES = 100
"""Changes on a page where the caller names no limit."""

_CURSOR = re.compile(r"([0-9]{1,19})\.([0-9]{1,9})")


@dataclasses.dataclass(frozen=True, slots=True)
class _Wanted:
    """Which changes are wanted; "" for any."""

    kind: str
    key: str
    service: str

    def admits(self, change: Change) -> bool:
        """Whether this is one of them."""
        record = change.record
        if self.kind and record.kind != self.kind:
            return False
        # Keys of names are lower-cased, others are kept as they are.
        if self.key and record.key not in (self.key, self.key.lower()):
            return False
        return not self.service or self.service in (_service_of(record), _service_of(before_of(change)))


@dataclasses.dataclass(slots=True)
class _Page:
    """Changes found so far.

    Attributes:
        after_index, skipped: where the reader stands: behind so many changes of the batch after this index.
    """

    after_index: int
    skipped: int
    room: int
    changes: list[Json] = dataclasses.field(default_factory=list)

    def read(self, batch: Batch, wanted: _Wanted) -> bool:
        """Takes what is wanted of a batch; false if the page is full before its end."""
        for position, change in enumerate(batch.changes[self.skipped :], start=self.skipped):
            if len(self.changes) == self.room:
                self.skipped = position
                return False
            if wanted.admits(change):
                self.changes.append(change_object(batch, change))
        self.after_index, self.skipped = batch.index, 0
        return True

    @property
    def cursor(self) -> str:
        """Where to go on."""
        return f"{self.after_index}.{self.skipped}"


class History:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/history",
                self.history,
                "What changed between two points, by whom, with the records before and after",
                parameters=(
                    Parameter("from", "After this index, time, or `next` of the page before; all that is kept."),
                    Parameter("to", "Up to this index or time, and with it; now."),
                    Parameter("kind", f"Only records of this kind: {', '.join(KINDS)}."),
                    Parameter("key", "Only the record with this key, such as `n1/web-1`."),
                    Parameter("service", "Only the instances of this service and what belongs to them."),
                    Parameter("limit", f"How many changes at the most; {_PAGE_CHANGES}.", "integer"),
                    PRETTY,
                ),
                access="operator:read",
                load="list",
            ),
        )

    async def history(self, request: Request) -> Response:
        """GET regista/history: a page of changes, oldest first."""
        parameters = request.parameters
        wanted = _wanted(request)
        page = await self._start(parameters.first("from"), self._limit(request))
        to_text = parameters.first("to")
        context = self._context
        to_index = await context.past.index(to_text, field="to") if to_text else context.catalog.index
        if page.after_index > to_index:
            raise BadInput(f"Invalid from: it is after to, which is index {to_index}", field="from")
        from_index = page.after_index
        is_at_end = await self._fill(page, to_index, wanted)
        return json_response(
            request,
            {
                "from": from_index,
                "to": to_index,
                "floor": context.log.floor_index,
                "changes": page.changes,
                "next": None if is_at_end else page.cursor,
            },
        )

    async def _start(self, text: str, room: int) -> _Page:
        cursor = _CURSOR.fullmatch(text)
        if cursor is not None:
            index = await self._context.past.index(cursor[1], field="from")
            return _Page(index, int(cursor[2]), room)
        if not text:
            return _Page(self._context.log.floor_index, 0, room)
        return _Page(await self._context.past.index(text, field="from"), 0, room)

    async def _fill(self, page: _Page, to_index: int, wanted: _Wanted) -> bool:
        """Reads until the page is full, as many batches as may be were looked at, or the end; true at the end."""
        left = self._context.settings.scan_batches_max
        while page.after_index < to_index and left > 0:
            batches = await self._context.log.changes(page.after_index, batches_max=min(left, _BATCHES_AT_ONCE))
            left -= len(batches)
            for batch in batches:
                if batch.index > to_index:
                    return True
                if not page.read(batch, wanted):
                    return False
            if not batches:
                return True
        return page.after_index >= to_index

    def _limit(self, request: Request) -> int:
        most = self._context.settings.page_changes_max
        return read_limit(request, default=min(_PAGE_CHANGES, most), least=1, most=most)


def _wanted(request: Request) -> _Wanted:
    kind = request.parameters.first("kind")
    if kind and kind not in KINDS:
        raise BadInput(f"Invalid kind: it is one of {', '.join(KINDS)}", field="kind")
    return _Wanted(kind, request.parameters.first("key"), request.parameters.first("service").lower())


def _service_of(record: Record | None) -> str:
    """The service that a record belongs to, lower-cased; "" for none."""
    if isinstance(record, Check):
        return record.service_name.lower()
    if isinstance(record, Service | Tombstone):
        return record.name.lower()
    return ""
