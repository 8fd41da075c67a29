"""What the Consul door works with, from the parts of an agent."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterable

from regista import __version__
from regista.agent.config import AgentConfig
from regista.agent.dns import Dns, listening
from regista.agent.log import Log
from regista.agent.past import PastReplicas
from regista.catalog import EventRing, LockDelays
from regista.health import Scheduler
from regista.model import Node
from regista.protocols.consul import CachedQuestions, Context, Control, Identity, Metric
from regista.protocols.http import Answers


def make_context(
    log: Log,
    config: AgentConfig,
    *,
    node: Node,
    answers: Answers,
    scheduler: Scheduler,
    past: PastReplicas,
    control: Control,
    dns: Dns,
    metrics: Callable[[], Iterable[Metric]],
    server_address: Callable[[], str],
    new_id: Callable[[], str],
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
) -> Context:
    """The context of an agent's Consul door.

    Args:
        control: the agent as a process.
        server_address: where HTTP listens; "" before it does.
        new_id: a fresh UUID each time.
    """
    catalog = log.catalog
    identity = Identity(
        node_name=node.name,
        node_id=node.id,
        datacenter=config.datacenter,
        address=node.address,
        server_address=server_address,
        version=__version__,
        started_s=wall_clock(),
        listening=functools.partial(listening, dns.server, config),
    )
    return Context(
        catalog=catalog,
        answers=answers,
        writer=log.writer,
        health=scheduler,
        past=past,
        control=control,
        metrics=metrics,
        identity=identity,
        cached_questions=CachedQuestions(config.http.revisions_max),
        settings=config.http,
        wall_clock=wall_clock,
        new_id=new_id,
        wait_jitter=rng.random,
        shuffle=rng.shuffle,
        events=EventRing(catalog.topics, events_max=config.events.kept_max),
        event_settings=config.events,
        degrading=config.degrading,
        standing=log.standing,
        drain_settings=config.drain,
        kv_settings=config.kv,
        lock_delays=LockDelays(catalog, clock=clock, count_max=config.kv.lock_delays_max),
        kind_rule=config.kind_rule,
    )
