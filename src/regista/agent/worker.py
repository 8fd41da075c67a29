"""A read worker: a process that answers reads from a replica of its own, and passes on everything else.

It is started by the main process (`workers`), which tells it all that it needs on its standard input; it ends when
the main process does. Run as `python -m regista.agent.worker`, by nobody else.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import gc
import logging
import os
import pickle
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Awaitable
from typing import Any, cast

import uvloop

from regista import __version__
from regista.agent.answers import make_answers
from regista.agent.dns import make_dns
from regista.agent.ids import Ids
from regista.agent.instances import make_instance_feed
from regista.agent.logs import set_up_logs
from regista.agent.open_files import OpenFilesWatch
from regista.agent.process import raise_open_files_limit, tune_garbage_collection
from regista.agent.routes import Nothing, replicated_routes
from regista.agent.shared_page import SharedPage
from regista.agent.worker_control import ControlClient
from regista.agent.worker_forwarding import Forwarder
from regista.agent.worker_freshness import CurrentTopics, Freshness
from regista.agent.worker_orders import WorkerOrders
from regista.agent.worker_wire import Count, Counted, Look, Looked
from regista.catalog import Asides, Catalog, EventRing, LockDelays
from regista.model import RegistaError, StoreUnavailable
from regista.protocols.consul import CachedQuestions, Context, Identity, PresentStanding
from regista.protocols.dns import DnsServer, adopt_pair
from regista.protocols.http import (
    Answers,
    Handler,
    HttpServer,
    Overload,
    Request,
    Response,
    ResponseCache,
    Route,
    RouteTable,
    Use,
)
from regista.protocols.native import InstanceFeed
from regista.store import RemoteStore, unix_connection

logger = logging.getLogger(__name__)


_END_S = 0.1
"""Between the end of a process's connections and the end of the process."""


class Worker:
    """One worker, from its orders to its end."""

    def __init__(self, orders: WorkerOrders, files: OpenFilesWatch) -> None:
        self._orders = orders
        self._files = files
        self._config = orders.config
        self._rng = random.Random()  # noqa: S311 - spreads work in time; guards nothing
        self._new_id = Ids().new
        self._ended = asyncio.Event()
        self._is_orphan = False

    async def run(self) -> None:
        """Answers until SIGTERM, or the end of the main process.

        Raises:
            StoreUnavailable: there is no main process.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._ended.set)
        catalog, store = await self._follow()
        freshness = Freshness(SharedPage(self._orders.page), catalog, store, clock=time.monotonic)
        forwarder = Forwarder(self._orders.calls_path, freshness.catch_up)
        answers = make_answers(catalog, self._config)
        context = self._context(catalog, answers, freshness)
        instances = make_instance_feed(context, self._config.streams)
        topics = CurrentTopics(catalog, freshness)
        http = self._http(RouteTable(_worker_routes(context, instances, freshness, forwarder)), topics)
        overload = self._overload(answers, http)
        dns = self._dns(context, freshness)
        await http.start()
        await dns.start()
        freshness.start()
        overload.start()
        self._files.start()
        await self._report(_Told(context, freshness, forwarder, http, dns), store)
        await self._ended.wait()
        # As the main process ends: whoever waits is answered, so that their connections can end.
        instances.close()
        answers.close()
        overload.stop()
        self._files.stop()
        freshness.stop()
        await dns.close()
        await http.close(0.0 if self._is_orphan else self._config.registry.shutdown_grace_s)
        forwarder.close()
        await store.close()
        if self._is_orphan:
            await self._clear_up()
            raise StoreUnavailable("the main process has ended; start the agent again")

    async def _follow(self) -> tuple[Catalog, RemoteStore]:
        """The replica, and what it follows."""
        catalog = Catalog(kv_deletions_max=self._config.kv.deletions_max)
        store = RemoteStore(
            unix_connection(self._orders.log_path),
            name=f"worker {self._orders.number}",
            on_aside=Asides(catalog).say,
            on_renewed=catalog.renew,
        )
        catalog.load(await store.open(catalog.apply))
        gc.collect()
        gc.freeze()  # What was loaded stays; the collector need not look at it again.
        return catalog, store

    def _http(self, table: RouteTable, topics: CurrentTopics) -> HttpServer:
        """The server at the sockets that it was given."""
        config = self._config
        http = HttpServer(
            table,
            config.http,
            wall_clock=time.time,
            responses=ResponseCache(topics, bytes_max=config.http.response_cache_bytes_max),
            response_headers=tuple(config.response_headers.items()),
        )
        for descriptor in self._orders.sockets:
            http.adopt(socket.socket(fileno=descriptor))
        return http

    def _dns(self, context: Context, freshness: Freshness) -> DnsServer:
        """The DNS server at the sockets that it was given."""
        standing = context.standing
        assert isinstance(standing, PresentStanding)
        dns = make_dns(
            context.catalog,
            self._config,
            is_unknown=standing.is_unknown,
            clock=time.monotonic,
            wall_clock=time.time,
            rng=self._rng,
            catch_up=lambda: freshness.catch_up() if freshness.is_behind else None,
        ).server
        for filenos in self._orders.dns_sockets:
            dns.adopt(adopt_pair(filenos))
        return dns

    async def _report(self, told: _Told, store: RemoteStore) -> None:
        """Says that it answers, and is there to be asked."""
        _, control = await asyncio.get_running_loop().create_unix_connection(
            lambda: ControlClient(
                self._orders.number,
                look=functools.partial(told.look, store),
                count=told.count,
                on_lost=self._lose_main,
            ),
            str(self._orders.control_path),
        )
        control.say_ready()

    def _lose_main(self) -> None:
        if not self._ended.is_set():
            self._is_orphan = True
            self._ended.set()

    async def _clear_up(self) -> None:
        """Takes away what a main process that was killed has left; nobody else does."""
        await asyncio.sleep(_END_S)
        if os.getppid() != self._orders.main_pid:
            shutil.rmtree(self._orders.log_path.parent, ignore_errors=True)

    def _context(self, catalog: Catalog, answers: Answers, freshness: Freshness) -> Context:
        """What the Consul door works with, as far as reads of the replica need it."""
        orders, config = self._orders, self._config
        nothing = cast("Any", Nothing())
        left_s = max(0.0, orders.settles_s - time.monotonic()) if orders.settles_s else 0.0
        return Context(
            catalog=catalog,
            answers=answers,
            writer=_Barriers(catalog),
            health=nothing,
            past=nothing,
            control=nothing,
            metrics=nothing,
            identity=Identity(
                node_name=orders.node_name,
                node_id=orders.node_id,
                datacenter=config.datacenter,
                address=orders.address,
                server_address=lambda: orders.server_address,
                version=__version__,
                started_s=orders.started_s,
            ),
            cached_questions=CachedQuestions(config.http.revisions_max),
            settings=config.http,
            wall_clock=time.time,
            new_id=self._new_id,
            wait_jitter=self._rng.random,
            shuffle=self._rng.shuffle,
            events=EventRing(catalog.topics, events_max=1),
            event_settings=config.events,
            degrading=config.degrading,
            standing=PresentStanding(catalog, freshness.stale_s, settling_s=left_s, clock=time.monotonic),
            drain_settings=config.drain,
            kv_settings=config.kv,
            lock_delays=LockDelays(catalog, clock=time.monotonic, count_max=config.kv.lock_delays_max),
            kind_rule=config.kind_rule,
        )

    def _overload(self, answers: Answers, http: HttpServer) -> Overload:
        """What this process refuses for its own load; what it passes on, the main process may refuse."""
        settings = self._config.http
        overload = Overload(
            self._config.overload,
            commits=lambda: Use("store.commit_queue_max", 0, self._config.store.commit_queue_max),
            waiting=lambda: Use("http.waiting_max", answers.waiting_count, settings.waiting_max),
            connections=lambda: Use("http.connections_max", http.connection_count, settings.connections_max),
        )
        http.shed(overload)
        return overload


class _Barriers:
    """The writer of a process that has none: what writes is passed on, and reads were held back before."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def write(self, *_: Any, **__: Any) -> int:
        """Never called."""
        raise AssertionError("a worker writes nothing itself")

    write_alone = write

    async def barrier(self) -> int:
        """The replica's index; see `_Fresh.answer`."""
        return self._catalog.index


class _Fresh:
    """A route whose answers rest on the replica, given once that has everything."""

    def __init__(self, route: Route, freshness: Freshness, forwarder: Forwarder) -> None:
        self._handler = route.handler
        self._freshness = freshness
        self._forwarder = forwarder

    def answer(self, request: Request) -> Response | Awaitable[Response]:
        """The answer from the replica; or the main process's, where the replica does not do."""
        parameters = request.parameters
        if parameters.text and ("at" in parameters or "cached" in parameters):
            # These rest on more than the replica: the log, and what was asked before.
            return self._forwarder.forward(request)
        # Who says `stale` takes what is there; but a wait that begins before its index might miss what is undone.
        if self._freshness.is_behind and ("stale" not in parameters or "index" in parameters):
            return self._answer_later(request)
        return self._handler(request)

    async def _answer_later(self, request: Request) -> Response:
        parameters = request.parameters
        if not await self._freshness.catch_up() and ("index" in parameters or "consistent" in parameters):
            return await self._forwarder.forward(request)
        outcome = self._handler(request)
        return outcome if isinstance(outcome, Response) else await outcome


def _worker_routes(
    context: Context, instances: InstanceFeed, freshness: Freshness, forwarder: Forwarder
) -> tuple[Route, ...]:
    """All routes: those that rest on the replica as they are, the others passed on."""
    routes = replicated_routes(context, instances)
    return tuple(
        dataclasses.replace(
            route,
            handler=_Fresh(route, freshness, forwarder).answer if route.is_replicated else _passed_on(forwarder),
        )
        for route in routes
    )


def _passed_on(forwarder: Forwarder) -> Handler:
    """A handler for one route; the table tells routes apart by theirs."""
    return functools.partial(forwarder.forward)


class _Told:
    """Tells what a worker knows when the main process asks."""

    def __init__(
        self,
        context: Context,
        freshness: Freshness,
        forwarder: Forwarder,
        http: HttpServer,
        dns: DnsServer,
    ) -> None:
        self._context = context
        self._freshness = freshness
        self._forwarder = forwarder
        self._http = http
        self._dns = dns

    async def look(self, store: RemoteStore, question: Look) -> Looked:
        """Who follows what here."""
        await store.reached(question.index)
        watchers = self._context.answers.watchers
        followers = await watchers.followers(question.topics, question.index)
        return Looked(question.number, followers, watchers.is_complete)

    def count(self, question: Count) -> Counted:
        """As of now."""
        http, answers = self._http, self._context.answers
        standing = self._context.standing
        assert isinstance(standing, PresentStanding)
        clients, unlisted_requests_max = http.busiest(lambda client: client.requests, _CLIENTS_MAX)
        return Counted(
            question.number,
            index=self._context.catalog.index,
            behind_count=self._freshness.behind_count,
            requests=http.requests_count,
            connections=http.connection_count,
            waiting=answers.waiting_count,
            watchers=answers.watchers.count,
            encoded=answers.encoded_count,
            ready_hits=http.responses.hits_count,
            ready_misses=http.responses.misses_count,
            forwarded=self._forwarder.calls_count,
            stale=standing.given["stale"],
            clients=clients,
            unlisted_requests_max=unlisted_requests_max,
            dns=self._dns.counters(),
            dns_ready=self._dns.ready_count,
            dns_connections=self._dns.connection_count,
            refused=dict(http.refused),
        )


_CLIENTS_MAX = 1000
"""As many as are ever listed, see `/v1/regista/top`."""


def main() -> int:
    """Runs a worker; the exit status."""
    orders = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    assert isinstance(orders, WorkerOrders)
    set_up_logs(orders.config.log_level, as_json=orders.config.log_json)
    tune_garbage_collection()
    files = OpenFilesWatch(raise_open_files_limit())
    try:
        uvloop.run(Worker(orders, files).run())
    except RegistaError as error:
        logger.error("worker %d ends: %s", orders.number, error)  # noqa: TRY400 - the text says all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
