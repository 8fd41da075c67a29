"""What is to happen in the world, and when: one timer of the loop for all of it."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Any

from tests.simulation.loop import VirtualLoop


class Agenda:
    """Acts by the moment that they are due; those of one moment in the order in which they were asked for."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = math.inf

    def at(self, moment_s: float, act: Callable[..., None], *arguments: Any) -> None:
        self._number += 1
        heapq.heappush(self._heap, (moment_s, self._number, act, arguments))
        if moment_s < self._timer_s:
            self._arm()

    def after(self, seconds: float, act: Callable[..., None], *arguments: Any) -> None:
        self.at(self._loop.now_s + seconds, act, *arguments)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = self._heap[0][0] if self._heap else math.inf
        self._timer = self._loop.call_at(self._timer_s, self._run_due) if self._heap else None

    def _run_due(self) -> None:
        self._timer = None
        self._timer_s = -math.inf  # Whatever is added now is seen below.
        heap = self._heap
        while heap and heap[0][0] <= self._loop.now_s:
            _, _, act, arguments = heapq.heappop(heap)
            act(*arguments)
        self._arm()
