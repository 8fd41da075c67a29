"""What is asked of all processes of an agent together: who follows what, who asks how much, what they counted."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TypeAlias

from regista.agent.dns import DnsCounting
from regista.agent.metric_shapes import counter, gauge
from regista.agent.worker_process import WorkerProcess
from regista.agent.worker_wire import Counted
from regista.protocols.consul import Metric
from regista.protocols.dns import DnsCounters, DnsServer, summed
from regista.protocols.http import (
    ClientTraffic,
    Follower,
    Handler,
    HttpServer,
    Laggard,
    Passage,
    Request,
    Response,
    Route,
    Watchers,
)

_LOOK_S_MIN = 0.01
_LOOK_S_MAX = 0.25
"""How often workers are asked how far their watchers are, while a drain waits for them; from quick to slow."""

_ABOUT_ALL = frozenset(("/v1/agent/metrics", "/v1/regista/limits", "/v1/regista/top"))
"""Routes that tell what workers have counted."""

_GONE_ON = frozenset(("answered", "away"))
"""States of a watcher that may have gone on elsewhere."""


class Everywhere:
    """The main process and its workers, to whoever asks of all."""

    def __init__(self, workers: Sequence[WorkerProcess]) -> None:
        self._workers = workers

    # ---- counters ----

    def informed(self, routes: Iterable[Route]) -> tuple[Route, ...]:
        """The routes, of which those that tell of workers ask them before."""
        return tuple(
            dataclasses.replace(route, handler=self._informed(route.handler))
            if self._workers and route.pattern in _ABOUT_ALL
            else route
            for route in routes
        )

    def _informed(self, handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            await asyncio.gather(*(worker.count() for worker in self._workers))
            outcome = handler(request)
            return outcome if isinstance(outcome, Response) else await outcome

        return handle

    def busiest(
        self, http: HttpServer, by: Callable[[ClientTraffic], int], count: int
    ) -> tuple[Sequence[ClientTraffic], int]:
        """As the server's, with the clients of all processes."""
        if not self._workers:
            return http.busiest(by, count)
        own, unlisted = http.busiest(by, sys.maxsize)
        found: dict[tuple[str, str], ClientTraffic] = {}
        counted = _counted(self._workers)
        for clients in (own, *(each.clients for each in counted)):
            for client in clients:
                key = client.address, client.user_agent
                known = found.get(key)
                found[key] = dataclasses.replace(client) if known is None else _sum(known, client)
        ordered = sorted(found.values(), key=by, reverse=True)
        return ordered[:count], unlisted + sum(each.unlisted_requests_max for each in counted)

    def totalled(self, metrics: Iterable[Metric]) -> Iterable[Metric]:
        """The main process's metrics, of which those that count what all processes do are the sums of all."""
        counted = _counted(self._workers)
        for metric in metrics:
            field = _TOTALLED.get(metric.name)
            if field is None or not counted:
                yield metric
                continue
            ((labels, value),) = metric.values
            total = value + sum(getattr(each, field) for each in counted)
            yield dataclasses.replace(metric, values=((labels, total),))

    def read_metrics(self) -> Iterable[Metric]:
        """What each worker had counted when it was asked last."""
        workers = self._workers
        yield gauge("workers", "Read workers that answer.", sum(worker.is_up.is_set() for worker in workers))
        text = "Read workers that ended and were started again."
        yield counter("worker_restarts", text, sum(worker.restarts for worker in workers))
        for name, text, is_counter in _COUNTED:
            values = tuple(
                ({"worker": str(worker.number)}, float(getattr(worker.counted, name)))
                for worker in workers
                if worker.counted is not None
            )
            yield Metric(f"worker_{name}", text, values, is_counter=is_counter)

    def refused(self, limit: str) -> int:
        """How often workers refused a request for this limit."""
        return sum(each.refused.get(limit, 0) for each in _counted(self._workers))

    def dns(self, server: DnsServer) -> DnsCounting:
        """What is counted of DNS, with the main process's server, in all processes."""
        return _DnsEverywhere(server, self._workers)

    # ---- watchers ----

    async def wait_passed(self, watchers: Watchers, topics: Collection[str], index: int, wait_s: float) -> Passage:
        """As `Watchers.wait_passed`, of all processes."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + max(0.0, wait_s)
        pause_s = _LOOK_S_MIN
        expected = Expected(watchers.return_s)
        while True:
            followers, is_complete = await self._followers(watchers, topics, index)
            now_s = loop.time()
            passage = expected.join(followers, is_complete=is_complete, now_s=now_s)
            if now_s >= end_s or not (passage.laggards or expected.are_missing):
                return passage
            await asyncio.sleep(min(pause_s, end_s - now_s))
            pause_s = min(pause_s * 2, _LOOK_S_MAX)

    async def _followers(
        self, watchers: Watchers, topics: Collection[str], index: int
    ) -> tuple[list[Sequence[Follower]], bool]:
        """What each process knows; and whether all could be asked, and know of all."""
        links = [worker.link for worker in self._workers if worker.link is not None]
        looked = await asyncio.gather(*(link.look(list(topics), index) for link in links))
        known = [each for each in looked if each is not None]
        is_complete = (
            watchers.is_complete and len(known) == len(self._workers) and all(each.is_complete for each in known)
        )
        own = await watchers.followers(topics, index)
        return [own, *(each.followers for each in known)], is_complete


class _DnsEverywhere:
    """See `Everywhere.dns`."""

    def __init__(self, server: DnsServer, workers: Sequence[WorkerProcess]) -> None:
        self._server = server
        self._workers = workers

    @property
    def connection_count(self) -> int:
        return self._server.connection_count + sum(each.dns_connections for each in _counted(self._workers))

    @property
    def ready_count(self) -> int:
        return self._server.ready_count + sum(each.dns_ready for each in _counted(self._workers))

    def counters(self) -> DnsCounters:
        workers = [each.dns for each in _counted(self._workers) if each.dns is not None]
        return summed((self._server.counters(), *workers))


def _counted(workers: Iterable[WorkerProcess]) -> list[Counted]:
    """What they said when they were asked last, those that ever did."""
    return [worker.counted for worker in workers if worker.counted is not None]


class Expected:
    """How many watchers of each kind there have been while somebody waits for them, and whether some are missing.

    A process takes a client of a program for another of the same that has gone; of several processes one may so
    count for two. Then the others see one client fewer than there are, which has not asked again.

    Args:
        return_s: how long one that is missing is expected back.

    Attributes:
        are_missing: whether some are.
    """

    def __init__(self, return_s: float) -> None:
        self.are_missing = False
        self._return_s = return_s
        self._most: collections.Counter[_Who] = collections.Counter()
        self._missing_s: dict[_Who, float] = {}

    def join(self, processes: Sequence[Sequence[Follower]], *, is_complete: bool, now_s: float) -> Passage:
        """How far all watchers are that there were since the first call, see `join_followers`."""
        present, laggards = join_followers(processes)
        self.are_missing = False
        for who in {*present, *self._most}:
            most = self._most[who] = max(self._most[who], present[who])
            if present[who] == most:
                self._missing_s.pop(who, None)
            elif now_s - self._missing_s.setdefault(who, now_s) < self._return_s:
                self.are_missing = True
        return Passage(self._most.total(), tuple(laggards), is_complete)


_Who: TypeAlias = tuple[str, str, str]
"""What is the same for two watchers that may be one client: address, program, question."""


def join_followers(
    processes: Iterable[Sequence[Follower]],
) -> tuple[collections.Counter[_Who], list[Laggard]]:
    """How many watchers there are in all, each process knowing those of its own connections, and who lags.

    A client with a pool of connections may ask one process now and another the next time; the first then still
    takes it for somebody who was answered and has yet to ask again. So of two that are the same client by address,
    program and question, one that has passed speaks for one in another process that was only answered before, or
    whose connection was closed.

    Args:
        processes: the followers that each knows.
    """
    kept = [list(followers) for followers in processes]
    ahead = [collections.Counter(_who(each.told) for each in followers if each.has_passed) for followers in kept]
    present: collections.Counter[_Who] = collections.Counter()
    laggards: list[Laggard] = []
    for at, followers in enumerate(kept):
        for told, has_passed in followers:
            who = _who(told)
            if not has_passed and told.state in _GONE_ON:
                elsewhere = next((each for i, each in enumerate(ahead) if i != at and each[who] > 0), None)
                if elsewhere is not None:
                    elsewhere[who] -= 1  # One speaks for one.
                    continue
            present[who] += 1
            if not has_passed:
                laggards.append(told)
    return present, laggards


def _who(told: Laggard) -> _Who:
    return told.remote.rpartition(":")[0], told.user_agent, told.asks


def _sum(first: ClientTraffic, second: ClientTraffic) -> ClientTraffic:
    """The figures of one client in two processes."""
    names = ("requests", "sent_bytes", "wake_ups", "waiting", "connections")
    return dataclasses.replace(first, **{name: getattr(first, name) + getattr(second, name) for name in names})


_TOTALLED = {
    "answers_encoded": "encoded",
    "answers_waiting": "waiting",
    "http_connections": "connections",
    "http_requests": "requests",
    "response_cache_hits": "ready_hits",
    "response_cache_misses": "ready_misses",
    "watchers": "watchers",
}
"""Metrics of the agent's that are the main process's and its workers' together, by the field of `Counted`."""

_COUNTED: tuple[tuple[str, str, bool], ...] = (
    ("index", "The index of the last transaction in a read worker's replica.", False),
    ("behind_count", "Transactions that a read worker's replica has yet to take in.", False),
    ("requests", "Requests that began at a read worker.", True),
    ("connections", "Open connections of a read worker.", False),
    ("waiting", "Blocking queries that wait at a read worker.", False),
    ("watchers", "Clients that follow something at a read worker.", False),
    ("encoded", "Answers that a read worker had to make.", True),
    ("ready_hits", "Responses that a read worker had ready.", True),
    ("ready_misses", "Responses that a read worker might have had ready.", True),
    ("forwarded", "Requests that a read worker passed on to the main process.", True),
    ("dns_answers", "Questions over DNS that a read worker answered.", True),
    ("stale", "Answers about health in which a read worker said that something may be missing.", True),
)
"""The fields of `Counted` that are metrics: what they are, and whether they only grow."""
