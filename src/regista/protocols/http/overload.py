"""Who is refused now: the agent's load, looked at ten times a second, and at each request that wants to wait.

What the load means is decided in `admission`.
"""

from __future__ import annotations

import asyncio
import collections
import statistics
from collections import deque
from collections.abc import Callable

from regista.model import Shed
from regista.protocols.http.admission import (
    CALM,
    LoadClass,
    LoadFacts,
    OverloadSettings,
    Use,
    class_of,
    decide_level,
    decide_refused,
)

_TICK_S = 0.1

_LAGS_KEPT = 5
"""The lag that counts is the median of so many: one stall, of a garbage collection or a stopped machine, is over
when it is noticed, and refusing somebody would help nobody."""

_RETRY_AFTER_S = 5.0


class Overload:
    """The agent's load, and what it has refused for it.

    Args:
        commits, waiting, connections: how much of these limits is in use.

    Attributes:
        level: how much is given up.
        lag_s: how late the agent is with what is due.
        refused: how many requests, by their class.
    """

    def __init__(
        self,
        settings: OverloadSettings,
        *,
        commits: Callable[[], Use],
        waiting: Callable[[], Use],
        connections: Callable[[], Use],
    ) -> None:
        self.level = CALM
        self.lag_s = 0.0
        self.refused: collections.Counter[LoadClass] = collections.Counter()
        self._settings = settings
        self._commits = commits
        self._waiting = waiting
        self._connections = connections
        self._lags: deque[float] = deque((0.0,) * _LAGS_KEPT, maxlen=_LAGS_KEPT)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begins to look."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_TICK_S, self._tick, loop.time() + _TICK_S)

    def stop(self) -> None:
        """Ends it; nothing is refused any more."""
        self.level = CALM
        if self._timer is not None:
            self._timer.cancel()

    def check(self, load: LoadClass, *, waits: bool) -> None:
        """Does nothing unless a request of this class is to be refused.

        Raises:
            Shed: it is.
        """
        load = class_of(load, waits=waits)
        if load == "watch":
            # Thousands may come between two looks, and each would keep a connection.
            self.look(asyncio.get_running_loop().time())
        cause = self.level.cause
        if cause is not None and decide_refused(load, self.level):
            self.refused[load] += 1
            raise Shed(
                cause.limit,
                used=cause.used,
                most=cause.most,
                load=load,
                retry_after_s=_RETRY_AFTER_S,
                ends_connection=cause.limit == self._connections().limit,
            )

    def look(self, now_s: float) -> None:
        """Decides the level anew."""
        facts = LoadFacts(self.lag_s, self._commits(), self._waiting(), self._connections())
        self.level = decide_level(facts, self._settings, before=self.level, now_s=now_s)

    def _tick(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._lags.append(max(0.0, now_s - due_s))
        self.lag_s = statistics.median(self._lags)
        self.look(now_s)
        self._timer = loop.call_later(_TICK_S, self._tick, now_s + _TICK_S)
