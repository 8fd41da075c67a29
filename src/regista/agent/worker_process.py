"""One read worker as the main process sees it: its process, which is started again each time that it ends.

    starting ──answers──▶ up ──ends, or is ended as it hangs──▶ away ──after a pause──▶ starting

While it is away, the main process answers at its sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import pickle
import signal
import socket
import sys
from collections.abc import Callable

from regista.agent.worker_control import WorkerLink
from regista.agent.worker_orders import WorkerOrders
from regista.agent.worker_wire import Counted
from regista.model import ConfigError
from regista.protocols.dns import DnsServer, Pair, bind_pair
from regista.protocols.http import HttpServer, listening_socket

logger = logging.getLogger(__name__)

_PAUSE_S_MIN = 0.1
_PAUSE_S_MAX = 5.0
_STEADY_S = 10.0
"""Between the end of a worker and the next one's start: doubled each time, until one was up for so long."""

_ASK_S = 1.0
_UNANSWERED_MAX = 10
"""A worker that says nothing for so many seconds, and as many waits for an answer, hangs. Shorter, and one that
takes in a whole catalog anew might be taken for such; longer, and its share of the clients waits all the time."""


class WorkerProcess:
    """A worker.

    Args:
        clock: monotonic seconds.

    Attributes:
        sockets: those that it listens at for HTTP.
        dns_pairs: those at which it answers over DNS.
        restarts: how often it was started again.
        link: for what it is asked; None while it is away.
        counted: what it said when it was asked last.
        is_up: set while it answers.
    """

    def __init__(self, number: int, *, clock: Callable[[], float]) -> None:
        self.number = number
        self.sockets: list[socket.socket] = []
        self.dns_pairs: list[Pair] = []
        self.restarts = 0
        self.link: WorkerLink | None = None
        self.counted: Counted | None = None
        self.is_up = asyncio.Event()
        self._clock = clock
        self._was_up = False
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._asking: asyncio.Task[None] | None = None
        # What is to be called to answer in its place no longer.
        self._stand_ins: list[Callable[[], None]] = []

    def listen_at(self, address: str, port: int) -> None:
        """Takes an address for it, beside others.

        Raises:
            OSError: it can't be had.
        """
        self.sockets.append(listening_socket(address, port, is_shared=True))

    def answer_dns_at(self, address: str, port: int) -> None:
        """As above, for DNS."""
        self.dns_pairs.append(bind_pair(address, port, is_shared=True))

    async def keep_running(
        self, orders: Callable[[WorkerProcess], WorkerOrders], http: HttpServer, dns: DnsServer, *, page: int
    ) -> None:
        """Starts it, again and again; returns once it was stopped.

        Args:
            orders: what it is told at its start.
            http, dns: answer in its place.
            page: the shared page's file.

        Raises:
            ConfigError: its first life did not come to answering.
        """
        pause_s = _PAUSE_S_MIN
        while not self._stopping.is_set():
            began_s = self._clock()
            code = await self._live(orders(self), page)
            if self._stopping.is_set():
                return
            if not self._was_up:
                raise ConfigError(
                    f"worker {self.number} ended with {code} at its start; the log says why. Start without "
                    "--workers until it is mended."
                )
            self.restarts += 1
            if self._clock() - began_s > _STEADY_S:
                pause_s = _PAUSE_S_MIN
            logger.warning("worker %d ended with %s; it is started again in %gs", self.number, code, pause_s)
            self._stand_ins = [
                *[await http.stand_in(each) for each in self.sockets],
                *[await dns.stand_in(each) for each in self.dns_pairs],
            ]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()
            pause_s = min(pause_s * 2, _PAUSE_S_MAX)

    async def _live(self, orders: WorkerOrders, page: int) -> int:
        """One life of it, to its end; the exit status."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "regista.agent.worker",
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(*orders.sockets, *itertools.chain(*orders.dns_sockets), page),
            # What is typed at the terminal is for the main process, which tells the others.
            start_new_session=True,
        )
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):
            process.stdin.write(pickle.dumps(orders))
            process.stdin.write_eof()
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        try:
            return await process.wait()
        finally:
            if self._asking is not None:
                self._asking.cancel()
            self.is_up.clear()
            self.link = None

    def answers(self) -> None:
        """Notes that it is up."""
        self._was_up = True
        for stop in self._stand_ins:
            stop()
        self._stand_ins = []
        self.is_up.set()
        self._asking = asyncio.create_task(self._keep_asking())
        assert self._process is not None
        logger.info("worker %d (process %d) answers", self.number, self._process.pid)

    async def _keep_asking(self) -> None:
        """Ends it if it hangs: the system gives it clients all the same."""
        unanswered = 0
        while unanswered < _UNANSWERED_MAX:
            await asyncio.sleep(_ASK_S)
            # Asked again each time: if it was this process that stood still, the next answer comes at once.
            unanswered = 0 if self.link is not None and await self.link.is_there() else unanswered + 1
        logger.warning("worker %d does not answer any more; it is killed", self.number)
        self.kill()

    async def count(self) -> None:
        """Asks it what it has counted."""
        if self.link is not None:
            self.counted = await self.link.count() or self.counted

    # ---- the end ----

    def stop(self) -> None:
        """Has it end, after the requests that are under way."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    async def ended(self) -> None:
        """Returns once it has."""
        if self._process is not None:
            await self._process.wait()

    def kill(self) -> None:
        """Ends it at once."""
        self._signal(signal.SIGKILL)

    def close(self) -> None:
        """Gives up its sockets."""
        for listening in self.sockets:
            listening.close()
        for pair in self.dns_pairs:
            pair.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
