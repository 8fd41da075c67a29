"""Who tells others of what changes: the event stream, webhooks and watches, over this agent's log and doors."""

from __future__ import annotations

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import aiohttp

from regista import __version__
from regista.agent.alerting import Alerting, make_alerting
from regista.agent.config import AgentConfig
from regista.agent.feed import make_feed, make_tail
from regista.agent.log import Log
from regista.agent.own_door import OwnDoor
from regista.health import Scheduler
from regista.notify import (
    AddressRule,
    BatchEvents,
    Cursors,
    HttpSender,
    Means,
    RetryPolicy,
    Watches,
    Webhooks,
    open_sender,
)
from regista.protocols.native import EventFeed
from regista.store import LogTail


def sender_of(
    config: AgentConfig, *, clock: Callable[[], float], wall_clock: Callable[[], float]
) -> contextlib.AbstractAsyncContextManager[HttpSender]:
    """What messages are sent with, within the limits of the configuration.

    Raises:
        ConfigError: `notify.deny` names what is no network.
    """
    settings = config.notify
    return open_sender(
        AddressRule(allow_private=settings.allow_private, deny=settings.deny),
        timeout_s=settings.timeout_s,
        clock=clock,
        wall_clock=wall_clock,
        user_agent=f"regista/{__version__}",
    )


def retry_policy(config: AgentConfig) -> RetryPolicy:
    """How patient deliveries are."""
    settings = config.notify
    return RetryPolicy(
        first_s=settings.retry_first_s,
        most_s=settings.retry_most_s,
        attempts_max=settings.attempts_max,
        refusals_max=settings.refusals_max,
        age_max_s=settings.age_max_s,
    )


def make_webhooks(
    log: Log,
    tail: LogTail,
    sender: HttpSender,
    config: AgentConfig,
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
    new_id: Callable[[], str],
) -> Webhooks:
    """Who delivers the log's events to subscriptions; not started."""
    settings = config.notify
    means = Means(
        tail=tail,
        events=BatchEvents(),
        sender=sender,
        writer=log.writer,
        cursors=Cursors(log.writer, every_s=settings.cursor_s),
        policy=retry_policy(config),
        dead_letters_max=settings.dead_letters_max,
        wall_clock=wall_clock,
        rng=rng,
        source=f"/regista/{config.datacenter}",
    )
    return Webhooks(log.catalog, means, clock=clock, new_id=new_id, settings=settings)


class Notifying(NamedTuple):
    """All that tells others of what changes.

    Attributes:
        tail: the log as it grows.
        feed: where clients listen.
        sender: what messages are sent with.
        watches: those of the configuration; they ask at `door`, which is to be opened before.
    """

    tail: LogTail
    feed: EventFeed
    sender: HttpSender
    webhooks: Webhooks
    watches: Watches
    door: OwnDoor
    alerts: Alerting

    def start_sending(self, ending: contextlib.AsyncExitStack, *, grace_s: float) -> None:
        """Starts webhooks and alerts, until the end of a block."""
        self.webhooks.start()
        ending.push_async_callback(self.webhooks.stop, grace_s)
        self.alerts.engine.start()
        ending.push_async_callback(self.alerts.engine.stop)


@contextlib.asynccontextmanager
async def notifying(
    log: Log,
    scheduler: Scheduler,
    config: AgentConfig,
    *,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    rng: random.Random,
    new_id: Callable[[], str],
    address: Callable[[], str],
) -> AsyncIterator[Notifying]:
    """Makes them; each is still to be started.

    Args:
        address: where this agent's HTTP answers, as `host:port`.

    Raises:
        ConfigError: see `sender_of`.
    """
    tail = make_tail(log.catalog, log.store, config)
    feed = make_feed(
        log.catalog, tail, config, wall_clock=wall_clock, awaited_count=lambda: log.store.waiting_count
    )
    door = OwnDoor()
    async with (
        sender_of(config, clock=clock, wall_clock=wall_clock) as sender,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        webhooks = make_webhooks(
            log, tail, sender, config, clock=clock, wall_clock=wall_clock, rng=rng, new_id=new_id
        )
        alerts = make_alerting(
            log, scheduler, sender, config, clock=clock, wall_clock=wall_clock, rng=rng, address=address
        )
        yield Notifying(tail, feed, sender, webhooks, Watches(door, session), door, alerts)
