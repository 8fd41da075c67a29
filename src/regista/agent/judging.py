"""The scheduler of this agent's checks and leases."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from regista.agent.config import AgentConfig
from regista.agent.log import Log
from regista.health import Probe, Scheduler


def make_scheduler(
    log: Log,
    probes: Mapping[str, Probe],
    config: AgentConfig,
    *,
    node: str,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
) -> Scheduler:
    """Runs the checks and leases of a node, once it is started."""
    return Scheduler(
        catalog=log.catalog,
        node=node,
        writer=log.writer,
        settings=config.health,
        clock=clock,
        wall_clock=wall_clock,
        rng=rng,
        probes=probes,
        kind_rule=config.kind_rule,
        passive=config.passive,
        is_store_away=lambda: log.state.stale_s() is not None,
    )
