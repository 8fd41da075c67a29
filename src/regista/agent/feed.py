"""Where clients listen to what changes, over this agent's log."""

from __future__ import annotations

import time
from collections.abc import Callable

from regista.agent.config import AgentConfig
from regista.catalog import Catalog
from regista.protocols.native import EventFeed
from regista.store import LogTail, Store


def make_tail(catalog: Catalog, store: Store, config: AgentConfig) -> LogTail:
    """The log as it grows, for all who follow it."""
    tail = LogTail(store, index=catalog.index, batches_max=config.streams.batches_max)
    catalog.subscribe(tail.push)
    return tail


def make_feed(
    catalog: Catalog,
    tail: LogTail,
    config: AgentConfig,
    *,
    wall_clock: Callable[[], float],
    awaited_count: Callable[[], int],
) -> EventFeed:
    """The feed of a replica's changes, within the limits of the configuration.

    Args:
        tail: is given each batch before the feed is.
        awaited_count: how many writes wait for the store.
    """
    settings = config.streams
    feed = EventFeed(
        tail,
        source=f"/regista/{config.datacenter}",
        streams_max=settings.listeners_max,
        heartbeat_s=settings.heartbeat_s,
        backlog_bytes_max=settings.backlog_bytes_max,
        # What others take of the processor meanwhile is no work of the feed's.
        clock=time.thread_time,
        wall_clock=wall_clock,
        awaited_count=awaited_count,
    )
    catalog.subscribe(feed.push)
    return feed
