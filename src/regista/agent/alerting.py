"""Alerts over this agent's log, its checks and its store."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from regista.agent.config import AgentConfig
from regista.agent.log import Log
from regista.health import Scheduler
from regista.notify import (
    AlertDesk,
    AlertEngine,
    AlertSender,
    AlertSources,
    AppriseSender,
    HttpSender,
    RetryPolicy,
)

_ALERTS_PATH = "/v1/regista/alerts"


class Alerting(NamedTuple):
    """What looks after alerts.

    Attributes:
        engine: to be started.
        desk: where doors ask.
    """

    engine: AlertEngine
    desk: AlertDesk


def make_alerting(
    log: Log,
    scheduler: Scheduler,
    sender: HttpSender,
    config: AgentConfig,
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
    address: Callable[[], str],
) -> Alerting:
    """What looks after alerts; not started.

    Args:
        address: where this agent's HTTP answers, as `host:port`.
    """
    settings = config.alerts
    alert_sender = AlertSender(
        sender,
        AppriseSender(
            timeout_s=settings.apprise_timeout_s,
            allows_private=config.notify.allow_private,
            host_problem=sender.host_problem,
        ),
        settings,
        link=lambda: (settings.url.rstrip("/") or f"http://{address()}") + _ALERTS_PATH,
        source=f"/regista/{config.datacenter}",
        wall_clock=wall_clock,
    )
    engine = AlertEngine(
        log.writer,
        alert_sender,
        settings,
        _patience(config),
        AlertSources(
            catalog=log.catalog,
            protections=scheduler.protections,
            store_away_s=log.state.stale_s,
            wall_clock=wall_clock,
        ),
        listening=scheduler.listening.now_s,
        clock=clock,
        jitter=rng.random,
    )
    return Alerting(engine, AlertDesk(log.catalog, log.writer, engine, alert_sender, settings))


def _patience(config: AgentConfig) -> RetryPolicy:
    """How long is waited between attempts; no alert is given up while it fires."""
    return RetryPolicy(
        first_s=config.notify.retry_first_s,
        most_s=config.notify.retry_most_s,
        attempts_max=2**62,
        refusals_max=2**62,
        age_max_s=float("inf"),
    )
