"""The read workers of an agent: gives them the log, and answers what they pass on.

    main process ── log socket ─────▶ the replica of each worker       `store/serving.py`, `store/remote.py`
                 ◀─ calls socket ──── what only it can answer          `worker_calls.py`, `worker_forwarding.py`
                 ── control socket ─▶ who follows what, counters       `worker_control.py`, `everywhere.py`
                 ── shared page ────▶ the index of the last batch      `shared_page.py`, `worker_freshness.py`

Main process and workers listen at the same addresses, each at a socket of its own (SO_REUSEPORT), so the system
gives each a share of the clients. The main process makes the workers' sockets too, and keeps them: while a worker
is away, it answers there itself (`worker_process.py`), and nobody who comes is refused.

The sockets between the processes are in a directory that nobody else can enter, for whoever speaks there is
believed. When the main process ends, however it ends, so do the workers.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from regista.agent.config import AgentConfig
from regista.agent.everywhere import Everywhere
from regista.agent.log import Log
from regista.agent.shared_page import SharedPage
from regista.agent.worker_calls import CallServer
from regista.agent.worker_control import WorkerLink
from regista.agent.worker_freshness import BEAT_S
from regista.agent.worker_orders import WorkerOrders
from regista.agent.worker_process import WorkerProcess
from regista.catalog import Asides
from regista.model import Batch, ConfigError
from regista.protocols.consul import Identity
from regista.protocols.dns import DnsServer
from regista.protocols.http import Answers, HttpServer, Overload, RouteTable
from regista.store import LogServer

logger = logging.getLogger(__name__)

_START_S_MAX = 120.0
"""A worker of a million instances has read them in half of it."""

_KILL_AFTER_S = 2.0
"""How long a worker may take to end beyond the grace that its requests have."""


class Workers:
    """The workers of an agent; none unless the configuration says so.

    Args:
        clock: monotonic seconds.

    Attributes:
        everywhere: what is asked of all processes.
    """

    def __init__(self, log: Log, answers: Answers, config: AgentConfig, *, clock: Callable[[], float]) -> None:
        count = config.workers if config.http_port >= 0 else 0
        self._all = tuple(WorkerProcess(number, clock=clock) for number in range(1, count + 1))
        self.everywhere = Everywhere(self._all)
        self._log = log
        self._config = config
        self._clock = clock
        self._server = LogServer(log.store, log.catalog, Asides(log.catalog))
        self._page = SharedPage.make()
        self._page.head_index = log.catalog.index
        self._directory: Path | None = None
        self._listeners: list[asyncio.Server] = []
        self._tasks: list[asyncio.Task[None]] = []
        if self._all:
            self._beat()
            log.catalog.subscribe(self._on_batch)
            log.catalog.subscribe_asides(self._server.note)
            log.state.on_change = self._beat
            answers.watchers.elsewhere = functools.partial(self.everywhere.wait_passed, answers.watchers)

    @property
    def count(self) -> int:
        """How many there are to be."""
        return len(self._all)

    def listen_at(self, bound: str) -> None:
        """Takes this address, as `host:port`, for each of them.

        Raises:
            OSError: it can't be had.
        """
        host, _, port = bound.rpartition(":")
        for worker in self._all:
            worker.listen_at(host.strip("[]"), int(port))

    def answer_dns_at(self, bound: str) -> None:
        """As above, for DNS."""
        host, _, port = bound.rpartition(":")
        for worker in self._all:
            worker.answer_dns_at(host.strip("[]"), int(port))

    async def start(
        self,
        http: HttpServer,
        dns: DnsServer,
        table: RouteTable,
        overload: Overload,
        *,
        identity: Identity,
    ) -> None:
        """Returns once all of them answer.

        Args:
            http, dns: answer in place of those that are away.
            table: where it is looked for what they pass on.

        Raises:
            ConfigError: one does not start.
        """
        if not self._all:
            return
        dispatcher = http.also_dispatching(table)
        dispatcher.overload = overload
        await self._listen(CallServer(dispatcher))
        orders = functools.partial(self._orders, identity=identity)
        self._tasks = [
            asyncio.create_task(worker.keep_running(orders, http, dns, page=self._page.descriptor))
            for worker in self._all
        ]
        try:
            async with asyncio.timeout(_START_S_MAX):
                await self._all_up()
        except TimeoutError as error:
            raise ConfigError("the workers do not start; see the log, or start fewer (--workers).") from error
        self._tasks.append(asyncio.create_task(self._keep_beating()))

    def stop(self) -> None:
        """Has them end, after the requests that are under way."""
        for worker in self._all:
            worker.stop()

    async def finish(self) -> None:
        """Has them end if they have not, and waits until they have."""
        self.stop()
        try:
            async with asyncio.timeout(self._config.registry.shutdown_grace_s + _KILL_AFTER_S):
                for worker in self._all:
                    await worker.ended()
        except TimeoutError:
            logger.warning("workers that do not end are killed")
            for worker in self._all:
                worker.kill()
        for task in self._tasks:
            task.cancel()
        for listener in self._listeners:
            listener.close()
        self._server.close()
        for worker in self._all:
            worker.close()
        os.close(self._page.descriptor)
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    # ---- starting and ending ----

    async def _all_up(self) -> None:
        """Returns once all answer.

        Raises:
            ConfigError: one has ended before.
        """
        for worker in self._all:
            up = asyncio.ensure_future(worker.is_up.wait())
            await asyncio.wait((up, *self._tasks), return_when=asyncio.FIRST_COMPLETED)
            up.cancel()
            for task in self._tasks:
                if task.done():
                    task.result()

    async def _listen(self, calls: CallServer) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="regista-"))  # mode 0700
        loop = asyncio.get_running_loop()
        for path, server in (
            ("log", self._server),
            ("calls", calls),
            ("control", lambda: WorkerLink(self._on_hello, self._on_ready)),
        ):
            self._listeners.append(await loop.create_unix_server(server, str(self._directory / path)))

    def _orders(self, worker: WorkerProcess, *, identity: Identity) -> WorkerOrders:
        assert self._directory is not None
        return WorkerOrders(
            number=worker.number,
            main_pid=os.getpid(),
            config=self._config,
            sockets=tuple(each.fileno() for each in worker.sockets),
            dns_sockets=tuple(pair.filenos() for pair in worker.dns_pairs),
            page=self._page.descriptor,
            log_path=self._directory / "log",
            calls_path=self._directory / "calls",
            control_path=self._directory / "control",
            node_name=identity.node_name,
            node_id=identity.node_id,
            address=identity.address,
            server_address=identity.server_address(),
            started_s=identity.started_s,
            settles_s=self._log.standing.settles_s,
        )

    def _on_hello(self, number: int, link: WorkerLink) -> None:
        self._all[number - 1].link = link

    def _on_ready(self, number: int) -> None:
        self._all[number - 1].answers()

    # ---- what they read ----

    def _on_batch(self, batch: Batch) -> None:
        # Before anybody is told that it is written.
        self._page.head_index = batch.index
        self._server.push(batch)

    def _beat(self) -> None:
        """Says that this process lives, and whether it can write."""
        now_s = self._clock()
        stale_s = self._log.state.stale_s()
        self._page.stale_since_s = 0.0 if stale_s is None else now_s - stale_s
        self._page.beat_s = now_s

    async def _keep_beating(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_S)
