"""Knocks at the ports of instances that fell silent: is anybody there?

A verifier looks once; the dialler has so many looks under way at once, and hands on what each found.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Protocol

from regista.health.listening import ListeningClock
from regista.health.probes.faults import is_own_fault

logger = logging.getLogger(__name__)

_DIAL_TIMEOUT_S = 2.0
"""A connection within one network takes milliseconds; with one lost packet, a second."""


class Verifier(Protocol):
    """Looks whether anybody is there."""

    async def answers(self, host: str, port: int) -> bool | None:
        """Whether the port takes connections; None if something here keeps it from being told. Never raises."""


class TcpVerifier:
    """Connects, and hangs up at once."""

    async def answers(self, host: str, port: int) -> bool | None:
        """Whether the port took a connection within two seconds."""
        try:
            async with asyncio.timeout(_DIAL_TIMEOUT_S):
                transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, host, port)
        except OSError as problem:
            return None if is_own_fault(problem) else False
        except UnicodeError:
            # A host that the IDNA codec refuses: nobody is there.
            return False
        transport.abort()
        return True


class Dialler:
    """The ports to knock at, by the key of whoever wants to know.

    Args:
        at_once_max: how many connections are tried at once.

    Attributes:
        on_answer: told the key and what `Verifier.answers` said; None too if the agent stalled meanwhile. Set by
            whoever asks.
    """

    def __init__(self, verifier: Verifier, *, at_once_max: int, listening: ListeningClock) -> None:
        self.on_answer: Callable[[str, bool | None], None] = lambda _key, _answer: None
        self._verifier = verifier
        self._at_once_max = at_once_max
        self._listening = listening
        self._waiting: dict[str, tuple[str, int]] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._waiting or key in self._running

    def ask(self, key: str, host: str, port: int) -> None:
        """Has the port knocked at; a key that is asked for already keeps its place."""
        if key not in self:
            self._waiting[key] = host, port
            self._start_waiting()

    def drop(self, key: str) -> None:
        """Wants to know no more."""
        self._waiting.pop(key, None)
        task = self._running.get(key)
        if task is not None:
            task.cancel()

    async def stop(self) -> None:
        """Cancels what is under way and waits until it is gone."""
        self._waiting.clear()
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._running) < self._at_once_max:
            key = next(iter(self._waiting))
            host, port = self._waiting.pop(key)
            task = asyncio.get_running_loop().create_task(self._run(key, host, port))
            self._running[key] = task
            task.add_done_callback(functools.partial(self._finish, key))

    async def _run(self, key: str, host: str, port: int) -> None:
        stalls = self._listening.stalls
        answer = await self._verifier.answers(host, port)
        self._listening.now_s()  # A stall may be there that no tick has noticed yet.
        # The agent was away, not the instance: that nobody answered in time says nothing then.
        self.on_answer(key, answer if answer or stalls == self._listening.stalls else None)

    def _finish(self, key: str, task: asyncio.Task[None]) -> None:
        del self._running[key]
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("dialling for %s failed in a way that it must not", key, exc_info=problem)
        self._start_waiting()
