"""What the main process asks its workers, and how it knows that they are there: both sides of the control."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from regista.agent.worker_wire import (
    Count,
    Counted,
    Hello,
    Look,
    Looked,
    MainMessage,
    Ping,
    Pong,
    Ready,
    WorkerMessage,
    framed,
    from_main,
    from_worker,
)
from regista.store import FramedConnection

logger = logging.getLogger(__name__)

ANSWER_S_MAX = 1.0
"""How long a worker is waited for. One that takes longer is stopped, or has far too much to do."""

T = TypeVar("T", Looked, Counted, Pong)


class WorkerLink(FramedConnection[WorkerMessage]):
    """The main process's end of a worker's control.

    Args:
        on_hello, on_ready: are told the worker's number with this link.
    """

    def __init__(
        self,
        on_hello: Callable[[int, WorkerLink], None],
        on_ready: Callable[[int], None],
    ) -> None:
        super().__init__(from_worker.decode)
        self._on_hello = on_hello
        self._on_ready = on_ready
        self._worker = -1
        self._numbers = 0
        self._questions: dict[int, asyncio.Future[WorkerMessage]] = {}

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that it has ended."""
        super().connection_lost(exc)
        for question in self._questions.values():
            question.cancel()

    async def look(self, topics: list[str], index: int) -> Looked | None:
        """Who follows what, see `Look`; None if the worker does not answer."""
        return await self._ask(Look(self._next(), topics, index), Looked)

    async def count(self) -> Counted | None:
        """What the worker has counted; None if it does not answer."""
        return await self._ask(Count(self._next()), Counted)

    async def is_there(self) -> bool:
        """Whether the worker answers."""
        return await self._ask(Ping(self._next()), Pong) is not None

    def _next(self) -> int:
        self._numbers += 1
        return self._numbers

    async def _ask(self, question: MainMessage, answer_type: type[T]) -> T | None:
        if self._transport is None:
            return None
        answer = self._questions[question.number] = asyncio.get_running_loop().create_future()
        self.send(framed(question))
        done, _ = await asyncio.wait((answer,), timeout=ANSWER_S_MAX)
        self._questions.pop(question.number, None)
        if not done or answer.cancelled():
            return None
        found = answer.result()
        assert isinstance(found, answer_type)
        return found

    def take(self, message: WorkerMessage) -> None:
        """Tells what a worker says of itself, and gives answers to who asked."""
        if isinstance(message, Hello):
            self._worker = message.worker
            self.other = f"worker {message.worker}"
            self._on_hello(message.worker, self)
        elif isinstance(message, Ready):
            self._on_ready(self._worker)
        else:
            question = self._questions.get(message.number)
            if question is not None and not question.done():
                question.set_result(message)


class ControlClient(FramedConnection[MainMessage]):
    """A worker's end of its control.

    Args:
        worker: its number.
        look, count: answer what is asked.
        on_lost: is called when the main process is gone.
    """

    def __init__(
        self,
        worker: int,
        *,
        look: Callable[[Look], Awaitable[Looked]],
        count: Callable[[Count], Counted],
        on_lost: Callable[[], None],
    ) -> None:
        super().__init__(from_main.decode)
        self._worker = worker
        self._look = look
        self._count = count
        self._on_lost = on_lost
        self._looking: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says which worker this is."""
        super().connection_made(transport)
        self.send(framed(Hello(self._worker)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that it has ended."""
        super().connection_lost(exc)
        self._on_lost()

    def take(self, message: MainMessage) -> None:
        """Answers a question."""
        if isinstance(message, Count):
            self.send(framed(self._count(message)))
        elif isinstance(message, Ping):
            self.send(framed(Pong(message.number)))
        else:
            task = asyncio.create_task(self._answer(message))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    def say_ready(self) -> None:
        """Says that the worker answers."""
        self.send(framed(Ready()))

    async def _answer(self, message: Look) -> None:
        self.send(framed(await self._look(message)))
