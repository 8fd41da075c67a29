"""The composition root: makes each part, gives it to the next, and ends them in the opposite order."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import logging
import random
import signal
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from regista import __version__
from regista.agent.addresses import cant_listen
from regista.agent.assembly import Doors, Inner, Surroundings, make_doors, make_inner
from regista.agent.config import AgentConfig, waiting_for_restart
from regista.agent.definitions import Definitions, read_definitions, reconcile
from regista.agent.dns import Dns, bind_dns
from regista.agent.greeting import Ready, ready_text
from regista.agent.host import describe_host
from regista.agent.identity import announce
from regista.agent.log_listeners import LogListeners, LogStream
from regista.agent.logs import LEVELS, drop_listeners, set_up_logs
from regista.agent.open_files import OpenFilesWatch, fit_open_files
from regista.agent.process import raise_open_files_limit
from regista.agent.readiness import say_ready
from regista.agent.workers import Workers
from regista.agent.writer import CatalogWriter
from regista.catalog import Catalog, forget_tombstones
from regista.model import BadInput, Node, RegistaError, StoreUnavailable, caused_by
from regista.notify import Watch
from regista.protocols.http import HttpServer

logger = logging.getLogger(__name__)

ApplyDefinitions = Callable[[Definitions], Awaitable[None]]
SetWatches = Callable[[Iterable[Watch]], Awaitable[None]]

_HOUSEKEEPING_S = 60.0

_RESOLVER_THREADS = 32
"""Names of checks' targets are resolved in threads; a resolver that hangs must not hold up the others."""


class Agent:
    """One agent, from its configuration to its last answer.

    Args:
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.
        new_id: a fresh UUID each time.
        reload: reads the configuration again.
        greet: what is printed once it answers.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        reload: Callable[[], AgentConfig],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
        new_id: Callable[[], str],
        greet: Callable[[Ready], str] = ready_text,
    ) -> None:
        self._config = config
        self._told = config  # as it was given; the other's limits may be lowered until they fit
        self._greet = greet
        self._reload_config = reload
        self._clock = clock
        self._wall_clock = wall_clock
        self._rng = rng
        self._new_id = new_id
        self._server_address = ""
        self._listeners: dict[str, str] = {}
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
        self._apply_definitions: ApplyDefinitions = _refuse_definitions
        self._set_watches: SetWatches = _refuse_watches
        self._reloading = asyncio.Lock()
        self._log_listeners: LogListeners | None = None
        self._started_s = clock()
        self._warned = config.warnings

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT.

        Raises:
            RegistaError: it can't start; the text says why.
        """
        files_max = _prepare_process()
        config = self._config = _fitting(self._config, files_max)
        definitions = read_definitions(config, config.kind_rule, node=config.node_name)
        around = Surroundings(
            means={"clock": self._clock, "wall_clock": self._wall_clock, "rng": self._rng},
            control=self,
            new_id=self._new_id,
            server_address=lambda: self._server_address,
            uptime_s=lambda: self._clock() - self._started_s,
        )
        async with contextlib.AsyncExitStack() as ending:
            inner = await make_inner(config, around, ending)
            self._log_listeners = inner.listeners
            doors = make_doors(inner, config, around)
            # Addresses are taken before the records that name them are written, and answered only after.
            self._bind(doors.http, inner.dns, inner.workers)
            await self._write_own(inner.log.catalog, inner.log.writer, inner.node, definitions)
            await self._begin(inner, doors, ending)
            files = OpenFilesWatch(files_max)
            files.start()
            ending.callback(files.stop)
            await inner.news.watches.set(definitions.watches)
            ending.push_async_callback(inner.news.watches.close)
            self._set_watches = inner.news.watches.set
            # Before it says so: whoever reads that it is ready may send a signal at once.
            _listen_for_signals(self._signals)
            say_ready(self._ready(inner.log.catalog, inner.node), self._greet, config, ending)
            await self._serve_until_stopped()

    async def _begin(self, inner: Inner, doors: Doors, ending: contextlib.AsyncExitStack) -> None:
        """Sets everything going; `ending` stops it in the opposite order."""
        grace_s = self._config.registry.shutdown_grace_s
        inner.scheduler.start()
        ending.push_async_callback(inner.scheduler.stop)
        inner.news.start_sending(ending, grace_s=grace_s)
        ending.push_async_callback(inner.workers.finish)
        ending.push_async_callback(doors.http.close, grace_s)
        # Ends first: whoever waits is answered, so that their connections can end.
        ending.callback(inner.answers.close)
        ending.callback(inner.news.feed.close)
        ending.callback(doors.instances.close)
        ending.callback(drop_listeners, inner.listeners)
        await doors.http.start()
        ending.callback(inner.workers.stop)
        overload = doors.limits.overload
        dns = inner.dns.server
        await inner.workers.start(doors.http, dns, doors.table, overload, identity=doors.context.identity)
        overload.start()
        ending.callback(overload.stop)
        await dns.start()
        ending.push_async_callback(dns.close)
        for chore in (self._keep_house(inner.log.writer), inner.log.writer.keep_trying()):
            ending.callback(asyncio.create_task(chore).cancel)

    async def _write_own(
        self, catalog: Catalog, writer: CatalogWriter, node: Node, definitions: Definitions
    ) -> None:
        """Writes what this agent has to say: its node and server, and the services and checks of the files."""
        port = int(self._server_address.rpartition(":")[2] or 0)
        await announce(catalog, writer, node, port=port, now_s=self._wall_clock())
        self._apply_definitions = functools.partial(
            reconcile, catalog, writer, node=node.name, new_id=self._new_id, wall_clock=self._wall_clock
        )
        await self._apply_definitions(definitions)

    def _bind(self, http: HttpServer, dns: Dns, workers: Workers) -> None:
        """Takes the addresses.

        Raises:
            ConfigError: one can't be had.
        """
        config = self._config
        for address in config.client_addresses if config.http_port >= 0 else ():
            try:
                bound = http.bind(address, config.http_port, is_shared=workers.count > 0)
                workers.listen_at(bound)
            except OSError as error:
                other_port = "--http-port (0 for a free one)"
                raise cant_listen("HTTP", address, config.http_port, error, other_port=other_port) from error
            self._listeners.setdefault("http", bound)
        self._server_address = self._listeners.get("http", "")
        bound = bind_dns(dns.server, config, workers)
        if bound:
            self._listeners["dns"] = bound

    def _ready(self, catalog: Catalog, node: Node) -> Ready:
        """What is said at the start."""
        config = self._config
        return Ready(
            version=__version__,
            node_name=config.node_name,
            node_id=node.id,
            datacenter=config.datacenter,
            advertise_addr=node.address,
            data_dir=config.data_dir,
            listeners=self._listeners,
            instances=len(catalog.services) - 1,
            index=catalog.index,
        )

    async def _serve_until_stopped(self) -> None:
        while (number := await self._signals.get()) == signal.SIGHUP:
            with contextlib.suppress(RegistaError):  # the log says it
                await self.reload()
        logger.info("%s: stopping; requests in flight are answered first", number.name)

    async def reload(self) -> None:
        """Reads the files again; what can't be used leaves everything as it was.

        Raises:
            RegistaError: it was not reloaded.
        """
        async with self._reloading:
            try:
                config = self._reload_config()
                before = self._config  # what the agent was started with, but for what is defined
                definitions = read_definitions(config, before.kind_rule, node=before.node_name)
                await self._apply_definitions(definitions)
                await self._set_watches(definitions.watches)
            except RegistaError as error:
                logger.error("the configuration was not reloaded: %s", error)  # noqa: TRY400 - the text says all
                raise
            set_up_logs(config.log_level, as_json=config.log_json)
            self._warn_of_reload(config)
            counts = len(definitions.services), len(definitions.checks), len(definitions.watches)
            logger.info("reloaded: %d services, %d checks, %d watches defined", *counts)

    def _warn_of_reload(self, config: AgentConfig) -> None:
        """Says what a reload has not brought about; each sentence of the files once."""
        for warning in config.warnings:
            if warning not in self._warned:
                logger.warning("%s", warning)
        self._warned = config.warnings
        if keys := waiting_for_restart(self._told, config):
            logger.warning("a reload does not change %s; start the agent anew for that", ", ".join(keys))

    def stop(self) -> None:
        """Begins to stop, as SIGTERM does."""
        self._signals.put_nowait(signal.SIGTERM)

    def follow_log(self, level: str, *, as_json: bool) -> LogStream:
        """The log's lines from now on.

        Raises:
            BadInput: there is no such level.
            Overloaded: as many follow it as may.
        """
        number = LEVELS.get(level.lower())
        if number is None:
            raise BadInput(f"Bad request: Unknown log level: {level}", field="loglevel")
        assert self._log_listeners is not None
        return self._log_listeners.listen(number, as_json=as_json)

    def describe_host(self) -> dict[str, Any]:
        """The machine that this agent runs on."""
        return describe_host(self._config.data_dir, now_s=self._wall_clock())

    async def _keep_house(self, writer: CatalogWriter) -> None:
        """Forgets old tombstones, again and again."""
        registry = self._config.registry
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            before_s = self._wall_clock() - registry.tombstone_retention_s
            try:
                await writer.write(
                    functools.partial(forget_tombstones, before_s=before_s, keep_max=registry.tombstones_max),
                    cause=caused_by("server", reason="forgets old tombstones"),
                )
            except RegistaError as error:
                logger.warning("old tombstones are kept for now: %s", error)


async def _refuse_definitions(_definitions: Definitions) -> None:
    """What is done with definitions before there is anything to apply them to."""
    raise StoreUnavailable("the agent is still starting; try again in a moment")


async def _refuse_watches(_watches: Iterable[Watch]) -> None:
    """As above, with watches."""
    raise StoreUnavailable("the agent is still starting; try again in a moment")


def _listen_for_signals(signals: asyncio.Queue[signal.Signals]) -> None:
    """Puts the signals that this process is sent from now on there, instead of ending it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)


def _fitting(config: AgentConfig, files_max: int) -> AgentConfig:
    """The configuration as it fits into so many open files."""
    config, warning = fit_open_files(config, files_max)
    if warning:
        logger.warning("%s", warning)
    return config


def _prepare_process() -> int:
    """Takes the open files that it may have, and has names resolved by threads of their own; how many files."""
    files_max = raise_open_files_limit()
    executor = concurrent.futures.ThreadPoolExecutor(_RESOLVER_THREADS, "regista-resolver")
    asyncio.get_running_loop().set_default_executor(executor)
    return files_max
