"""The log and its replica: what everything else of an agent reads from and writes to."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import NamedTuple

from regista.agent.config import AgentConfig
from regista.agent.store_state import StoreState, settling_left_s
from regista.agent.writer import CatalogWriter
from regista.catalog import Catalog
from regista.protocols.consul import PresentStanding
from regista.store import SqliteStore


class Log(NamedTuple):
    """A log that is open.

    Attributes:
        state: what the writes tell of the store.
        standing: how far answers from the replica can be relied on.
    """

    catalog: Catalog
    store: SqliteStore
    writer: CatalogWriter
    state: StoreState
    standing: PresentStanding


async def open_log(config: AgentConfig, *, clock: Callable[[], float], wall_clock: Callable[[], float]) -> Log:
    """The log with its replica; the caller closes the store.

    Args:
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.

    Raises:
        StoreError: it can't be opened.
    """
    catalog = Catalog(kv_deletions_max=config.kv.deletions_max)
    store = SqliteStore(config.data_dir, config.store, wall_clock=wall_clock)
    catalog.load(await store.open(catalog.apply))
    gc.collect()
    gc.freeze()  # What was loaded stays; the collector need not look at it again.
    state = StoreState(clock)
    retries_max = config.registry.conflict_retries_max
    writer = CatalogWriter(catalog, store, conflict_retries_max=retries_max, state=state)
    settling_s = await settling_left_s(store, config.degrading.settling_s, now_s=wall_clock())
    standing = PresentStanding(catalog, state.stale_s, settling_s=settling_s, clock=clock)
    return Log(catalog, store, writer, state, standing)
