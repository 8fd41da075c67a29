"""How long keys stay closed behind a session that was ended: time for its holder to notice that it has ended.

Kept beside the log, as in Consul: a restart forgets it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from regista.catalog.replica import Catalog
from regista.model import Batch, Delete, KvEntry, Session

DELAY_S_MAX = 60.0
"""A session may ask for more, and is shown as it asked (Consul 1.9)."""

DELAYS_MAX = 100_000


class LockDelays:
    """Which keys can't be locked until when. Follows the catalog from its making on.

    Args:
        clock: monotonic seconds.
        count_max: how many keys are remembered; beyond it those closed first are open again.
    """

    def __init__(self, catalog: Catalog, *, clock: Callable[[], float], count_max: int = DELAYS_MAX) -> None:
        self._catalog = catalog
        self._clock = clock
        self._count_max = count_max
        self._until_s: OrderedDict[str, float] = OrderedDict()
        catalog.subscribe(self._on_batch)

    def __len__(self) -> int:
        return len(self._until_s)

    def is_closed(self, key: str) -> bool:
        """Whether nobody may lock the key yet."""
        until_s = self._until_s.get(key)
        return until_s is not None and until_s > self._clock()

    def _on_batch(self, batch: Batch) -> None:
        delays_s = {
            change.record.id: min(change.record.lock_delay_s, DELAY_S_MAX)
            for change in batch.changes
            if isinstance(change, Delete) and isinstance(change.record, Session) and change.record.lock_delay_s > 0
        }
        if not delays_s:
            return
        now_s = self._clock()
        for change in batch.changes:
            before = change.record if isinstance(change, Delete) else change.replaces
            if isinstance(before, KvEntry) and before.session in delays_s:
                self._close(before.key, now_s + delays_s[before.session])
        for session_id, delay_s in delays_s.items():
            # What was locked while the end was being written; the keys are let go of right after.
            for key in self._catalog.kv.held.get(session_id, ()):
                self._close(key, now_s + delay_s)
        self._forget(now_s)

    def _close(self, key: str, until_s: float) -> None:
        self._until_s[key] = max(until_s, self._until_s.pop(key, 0.0))

    def _forget(self, now_s: float) -> None:
        """Drops those at the front that are over, and those above the limit."""
        while self._until_s:
            key, until_s = next(iter(self._until_s.items()))
            if until_s > now_s and len(self._until_s) <= self._count_max:
                break
            del self._until_s[key]
