"""What is sent to a subscription: events of the log, and Regista's own that say something of the deliveries."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict

from regista.catalog import ChangeEvent, change_events, cloud_event, encode_event
from regista.model import Batch, Subscription
from regista.notify.http_sender import Message

REREAD = "regista.reread"
"""The type of the event that says: there is a gap before this, read anew what you need to know."""

TEST = "regista.test"

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_BATCHES_MAX = 512
"""Subscriptions that keep up read the same few batches within moments; more would only cost memory."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that is to be sent.

    Attributes:
        at_s: when it happened, in seconds since the epoch.
    """

    id: str
    type: str
    body: bytes
    at_s: float

    def message(self, subscription: Subscription, *, attempt: int, now_s: float) -> Message:
        """The event as it is sent to a subscription's receiver.

        Args:
            attempt: its number, from 1.
            now_s: seconds since the epoch.
        """
        secrets = [subscription.secret]
        if subscription.previous_secret and now_s < subscription.previous_until_s:
            secrets.append(subscription.previous_secret)
        return Message(
            url=subscription.url,
            id=self.id,
            type=self.type,
            body=self.body,
            content_type=CONTENT_TYPE,
            headers=subscription.headers or {},
            secrets=tuple(secrets),
            attempt=attempt,
        )


def outgoing_event(event: ChangeEvent, *, source: str) -> Outgoing:
    """An event of the log."""
    return Outgoing(event.id, event.type, encode_event(event, source=source), event.at_s)


def outgoing_reread(after_index: int, index: int, *, at_s: float, source: str) -> Outgoing:
    """That the log no longer has what came after `after_index`, and that what comes after `index` follows.

    Its id is the same if it is made again before it was delivered.
    """
    event_id = f"reread.{after_index}"
    data = {"after": after_index, "index": index}
    return Outgoing(event_id, REREAD, cloud_event(event_id, REREAD, data, at_s=at_s, source=source), at_s)


def outgoing_test(subscription: Subscription, number: str, *, at_s: float, source: str) -> Outgoing:
    """An event that says nothing but that it came.

    Args:
        number: makes its id.
    """
    event_id = f"test.{number}"
    data = {"subscription": subscription.id, "name": subscription.name}
    return Outgoing(event_id, TEST, cloud_event(event_id, TEST, data, at_s=at_s, source=source), at_s)


class BatchEvents:
    """The events of batches, made once for all subscriptions that read them at about the same time."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, tuple[ChangeEvent, ...]] = OrderedDict()

    def of(self, batch: Batch) -> tuple[ChangeEvent, ...]:
        """The events of a batch."""
        found = self._kept.get(batch.index)
        if found is None:
            found = self._kept[batch.index] = change_events(batch)
            if len(self._kept) > _BATCHES_MAX:
                self._kept.popitem(last=False)
        return found
