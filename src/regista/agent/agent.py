"""The composition root: makes each part, gives it to the next, and ends them in the opposite order."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import functools
import gc
import logging
import os
import random
import resource
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from regista import __version__
from regista.agent.config import AgentConfig
from regista.agent.definitions import Definitions, read_definitions, reconcile
from regista.agent.greeting import Ready, ready_text
from regista.agent.host import describe_host
from regista.agent.identity import announce, load_node_id, own_node
from regista.agent.log_listeners import LogListeners, LogStream
from regista.agent.logs import LEVELS, add_listeners, drop_listeners, set_up_logs
from regista.agent.metrics import Metrics
from regista.agent.past import PastReplicas
from regista.agent.routes import all_routes
from regista.agent.writer import CatalogWriter
from regista.catalog import Catalog, EventRing, LockDelays, forget_tombstones
from regista.health import Probe, Scheduler, open_probes
from regista.model import BadInput, ConfigError, Node, RegistaError, StoreUnavailable, caused_by
from regista.protocols.consul import CachedQuestions, Context, Identity
from regista.protocols.http import Answers, HttpServer, RouteTable
from regista.store import SqliteStore

logger = logging.getLogger(__name__)

ApplyDefinitions = Callable[[Definitions], Awaitable[None]]

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
        self._reloading = asyncio.Lock()
        self._log_listeners: LogListeners | None = None
        self._started_s = clock()

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT.

        Raises:
            RegistaError: it can't start; the text says why.
        """
        config = self._config
        definitions = read_definitions(config.services, config.checks, node=config.node_name)
        _raise_open_files_limit()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(concurrent.futures.ThreadPoolExecutor(_RESOLVER_THREADS, "regista-resolver"))

        async with contextlib.AsyncExitStack() as ending:
            # First the log and its replica: everything else reads from it.
            catalog = Catalog(kv_deletions_max=config.kv.deletions_max)
            store = SqliteStore(config.data_dir, config.store, wall_clock=self._wall_clock)
            catalog.load(await store.open(catalog.apply))
            gc.collect()
            gc.freeze()  # What was loaded stays; the collector need not look at it again.
            ending.push_async_callback(store.close)
            writer = CatalogWriter(catalog, store, conflict_retries_max=config.registry.conflict_retries_max)

            node_id = load_node_id(config.data_dir, config.node_id, self._new_id)
            node = own_node(config.node_name, node_id, config.advertise_addr, config.node_meta)

            probes = await ending.enter_async_context(open_probes(config.health))
            scheduler = self._scheduler(catalog, writer, node, probes)
            answers = self._answers(catalog)
            past = PastReplicas(catalog, store, config.history)
            ending.push_async_callback(past.close)
            listeners = self._log_listeners = add_listeners(config.registry)
            metrics = Metrics(catalog, scheduler, answers, listeners, uptime_s=self._uptime_s)
            context = self._context(catalog, answers, writer, scheduler, node, past=past, metrics=metrics)
            routes = all_routes(
                context,
                log=store,
                past=past,
                scheduler=scheduler,
                history=config.history,
                http=lambda: http,
            )
            http = metrics.http = HttpServer(RouteTable(routes), config.http, wall_clock=self._wall_clock)

            # Addresses are taken before the records that name them are written, and answered only after.
            self._bind(http)
            port = int(self._server_address.rpartition(":")[2] or 0)
            await announce(catalog, writer, node, port=port, now_s=self._wall_clock())
            self._apply_definitions = functools.partial(
                reconcile, catalog, writer, node=node.name, new_id=self._new_id, wall_clock=self._wall_clock
            )
            await self._apply_definitions(definitions)

            scheduler.start()
            ending.push_async_callback(scheduler.stop)
            ending.push_async_callback(http.close, config.registry.shutdown_grace_s)
            # Ends first: whoever waits is answered, so that their connections can end.
            ending.callback(answers.close)
            ending.callback(drop_listeners, listeners)
            await http.start()
            housekeeping = asyncio.create_task(self._keep_house(writer))
            ending.callback(housekeeping.cancel)

            # Before it says so: whoever reads that it is ready may send a signal at once.
            _listen_for_signals(self._signals)
            self._say_ready(catalog, node, ending)
            await self._serve_until_stopped()

    def _answers(self, catalog: Catalog) -> Answers:
        """The encoded answers, and those who wait for them."""
        settings = self._config.http
        return Answers(
            catalog.topics,
            bytes_max=settings.answers_bytes_max,
            revisions_max=settings.revisions_max,
            waiting_max=settings.waiting_max,
            waiting_setting="http.waiting_max",
        )

    def _scheduler(
        self, catalog: Catalog, writer: CatalogWriter, node: Node, probes: Mapping[str, Probe]
    ) -> Scheduler:
        """Runs the checks and leases of this agent's node."""
        return Scheduler(
            catalog=catalog,
            node=node.name,
            writer=writer,
            settings=self._config.health,
            clock=self._clock,
            wall_clock=self._wall_clock,
            rng=self._rng,
            probes=probes,
        )

    def _context(
        self,
        catalog: Catalog,
        answers: Answers,
        writer: CatalogWriter,
        scheduler: Scheduler,
        node: Node,
        *,
        past: PastReplicas,
        metrics: Metrics,
    ) -> Context:
        """What the Consul door works with."""
        identity = Identity(
            node_name=node.name,
            node_id=node.id,
            datacenter=self._config.datacenter,
            address=node.address,
            server_address=lambda: self._server_address,
            version=__version__,
            started_s=self._wall_clock(),
        )
        return Context(
            catalog=catalog,
            answers=answers,
            writer=writer,
            health=scheduler,
            past=past,
            control=self,
            metrics=metrics.read,
            identity=identity,
            cached_questions=CachedQuestions(self._config.http.revisions_max),
            settings=self._config.http,
            wall_clock=self._wall_clock,
            new_id=self._new_id,
            wait_jitter=self._rng.random,
            shuffle=self._rng.shuffle,
            events=EventRing(catalog.topics, events_max=self._config.events.kept_max),
            event_settings=self._config.events,
            kv_settings=self._config.kv,
            lock_delays=LockDelays(catalog, clock=self._clock, count_max=self._config.kv.lock_delays_max),
        )

    def _bind(self, http: HttpServer) -> None:
        """Takes the addresses.

        Raises:
            ConfigError: one can't be had.
        """
        config = self._config
        if config.http_port < 0:
            return
        for address in config.client_addresses:
            try:
                bound = http.bind(address, config.http_port)
            except OSError as error:
                raise ConfigError(
                    f"HTTP can't listen on {address}:{config.http_port}: {error.strerror or error}. Stop what "
                    "uses it, or give another --http-port (0 for a free one) or --client."
                ) from error
            self._listeners.setdefault("http", bound)
        self._server_address = self._listeners["http"]

    def _say_ready(self, catalog: Catalog, node: Node, ending: contextlib.AsyncExitStack) -> None:
        """Tells people on standard output, and programs in the PID file and the ready file; both go at the end."""
        config = self._config
        if config.pid_file:
            _write_whole(config.pid_file, b"%d\n" % os.getpid())
            ending.callback(config.pid_file.unlink, missing_ok=True)
        ready = Ready(
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
        print(self._greet(ready), flush=True)  # noqa: T201 - the one thing that the agent says to its starter
        for warning in config.warnings:
            logger.warning("%s", warning)
        if config.ready_file:
            _write_whole(config.ready_file, msgspec.json.encode({"pid": os.getpid(), **self._listeners}) + b"\n")
            ending.callback(config.ready_file.unlink, missing_ok=True)

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
                definitions = read_definitions(config.services, config.checks, node=self._config.node_name)
                await self._apply_definitions(definitions)
            except RegistaError as error:
                logger.error("the configuration was not reloaded: %s", error)  # noqa: TRY400 - the text says all
                raise
            set_up_logs(config.log_level, as_json=config.log_json)
            logger.info("reloaded: %d services, %d checks defined", len(config.services), len(config.checks))

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

    def _uptime_s(self) -> float:
        return self._clock() - self._started_s

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


def _listen_for_signals(signals: asyncio.Queue[signal.Signals]) -> None:
    """Puts the signals that this process is sent from now on there, instead of ending it."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)


def _raise_open_files_limit() -> None:
    """Takes as many open files as the system grants: every waiting client holds one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _write_whole(path: Path, content: bytes) -> None:
    """Writes the file so that a reader sees all of it or none."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"the file {path} can't be written: {error.strerror}") from error
