"""Running the watches of the configuration: each asks its question again and again, and runs its handler.

Theory of operation. A watch asks, and gives its handler what it hears; then it asks what comes after the index
that it has, and so on. While a handler runs nothing is asked, so handlers of one watch never overlap, and after a
burst of changes the next is told the newest state. What a handler was told last is known, so that an answer that
says the same again runs nothing. A change that a server could not be told is asked for anew after a while, and
told as it is then.

    asking ──another answer──▶ running the handler ──done, or its program failed──▶ asking what comes after it
    asking ──the same answer──▶ asking what comes after it
    asking ──refused──▶ waiting, ever longer ──▶ asking for what is there now
    running the handler ──its server failed──▶ waiting, ever longer ──▶ asking for what is there now
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import aiohttp
import msgspec

from regista.notify.watch_definitions import NOTHING_YET, Watch
from regista.notify.watch_handlers import HandlerFailed, run_handler

logger = logging.getLogger(__name__)

WAIT_S = 300.0
"""How long a question waits for another answer; longer would only hide a broken one for longer."""

RETRY_FIRST_S = 5.0
RETRY_MOST_S = 180.0
"""Source: Consul 1.9."""

_NOT_FOUND = 404


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """An answer.

    Attributes:
        index: 0 for none.
    """

    status: int
    body: bytes
    index: int


class Ask(Protocol):
    """Who answers the questions of watches."""

    async def __call__(self, target: str, *, token: str) -> Told:
        """The answer to a GET of a path with its query string; what it raises in a handler is an answer too."""


class Watches:
    """The watches that run.

    Args:
        sleep: waits so many seconds.

    Attributes:
        run_count: how often handlers were run.
        failed_count: how often handlers failed, by the kind of handler; and questions, as `question`.
    """

    def __init__(
        self,
        ask: Ask,
        session: aiohttp.ClientSession,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.run_count = 0
        self.failed_count: Counter[str] = Counter()
        self._ask = ask
        self._session = session
        self._sleep = sleep
        self._tasks: list[tuple[Watch, asyncio.Task[None]]] = []
        self._setting = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._tasks)

    async def set(self, watches: Iterable[Watch]) -> None:
        """Has these run from now on, and no others; one that ran before goes on as it was."""
        async with self._setting:
            wanted = list(watches)
            kept, ended = [], []
            for watch, task in self._tasks:
                if watch in wanted and not task.done():
                    wanted.remove(watch)
                    kept.append((watch, task))
                else:
                    ended.append(task)
            await _end(ended)
            self._tasks = kept + [(watch, asyncio.create_task(self._follow(watch))) for watch in wanted]

    async def close(self) -> None:
        """Ends all, with what their handlers are running."""
        async with self._setting:
            ended, self._tasks = [task for _, task in self._tasks], []
            await _end(ended)

    async def _follow(self, watch: Watch) -> None:
        index, failures = 0, 0
        told: Any = None
        told_body: bytes | None = None
        while True:
            problem = ""
            answer = await self._ask(_waiting(watch.target, index), token=watch.token)
            body = watch.absent if answer.status == _NOT_FOUND else answer.body if answer.status == 200 else None
            if body is None:
                self.failed_count["question"] += 1
                words = answer.body.decode("utf-8", "replace").strip()
                problem = f"it was refused: {words} ({answer.status})"
            elif body != told_body:
                content = msgspec.json.decode(body)
                problem = await self._run(watch, watch.pick(content, told), answer.index)
                if not problem:
                    told, told_body = content, body
            if problem:
                failures += 1
                retry_s = min(RETRY_FIRST_S * failures * failures, RETRY_MOST_S)
                logger.warning("watch %s: %s; trying again in %gs", watch.title, problem, retry_s)
                index = 0
                await self._sleep(retry_s)
                continue
            failures = 0
            if not answer.index:
                # Without an index nothing can be waited for; this keeps the loop from spinning.
                await self._sleep(RETRY_FIRST_S)
            # Events have hashes for indexes, which go down as often as up; that costs them one question more.
            index = answer.index if answer.index >= index else 0

    async def _run(self, watch: Watch, result: Any, index: int) -> str:
        """Runs the handler with a result; why it is to be told again, or ""."""
        if result is NOTHING_YET:
            return ""
        self.run_count += 1
        body = msgspec.json.encode(result)
        try:
            await run_handler(watch.handler, body, index=index, title=watch.title, session=self._session)
        except HandlerFailed as error:
            self.failed_count[type(watch.handler).__name__.removesuffix("Handler").lower()] += 1
            if error.is_worth_retrying:
                return str(error)
            logger.warning("watch %s: %s", watch.title, error)
        return ""


def _waiting(target: str, index: int) -> str:
    """The target, waiting for what comes after an index if there is one."""
    if not index:
        return target
    return f"{target}{'&' if '?' in target else '?'}index={index}&wait={WAIT_S:g}s"


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
