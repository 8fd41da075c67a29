"""From a packet to its answer: the ready answers, the zone's own, and those of others.

Theory of operation. The bytes of a question behind its id are the key of a ready answer; it is good for as long as
the versions of its topics are what they were when it was prepared. So the usual question costs a look-up, a
comparison, and the choice among the instances. An answer is kept when its question comes for the second time: a
flood of names that nobody asks for twice does not push out those that are.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Protocol

from regista.protocols.dns.answers import Answerer
from regista.protocols.dns.counters import DnsCounters, rcode_text, type_text
from regista.protocols.dns.names import ForeignName, Names, ReverseName
from regista.protocols.dns.records import AAAA, ANY, NOERROR, SERVFAIL, A, Reply
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.wire import (
    Limits,
    Prepared,
    Query,
    Refused,
    failure,
    labels_text,
    limits_of,
    read_query,
    refusal,
)

_SEEN_MAX = 10_000
_KEY_BYTES_MAX = 512
"""A question has a name of 255 bytes and an option or two; one with more is answered, but remembered by nobody."""

_PIECES_PER_ENTRY = 10
"""Answers are kept for so many records each on the average: one about a large service takes the place of many."""

_SOA_GOOD_FOR_S = 1.0
"""The serial of the SOA record is the time, so an answer with one is made anew every second."""


class Topics(Protocol):
    """What this module needs of the replica's topics."""

    @property
    def changes_count(self) -> int:
        """Grows with whatever makes the version of any topic another."""

    def version(self, names: tuple[str, ...], /) -> tuple[int, ...]:
        """Differs whenever anything about the topics may have changed."""


class Recursors(Protocol):
    """Who is asked about foreign names."""

    def __bool__(self) -> bool:
        """Whether there is anybody to ask."""

    async def ask(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        """The answer to a packet, with its id; None if nobody has one."""


class _Ready:
    """An answer that is kept.

    Attributes:
        seen_count: the replica's changes when it was last found to be good; it is, while there are no more.
    """

    __slots__ = ("count", "good_until_s", "kind", "prepared", "seen_count", "service", "topics", "version")

    def __init__(
        self,
        prepared: Prepared,
        topics: tuple[str, ...],
        version: tuple[int, ...],
        *,
        good_until_s: float,
        kind: tuple[str, str, str],
        service: str,
    ) -> None:
        self.prepared = prepared
        self.topics = topics
        self.version = version
        self.good_until_s = good_until_s
        self.kind = kind
        self.service = service
        self.count = 0
        self.seen_count = -1


class Resolver:
    """Answers packets.

    Args:
        rng: chooses orders and samples.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        answerer: Answerer,
        names: Names,
        topics: Topics,
        recursors: Recursors,
        settings: DnsSettings,
        *,
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._counters = DnsCounters()
        self._answerer = answerer
        self._names = names
        self._topics = topics
        self._recursors = recursors
        self._settings = settings
        self._rng = rng
        self._clock = clock
        self._pieces_max = settings.cache_entries_max * _PIECES_PER_ENTRY
        self._pieces_count = 0
        self._ready: tuple[OrderedDict[bytes, _Ready], OrderedDict[bytes, _Ready]] = (OrderedDict(), OrderedDict())
        self._seen: set[bytes] = set()

    @property
    def ready_count(self) -> int:
        """How many answers are kept."""
        return sum(map(len, self._ready))

    def counters(self) -> DnsCounters:
        """What was counted, as of now."""
        for ready in self._ready:
            for each in ready.values():
                self._fold(each)
        return self._counters

    def count_limited(self, admission: str) -> None:
        """Counts a question over the rate of its source."""
        self._counters.limited[admission] += 1

    def count_latency(self, seconds: float) -> None:
        """Counts how long an answer took."""
        self._counters.latencies.observe(seconds)

    def count_tcp_refused(self) -> None:
        """Counts a connection over the limit."""
        self._counters.tcp_refused += 1

    def answer(self, data: bytes, client: str, *, is_tcp: bool = False) -> bytes | Awaitable[bytes] | None:
        """The answer to a packet, or what is to be awaited for it; None for none."""
        key = data[2:]
        ready = self._ready[is_tcp].get(key)
        if ready is not None:
            if ready.seen_count == self._topics.changes_count or self._is_good(ready):
                ready.count += 1
                prepared = ready.prepared
                found = prepared.render(self._rng)
                if prepared.is_cut:
                    self._counters.truncated += 1
                return data[:2] + found
            del self._ready[is_tcp][key]
            self._forget(ready)
        return self._made(data, key, client, is_tcp=is_tcp)

    def _made(self, data: bytes, key: bytes, client: str, *, is_tcp: bool) -> bytes | Awaitable[bytes] | None:
        self._counters.misses += 1
        try:
            query = read_query(data)
        except Refused as refused:
            self._counters.malformed += 1
            if refused.rcode is None:
                return None
            self._counters.answers["other", rcode_text(refused.rcode), "tcp" if is_tcp else "udp"] += 1
            return refusal(data, refused.rcode)
        meaning = self._names.read(labels_text(query.labels))
        if isinstance(meaning, ForeignName):
            return self._foreign(data, query, is_tcp=is_tcp)
        if query.edns is not None and query.edns.subnet_address:
            client = query.edns.subnet_address
        reply = self._answerer.reply(meaning, query.qtype, client=client)
        if isinstance(meaning, ReverseName) and not reply.is_ours:
            return self._foreign(data, query, is_tcp=is_tcp, recurses=True)
        kind = (type_text(query.qtype), rcode_text(reply.rcode), "tcp" if is_tcp else "udp")
        prepared = self._prepared(reply, query, is_tcp=is_tcp)
        is_keepable = reply.topics and reply.rcode == NOERROR and len(key) <= _KEY_BYTES_MAX
        if is_keepable and self._is_wanted_again(key):
            self._keep(prepared, reply, key, kind, is_tcp=is_tcp)
        self._counters.answers[kind] += 1
        if reply.service:
            self._counters.count_service(reply.service, 1)
        return data[:2] + self._rendered(prepared)

    def _prepared(self, reply: Reply, query: Query, *, is_tcp: bool) -> Prepared:
        limits = limits_for(query, self._settings, is_tcp=is_tcp)
        return Prepared(reply, query, limits, recurses=bool(self._recursors))

    def _rendered(self, prepared: Prepared) -> bytes:
        found = prepared.render(self._rng)
        if prepared.is_cut:
            self._counters.truncated += 1
        return found

    # ---- ready answers ----

    def _is_good(self, ready: _Ready) -> bool:
        """Whether a ready answer is what would be made now."""
        if ready.version != self._topics.version(ready.topics):
            return False
        if ready.good_until_s == math.inf:
            ready.seen_count = self._topics.changes_count
            return True
        return self._clock() < ready.good_until_s

    def _is_wanted_again(self, key: bytes) -> bool:
        if key in self._seen:
            return True
        if len(self._seen) >= _SEEN_MAX:
            self._seen.clear()
        self._seen.add(key)
        return False

    def _keep(
        self, prepared: Prepared, reply: Reply, key: bytes, kind: tuple[str, str, str], *, is_tcp: bool
    ) -> None:
        if prepared.pieces_count > self._pieces_max or not self._settings.cache_entries_max:
            return
        good_for_s = _SOA_GOOD_FOR_S if reply.authority else math.inf
        ready = self._ready[is_tcp]
        ready[key] = _Ready(
            prepared,
            reply.topics,
            self._topics.version(reply.topics),
            good_until_s=self._clock() + good_for_s,
            kind=kind,
            service=reply.service,
        )
        self._pieces_count += prepared.pieces_count
        if len(ready) > self._settings.cache_entries_max:
            self._forget(ready.popitem(last=False)[1])
        while self._pieces_count > self._pieces_max:
            oldest = self._ready[0] or self._ready[1]
            self._forget(oldest.popitem(last=False)[1])

    def _forget(self, ready: _Ready) -> None:
        """Takes leave of a ready answer that is kept no longer."""
        self._pieces_count -= ready.prepared.pieces_count
        self._fold(ready)

    def _fold(self, ready: _Ready) -> None:
        """Takes what a ready answer has counted."""
        count, ready.count = ready.count, 0
        if count:
            self._counters.hits += count
            self._counters.answers[ready.kind] += count
            if ready.service:
                self._counters.count_service(ready.service, count)

    # ---- foreign names ----

    def _foreign(
        self, data: bytes, query: Query, *, is_tcp: bool, recurses: bool = False
    ) -> bytes | Awaitable[bytes]:
        if self._recursors:
            return self._recursed(data, query, is_tcp=is_tcp)
        kind = (type_text(query.qtype), rcode_text(SERVFAIL), "tcp" if is_tcp else "udp")
        self._counters.answers[kind] += 1
        return data[:2] + failure(query, SERVFAIL, is_ours=False, recurses=recurses)

    async def _recursed(self, data: bytes, query: Query, *, is_tcp: bool) -> bytes:
        found = await self._recursors.ask(data, is_tcp=is_tcp)
        rcode = found[3] & 0xF if found else SERVFAIL
        kind = (type_text(query.qtype), rcode_text(rcode), "tcp" if is_tcp else "udp")
        self._counters.answers[kind] += 1
        self._counters.recursions["answered" if found else "failed"] += 1
        return found or data[:2] + failure(query, SERVFAIL, is_ours=False, recurses=True)


def limits_for(query: Query, settings: DnsSettings, *, is_tcp: bool) -> Limits:
    """How much an answer to the question may hold."""
    return limits_of(
        query,
        is_tcp=is_tcp,
        udp_answers=settings.udp_answer_limit,
        addresses=settings.a_record_limit if query.qtype in (A, AAAA, ANY) else 0,
        edns_bytes=settings.edns_bytes_max,
        is_count_told=settings.enable_truncate,
        is_compressed=not settings.disable_compression,
    )
