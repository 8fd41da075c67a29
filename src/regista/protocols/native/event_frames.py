"""Events as they are sent: each encoded once, and only if somebody wants it. No I/O."""

from __future__ import annotations

from collections import OrderedDict

from regista.catalog import ChangeEvent, change_events, cloud_event, encode_event
from regista.model import Batch

_BATCHES_MAX = 512
"""Those who come back read the same few batches within moments; more would only cost memory."""


class Framed:
    """An event, with its frame once somebody wants it."""

    __slots__ = ("event", "frame")

    def __init__(self, event: ChangeEvent) -> None:
        self.event = event
        self.frame = b""


class Frames:
    """The frames of the latest batches that were looked at.

    Args:
        source: which registry it is, for the events.

    Attributes:
        encoded_count: events that were encoded.
    """

    def __init__(self, source: str) -> None:
        self.encoded_count = 0
        self._source = source
        self._by_index: OrderedDict[int, tuple[Framed, ...]] = OrderedDict()

    def events(self, batch: Batch) -> tuple[Framed, ...]:
        """The events of a batch, in order."""
        found = self._by_index.get(batch.index)
        if found is None:
            found = self._by_index[batch.index] = tuple([Framed(event) for event in change_events(batch)])
            if len(self._by_index) > _BATCHES_MAX:
                self._by_index.popitem(last=False)
        return found

    def frame(self, framed: Framed) -> bytes:
        """An event's frame."""
        if not framed.frame:
            event = framed.event
            framed.frame = _frame(event.type, event.id, encode_event(event, source=self._source))
            self.encoded_count += 1
        return framed.frame

    def own(self, event_type: str, index: int, data: dict[str, int | None], *, at_s: float) -> bytes:
        """The frame of an event that is not of the log; its id is an index."""
        event_id = f"{index}"
        return _frame(
            event_type, event_id, cloud_event(event_id, event_type, data, at_s=at_s, source=self._source)
        )


def _frame(event_type: str, event_id: str, encoded: bytes) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (event_type.encode(), event_id.encode(), encoded)
