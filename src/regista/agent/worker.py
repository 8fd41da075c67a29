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
import pickle
import random
import signal
import socket
import sys
import time
from collections.abc import Awaitable
from typing import Any, cast

import uvloop

from regista import __version__
from regista.agent.answers import make_answers
from regista.agent.ids import Ids
from regista.agent.instances import make_instance_feed
from regista.agent.logs import set_up_logs
from regista.agent.process import raise_open_files_limit, tune_garbage_collection
from regista.agent.routes import Nothing, all_routes
from regista.agent.shared_page import SharedPage
from regista.agent.worker_control import ControlClient
from regista.agent.worker_forwarding import Forwarder
from regista.agent.worker_freshness import CurrentTopics, Freshness
from regista.agent.worker_orders import WorkerOrders
from regista.agent.worker_wire import Count, Counted, Look, Looked
from regista.catalog import Asides, Catalog, EventRing, LockDelays
from regista.model import RegistaError, StoreUnavailable
from regista.protocols.consul import CachedQuestions, Context, Identity, PresentStanding
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


class Worker:
    """One worker, from its orders to its end."""

    def __init__(self, orders: WorkerOrders) -> None:
        self._orders = orders
        self._config = orders.config
        self._rng = random.Random()  # noqa: S311 - spreads work in time; guards nothing
        self._new_id = Ids().new
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Answers until SIGTERM, or the end of the main process.

        Raises:
            StoreUnavailable: there is no main process.
        """
        orders, config = self._orders, self._config
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ended.set)
        catalog = Catalog(kv_deletions_max=config.kv.deletions_max)
        asides = Asides(catalog)
        store = RemoteStore(
            unix_connection(orders.log_path),
            name=f"worker {orders.number}",
            on_aside=asides.say,
            on_renewed=catalog.renew,
        )
        catalog.load(await store.open(catalog.apply))
        gc.collect()
        gc.freeze()  # What was loaded stays; the collector need not look at it again.
        freshness = Freshness(SharedPage(orders.page), catalog, store, clock=time.monotonic)
        forwarder = Forwarder(orders.calls_path, freshness.catch_up)
        answers = make_answers(catalog, config)
        context = self._context(catalog, answers, freshness)
        instances = make_instance_feed(context, config.streams)
        routes = _worker_routes(context, instances, freshness, forwarder)
        responses = ResponseCache(
            CurrentTopics(catalog, freshness), bytes_max=config.http.response_cache_bytes_max
        )
        http = HttpServer(
            RouteTable(routes),
            config.http,
            wall_clock=time.time,
            responses=responses,
            response_headers=tuple(config.response_headers.items()),
        )
        for descriptor in orders.sockets:
            http.adopt(socket.socket(fileno=descriptor))
        overload = self._overload(answers, http)
        counting = _Counting(context, freshness, forwarder, http)
        await http.start()
        freshness.start()
        overload.start()
        _, control = await loop.create_unix_connection(
            lambda: ControlClient(
                orders.number,
                look=functools.partial(_look, answers, store),
                count=counting.count,
                on_lost=self._ended.set,
            ),
            str(orders.control_path),
        )
        control.say_ready()
        lost = asyncio.create_task(store.lost.wait())
        lost.add_done_callback(lambda _: self._ended.set())
        await self._ended.wait()
        # As the main process ends: whoever waits is answered, so that their connections can end.
        is_orphan = store.lost.is_set()
        instances.close()
        answers.close()
        overload.stop()
        freshness.stop()
        await http.close(0.0 if is_orphan else config.registry.shutdown_grace_s)
        forwarder.close()
        await store.close()
        if is_orphan:
            raise StoreUnavailable("the main process has ended; start the agent again")

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
    nothing = cast("Any", Nothing())
    routes = all_routes(
        context,
        log=nothing,
        past=nothing,
        feed=nothing,
        instances=instances,
        limits=nothing,
        webhooks=nothing,
        alerts=nothing,
        scheduler=nothing,
        store_state=nothing,
        history=nothing,
        passive=nothing,
        busiest=nothing,
        explain_name=nothing,
    )
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


async def _look(answers: Answers, store: RemoteStore, question: Look) -> Looked:
    await store.reached(question.index)
    followers = await answers.watchers.followers(question.topics, question.index)
    return Looked(question.number, followers, answers.watchers.is_complete)


class _Counting:
    """Gathers what a worker has counted."""

    def __init__(self, context: Context, freshness: Freshness, forwarder: Forwarder, http: HttpServer) -> None:
        self._context = context
        self._freshness = freshness
        self._forwarder = forwarder
        self._http = http

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
        )


_CLIENTS_MAX = 1000
"""As many as are ever listed, see `/v1/regista/top`."""


def main() -> int:
    """Runs a worker; the exit status."""
    orders = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this one
    assert isinstance(orders, WorkerOrders)
    set_up_logs(orders.config.log_level, as_json=orders.config.log_json)
    tune_garbage_collection()
    raise_open_files_limit()
    try:
        uvloop.run(Worker(orders).run())
    except RegistaError as error:
        logger.error("worker %d ends: %s", orders.number, error)  # noqa: TRY400 - the text says all
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
