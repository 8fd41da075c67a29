"""What alerts came to, on its way into the log.

The alerts in memory are what counts while the agent runs, for one may be about the store itself: then it is
written once the store takes it.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from regista.catalog import Catalog, note_alerts
from regista.model import Alert, AlertNotice, Cause, RegistaError, Transaction, caused_by

logger = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 1000
"""Alerts in one transaction; it holds up others for some ten milliseconds."""

_RETRY_S = 1.0

_CAUSE = caused_by("server", reason="alerts")


class Writer(Protocol):
    """Where writes go."""

    async def write(self, plan: Callable[[Catalog], Transaction], *, cause: Cause) -> int:
        """See `CatalogWriter.write`."""


class AlertLog:
    """What is to be written.

    Args:
        clock: monotonic seconds.
        on_written: called after each write.
    """

    def __init__(self, writer: Writer, *, clock: Callable[[], float], on_written: Callable[[], None]) -> None:
        self._writer = writer
        self._clock = clock
        self._on_written = on_written
        self._alerts: dict[str, Alert] = {}
        # None for one that is to be deleted.
        self._notices: dict[str, AlertNotice | None] = {}
        self._has_news = asyncio.Event()
        self._since_s = 0.0

    def is_written(self, alert: Alert) -> bool:
        """Whether the log has an alert as it is."""
        return alert.id not in self._alerts

    def is_waiting(self, notice_key: str) -> bool:
        """Whether there is something newer of a notice than the log has."""
        return notice_key in self._notices

    @property
    def waiting_s(self) -> float | None:
        """For how long alerts have been waiting to be written; None if none do."""
        return self._clock() - self._since_s if self._alerts else None

    def put(self, alerts: Iterable[Alert]) -> None:
        """Has alerts written."""
        for alert in alerts:
            if not self._alerts:
                self._since_s = self._clock()
            self._alerts[alert.id] = alert
            self._has_news.set()

    def put_notice(self, key: str, notice: AlertNotice | None) -> None:
        """Has it written what a channel was told, or (None) that there is nothing left to know of it."""
        self._notices[key] = notice
        self._has_news.set()

    async def keep_writing(self) -> None:
        """Writes what there is, again and again until cancelled."""
        is_told = False
        while True:
            await self._has_news.wait()
            self._has_news.clear()
            try:
                await self.write()
                is_told = False
            except RegistaError as error:
                if not is_told:
                    logger.warning("alerts can't be written, and will be tried again: %s", error)
                is_told = True
                self._has_news.set()
                await asyncio.sleep(_RETRY_S)

    async def write(self) -> None:
        """Writes what there is.

        Raises:
            RegistaError: it could not be written, and still waits.
        """
        while self._alerts or self._notices:
            alerts = dict(itertools.islice(self._alerts.items(), _AT_ONCE))
            # A notice names alerts, so it comes after them.
            notices = dict(self._notices) if len(alerts) == len(self._alerts) else {}
            await self._writer.write(functools.partial(_plan, alerts, notices), cause=_CAUSE)
            _drop(self._alerts, alerts)
            _drop(self._notices, notices)
            self._since_s = self._clock()
            self._on_written()


def _plan(alerts: dict[str, Alert], notices: dict[str, AlertNotice | None], catalog: Catalog) -> Transaction:
    wanted = [notice for notice in notices.values() if notice is not None]
    gone = [key for key, notice in notices.items() if notice is None]
    return note_alerts(catalog, alerts.values(), wanted, gone)


def _drop(waiting: dict[str, T], written: dict[str, T]) -> None:
    """Takes out what was written, unless there is something newer."""
    for key, value in written.items():
        if waiting.get(key) is value:
            del waiting[key]
