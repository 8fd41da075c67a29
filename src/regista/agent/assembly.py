"""The parts of an agent, each made and given to the next; nothing of it listens, writes or runs yet."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable
from typing import TypedDict

from regista.agent.answers import make_answers
from regista.agent.config import AgentConfig
from regista.agent.context import make_context
from regista.agent.dns import Dns, make_dns, watch_names
from regista.agent.identity import load_node_id, own_node
from regista.agent.instances import make_instance_feed
from regista.agent.judging import make_scheduler
from regista.agent.limit_metrics import FollowingMetrics, LimitMetrics
from regista.agent.limits import AgentLimits, Parts
from regista.agent.log import Log, open_log
from regista.agent.log_listeners import LogListeners
from regista.agent.logs import add_listeners
from regista.agent.metrics import make_metrics
from regista.agent.notifying import Notifying, notifying
from regista.agent.past import PastReplicas
from regista.agent.routes import all_routes
from regista.agent.workers import Workers
from regista.health import Scheduler, open_probes
from regista.model import Node
from regista.protocols.consul import Context, Control
from regista.protocols.http import Answers, HttpServer, ResponseCache, RouteTable
from regista.protocols.native import InstanceFeed


class Means(TypedDict):
    """The clocks and the dice that parts are given."""

    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    rng: random.Random


@dataclasses.dataclass(frozen=True, slots=True)
class Surroundings:
    """What parts are told of the agent that they belong to.

    Attributes:
        new_id: a fresh UUID each time.
        server_address: where HTTP listens; "" before it does.
        uptime_s: since the start.
    """

    means: Means
    control: Control
    new_id: Callable[[], str]
    server_address: Callable[[], str]
    uptime_s: Callable[[], float]


@dataclasses.dataclass(frozen=True, slots=True)
class Inner:
    """The parts behind the doors."""

    log: Log
    node: Node
    scheduler: Scheduler
    answers: Answers
    workers: Workers
    past: PastReplicas
    news: Notifying
    listeners: LogListeners
    dns: Dns


@dataclasses.dataclass(frozen=True, slots=True)
class Doors:
    """What answers over HTTP, and what it is made of."""

    context: Context
    instances: InstanceFeed
    limits: AgentLimits
    table: RouteTable
    http: HttpServer


async def make_inner(config: AgentConfig, around: Surroundings, ending: contextlib.AsyncExitStack) -> Inner:
    """The log with its replica, and all that reads from it; `ending` closes what has to be closed.

    Raises:
        RegistaError: something can't be had; the text says why.
    """
    means = around.means
    # First the log and its replica: everything else reads from it.
    log = await open_log(config, clock=means["clock"], wall_clock=means["wall_clock"])
    ending.push_async_callback(log.store.close)
    node_id = load_node_id(config.data_dir, config.node_id, around.new_id)
    node = own_node(config.node_name, node_id, config.advertise_addr, config.node_meta)
    probes = await ending.enter_async_context(open_probes(config.health))
    watch_names(log.catalog, config)
    scheduler = make_scheduler(log, probes, config, node=node.name, **means)
    answers = make_answers(log.catalog, config)
    workers = Workers(log, answers, config, clock=means["clock"])
    past = PastReplicas(log.catalog, log.store, config.history)
    ending.push_async_callback(past.close)
    news = await ending.enter_async_context(
        notifying(log, scheduler, config, **means, new_id=around.new_id, address=around.server_address)
    )
    return Inner(
        log=log,
        node=node,
        scheduler=scheduler,
        answers=answers,
        workers=workers,
        past=past,
        news=news,
        listeners=add_listeners(config.registry),
        dns=make_dns(log.catalog, config, is_unknown=log.standing.is_unknown, **means),
    )


def make_doors(inner: Inner, config: AgentConfig, around: Surroundings) -> Doors:
    """The HTTP doors before the parts."""
    log, news, everywhere = inner.log, inner.news, inner.workers.everywhere
    metrics = make_metrics(
        log,
        inner.scheduler,
        inner.answers,
        inner.listeners,
        news=news,
        dns=everywhere.dns(inner.dns.server),
        config=config,
        uptime_s=around.uptime_s,
    )
    context = make_context(
        log,
        config,
        node=inner.node,
        answers=inner.answers,
        scheduler=inner.scheduler,
        past=inner.past,
        control=around.control,
        dns=inner.dns,
        metrics=lambda: everywhere.totalled(metrics.read()),
        server_address=around.server_address,
        new_id=around.new_id,
        **around.means,
    )
    instances = make_instance_feed(context, config.streams)
    limited = Parts(log, inner.answers, inner.past, news, inner.listeners, inner.dns.server)
    limits = AgentLimits(limited, config, refused_elsewhere=everywhere.refused)
    routes = all_routes(
        context,
        log=log.store,
        past=inner.past,
        feed=news.feed,
        instances=instances,
        limits=limits,
        webhooks=news.webhooks,
        alerts=news.alerts.desk,
        scheduler=inner.scheduler,
        store_state=log.state,
        history=config.history,
        passive=config.passive,
        busiest=lambda by, count: everywhere.busiest(http, by, count),
        explain_name=inner.dns.explainer.explain,
    )
    table = RouteTable(everywhere.informed(routes))
    news.door.open(table)
    http = metrics.http = HttpServer(
        table,
        config.http,
        wall_clock=around.means["wall_clock"],
        responses=ResponseCache(log.catalog.topics, bytes_max=config.http.response_cache_bytes_max),
        response_headers=tuple(config.response_headers.items()),
    )
    limits.watch(http, instances)
    metrics.add(LimitMetrics(limits).read, FollowingMetrics(instances).read, everywhere.read_metrics)
    return Doors(context, instances, limits, table, http)
