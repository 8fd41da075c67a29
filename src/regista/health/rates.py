"""How fast instances may end: token buckets, one for all and one for each service, and a queue that is fair.

Pure: moments come in as arguments.

Whoever ends too many at once wakes every watcher at once, and leaves no time for a renewal that is on its way. So
what is to end waits in a queue, the services taking turns, until both buckets have a token for it.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

import msgspec

_BUCKETS_MAX = 1024
"""Buckets that are full again are looked for when there are more than this."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """How many a second in the long run, and at once."""

    per_s: float
    burst: float


class Bucket(msgspec.Struct, gc=False):
    """The tokens that there were at a moment."""

    tokens: float
    at_s: float

    def fill(self, rate: Rate, now_s: float) -> None:
        """Adds what has come since the last time, up to the burst."""
        self.tokens = min(rate.burst, self.tokens + max(0.0, now_s - self.at_s) * rate.per_s)
        self.at_s = now_s

    def wait_s(self, rate: Rate) -> float:
        """Seconds from `at_s` on until there is a token."""
        return max(0.0, (1.0 - self.tokens) / rate.per_s)


def decide_service_rate(size: int, *, share_per_s: float, per_s_min: float) -> Rate:
    """How fast the instances of a service of this size may end; a second's worth of them at once."""
    per_s = max(per_s_min, share_per_s * size)
    return Rate(per_s, max(1.0, per_s))


class Throttle:
    """Keys that wait for their turn, by service.

    Args:
        rate: of all services together.
        rate_of: of a service; asked again each time, for services grow and shrink. "" stands for what belongs to
            no service, and has no rate of its own.
    """

    def __init__(self, rate: Rate, *, rate_of: Callable[[str], Rate], now_s: float) -> None:
        self._rate = rate
        self._rate_of = rate_of
        self._all = Bucket(rate.burst, now_s)
        self._buckets: dict[str, Bucket] = {}
        self._queues: dict[str, dict[str, None]] = {}
        self._next_s: float | None = None

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def put(self, service: str, key: str) -> None:
        """Has the key wait behind those of its service; its turn may be now."""
        self._queues.setdefault(service, {})[key] = None
        self._next_s = 0.0

    def drop(self, service: str, key: str) -> None:
        """Lets the key wait no more, if it does."""
        queue = self._queues.get(service)
        if queue is not None:
            queue.pop(key, None)
            if not queue:
                del self._queues[service]

    def take(self, now_s: float) -> list[str]:
        """The keys whose turn it is; they are gone from the queue."""
        self._all.fill(self._rate, now_s)
        taken: list[str] = []
        waits_s: list[float] = []
        for service in list(self._queues):
            if service:
                self._bucket(service).fill(self._rate_of(service), now_s)
        turns = collections.deque(self._queues)
        while turns and self._all.tokens >= 1.0:
            service = turns.popleft()
            queue = self._queues.pop(service)
            if self._spend(service, waits_s):
                key = next(iter(queue))
                del queue[key]
                taken.append(key)
                if queue:
                    turns.append(service)
            if queue:
                # To the end, also for the next time: nobody is first twice.
                self._queues[service] = queue
        if turns:
            waits_s.append(self._all.wait_s(self._rate))
        self._next_s = now_s + min(waits_s) if waits_s else None
        self._forget_full()
        return taken

    def next_s(self) -> float | None:
        """When `take` has something to give; None without anybody waiting."""
        return self._next_s if self._queues else None

    def _bucket(self, service: str) -> Bucket:
        bucket = self._buckets.get(service)
        if bucket is None:
            bucket = self._buckets[service] = Bucket(self._rate_of(service).burst, self._all.at_s)
        return bucket

    def _spend(self, service: str, waits_s: list[float]) -> bool:
        """Takes a token of each bucket, or notes how long the service has to wait for one."""
        if service:
            bucket = self._buckets[service]
            if bucket.tokens < 1.0:
                waits_s.append(bucket.wait_s(self._rate_of(service)))
                return False
            bucket.tokens -= 1.0
        self._all.tokens -= 1.0
        return True

    def _forget_full(self) -> None:
        if len(self._buckets) <= _BUCKETS_MAX:
            return
        for service in list(self._buckets):
            rate = self._rate_of(service)
            self._buckets[service].fill(rate, self._all.at_s)
            if self._buckets[service].tokens >= rate.burst:
                del self._buckets[service]
