"""Writing down how far deliveries have come: all that moved in one transaction, and not more often than allowed.

Where a cursor moves without a delivery, past what its subscription does not want, it is written only now and then:
each write is a transaction itself, which all cursors move past.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from regista.catalog import Catalog, move_deliveries
from regista.model import Cause, Delivery, RegistaError, Transaction, caused_by

logger = logging.getLogger(__name__)

_IDLE_TRANSACTIONS = 1000
"""A cursor that only moves past others' events is written each so many transactions; reading them again after a
restart takes some ten milliseconds."""

_IDLE_S = 600.0
"""Where less than that happens it is written so often: after a crash, a cursor that nobody wrote for as long as
the log is kept would look like a gap. A sixth of what `store.log_retention` is by default, and next to no
transactions."""

DELIVERY_CAUSE = caused_by("server", reason="webhook deliveries")


Plan = Callable[[Catalog], Transaction]


class Writer(Protocol):
    """Where writes go."""

    async def write(self, plan: Plan, *, cause: Cause) -> int:
        """See `CatalogWriter.write`."""


class Cursors:
    """What is to be written.

    Args:
        every_s: the least time between two writes.
        idle_s: after how long cursors are written that only moved past others' events.
    """

    def __init__(self, writer: Writer, *, every_s: float, idle_s: float = _IDLE_S) -> None:
        self._writer = writer
        self._every_s = every_s
        self._idle_s = idle_s
        self._written: dict[str, Delivery] = {}
        self._latest: dict[str, Delivery] = {}
        self._has_news = asyncio.Event()

    def begin(self, delivery: Delivery) -> None:
        """Says where a subscription begins, or what is written of it."""
        self._written[delivery.subscription] = delivery

    def move(self, delivery: Delivery, *, is_news: bool) -> None:
        """Says how far a subscription has come.

        Args:
            is_news: whether something was sent since; it is worth a write.
        """
        self._latest[delivery.subscription] = delivery
        before = self._written.get(delivery.subscription)
        if is_news or before is None or delivery.index - before.index >= _IDLE_TRANSACTIONS:
            self._has_news.set()

    def forget(self, subscription: str) -> None:
        """Says that a subscription is gone."""
        self._latest.pop(subscription, None)
        self._written.pop(subscription, None)

    async def keep_writing(self) -> None:
        """Writes what moved, now and then, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._idle_s):
                    await self._has_news.wait()
            except TimeoutError:
                if not self._has_idled():
                    continue
            self._has_news.clear()
            await self.write()
            await asyncio.sleep(self._every_s)

    def _has_idled(self) -> bool:
        """Whether a cursor has moved by more than the transaction that wrote it."""
        return any(
            (before := self._written.get(name)) is None or each.index - before.index > 1
            for name, each in self._latest.items()
        )

    async def write(self) -> None:
        """Writes all that moved; what can't be written is written later."""
        moved = [each for name, each in self._latest.items() if self._written.get(name) != each]
        if not moved:
            return
        try:
            await self._writer.write(functools.partial(_plan, moved), cause=DELIVERY_CAUSE)
        except RegistaError as error:
            logger.warning("how far webhooks have come is not written for now: %s", error)
            self._has_news.set()
            return
        for each in moved:
            if each.subscription in self._latest:
                self._written[each.subscription] = each


def _plan(moved: Iterable[Delivery], catalog: Catalog) -> Transaction:
    return move_deliveries(catalog, moved)
