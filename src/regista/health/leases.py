"""The leases of instances: one that nobody renewed in time is deregistered.

A renewal changes a deadline in memory and nothing else. Only the end of a lease is written, once the guard lets it
pass, and the plan for it looks at the lease once more: a renewal that arrived while the write waited for its turn
keeps the instance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import msgspec

from regista.catalog import Catalog, deregister_service
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import lease_reason
from regista.health.endings import Ending
from regista.health.guard import Guard
from regista.health.outbox import Outbox
from regista.model import Entry, Service, Transaction, caused_by

logger = logging.getLogger(__name__)


class _Lease(msgspec.Struct, frozen=True, eq=False, gc=False):
    create_index: int
    incarnation: str
    ttl_s: float


class Leases:
    """When each instance with a TTL must have been renewed, by the hearing clock."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        outbox: Outbox,
        guard: Guard,
        counters: Counters,
        wall_clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._guard = guard
        self._counters = counters
        self._wall_clock = wall_clock
        self._leases: dict[str, _Lease] = {}
        self._deadlines = Deadlines()

    def note(self, key: str, entry: Entry[Service], now_s: float) -> None:
        """Brings an instance's lease into line with its record; a new or changed one starts with a whole TTL."""
        service = entry.record
        if service.ttl_s <= 0:
            self.drop(key)
            return
        lease = self._leases.get(key)
        if (
            lease is None
            or lease.create_index != entry.create_index
            or lease.incarnation != service.incarnation
            or lease.ttl_s != service.ttl_s
        ):
            self._leases[key] = _Lease(entry.create_index, service.incarnation, service.ttl_s)
            self.renew(key, now_s)

    def drop(self, key: str) -> None:
        """Forgets the lease of an instance, if it has one."""
        if self._leases.pop(key, None) is not None:
            self._deadlines.drop(key)
            self._withdraw(key)

    def renew(self, key: str, now_s: float) -> None:
        """Gives the instance a whole TTL again, if it has one."""
        lease = self._leases.get(key)
        if lease is None:
            return
        if key not in self._deadlines:
            self._withdraw(key)
        self._deadlines.set(key, now_s + lease.ttl_s)

    def tick(self, now_s: float) -> None:
        """Proposes to deregister what was not renewed in time."""
        for key in self._deadlines.pop_due(now_s):
            self._propose(key, self._leases[key], now_s)

    def near(self, now_s: float) -> Iterator[str]:
        """The instances whose lease ends within half of it; who renews three times in each is not among them."""
        deadline_s = self._deadlines.get
        for key, lease in self._leases.items():
            at_s = deadline_s(key)
            if at_s is not None and at_s <= now_s + lease.ttl_s / 2:
                yield key

    def deadline_s(self, key: str) -> float | None:
        """When the instance is to have been renewed, by the hearing clock; None for never."""
        return self._deadlines.get(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _withdraw(self, key: str) -> None:
        self._guard.withdraw(_slot(key))
        self._outbox.withdraw(_slot(key))

    def _propose(self, key: str, lease: _Lease, now_s: float) -> None:
        self._counters.expiries["service"] += 1
        reason = lease_reason(lease.ttl_s)
        ending = Ending(
            slot=_slot(key),
            instance=key,
            service=self._catalog.services[key].record.name.lower(),
            why=f"it {reason}",
            patience_s=lease.ttl_s,
            carry_out=lambda: self._end(key, lease, reason),
        )
        self._guard.propose(ending, now_s)

    def _end(self, key: str, lease: _Lease, reason: str) -> None:

        def plan(catalog: Catalog) -> Transaction:
            found = catalog.services.get(key)
            if found is None or self._leases.get(key) is not lease or key in self._deadlines:
                return Transaction()
            service = found.record
            return deregister_service(catalog, service.node, service.id, reason=reason, now_s=self._wall_clock())

        def done() -> None:
            self._counters.deregistrations["lease"] += 1
            logger.info("instance %s %s, and is deregistered", key, reason)

        self._outbox.want(_slot(key), plan, done, cause=caused_by("expiry", source=key, reason=reason))


def _slot(key: str) -> str:
    return "lease " + key
