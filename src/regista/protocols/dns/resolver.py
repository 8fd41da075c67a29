"""From a packet to its answer: the ready answers, the zone's own, and those of others.

Theory of operation. The bytes of a question behind its id are the key of a ready answer; it is good for as long as
the versions of its topics are what they were when it was prepared. So the usual question costs a look-up, a
comparison, and the choice among the instances. One that is spelled otherwise, or comes with other options, finds
the reply that it needs (see `cache`) and has it written anew. An answer is kept when its question comes for the
second time, and so is a reply, unless it was dear: a flood of names that nobody asks for twice does not push out
those that are.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Protocol

from regista.protocols.dns.aliases import (
    follow_foreign,
    foreign_question,
    has_answers,
    is_followed,
    is_foreign_cut,
)
from regista.protocols.dns.answers import Answerer
from regista.protocols.dns.cache import AnswerCache, KeptReply, ReadyAnswer, ReplyKey, Topics
from regista.protocols.dns.counters import DnsCounters, rcode_text, type_text
from regista.protocols.dns.names import ForeignName, Labels, Meaning, ReverseName, ServiceName
from regista.protocols.dns.records import (
    AAAA,
    ANY,
    CNAME,
    NOERROR,
    NS,
    NXDOMAIN,
    SERVFAIL,
    SOA,
    SRV,
    TXT,
    A,
    Reply,
)
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.wire import (
    Limits,
    Prepared,
    Query,
    Refused,
    failure,
    limits_of,
    read_query,
    refusal,
    without_records,
)

_SEEN_MAX = 10_000
_KEY_BYTES_MAX = 512
"""A question has a name of 255 bytes and an option or two; one with more is answered, but remembered by nobody."""

_LED_BYTES_MAX = 4096
"""What ends with an alias has few records; in more than this nobody looks for one, since reading it takes long."""

_DEAR_CHOICES = 64
"""A reply with more choices takes longer to put together than all else about its question: it is kept at once."""

_TOLD_APART = frozenset((A, AAAA, ANY, CNAME, NS, SOA, SRV, TXT))
_ANY_OTHER_TYPE = 0
"""Stands for all types that are not told apart: to all of them there is the same to say, which is nothing."""


class Recursors(Protocol):
    """Who is asked about foreign names."""

    def __bool__(self) -> bool:
        """Whether there is anybody to ask."""

    async def ask(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        """The answer to a packet, with its id; None if nobody has one."""


class Resolver:
    """Answers packets.

    Args:
        rng: chooses orders and samples.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        answerer: Answerer,
        topics: Topics,
        recursors: Recursors,
        settings: DnsSettings,
        *,
        rng: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._counters = DnsCounters()
        self._answerer = answerer
        self._topics = topics
        self._recursors = recursors
        self._settings = settings
        self._rng = rng
        self._cache = AnswerCache(
            topics, entries_max=settings.cache_entries_max, clock=clock, on_forgotten=self._fold
        )
        self._ready = self._cache.ready
        self._seen: set[Hashable] = set()

    @property
    def ready_count(self) -> int:
        """How many answers are kept."""
        return len(self._cache)

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
            kept = ready.kept
            if kept.seen_count == self._topics.changes_count or self._cache.is_good(kept):
                ready.count += 1
                prepared = ready.prepared
                found = prepared.render(self._rng)
                if prepared.is_cut:
                    self._counters.truncated += 1
                return data[:2] + found
            self._renew(kept)
        return self._made(data, client, is_tcp=is_tcp)

    def _made(self, data: bytes, client: str, *, is_tcp: bool) -> bytes | Awaitable[bytes] | None:
        self._counters.misses += 1
        try:
            query = read_query(data)
        except Refused as refused:
            self._counters.malformed += 1
            if refused.rcode is None:
                return None
            self._counters.answers["other", rcode_text(refused.rcode), "tcp" if is_tcp else "udp"] += 1
            return refusal(data, refused.rcode, refused.edns)
        if query.edns is not None and query.edns.subnet_address:
            client = query.edns.subnet_address
        # However a name is spelled, the same is said of it, so that it can be kept for all spellings.
        name = tuple([label.lower() for label in query.labels])
        meaning, zone = self._answerer.asked(name)
        if isinstance(meaning, ForeignName):
            return self._foreign(data, query, meaning, client, is_tcp=is_tcp)
        qtype = query.qtype if query.qtype in _TOLD_APART else _ANY_OTHER_TYPE
        kept = self._kept(meaning, zone, qtype, client)
        if kept is None:
            _, reply = self._answerer.answer(name, qtype, client=client)
            self._counters.made += 1
            kept = self._cache.made((meaning, zone, qtype, reply.start), reply)
            self._keep(kept)
        reply = kept.reply
        if isinstance(meaning, ReverseName) and not reply.is_ours:
            return self._foreign(data, query, meaning, client, is_tcp=is_tcp)
        if self._recursors and is_followed(reply, query.qtype):
            return self._completed(data, query, kept, client, is_tcp=is_tcp)
        return self._finished(data, query, kept, is_tcp=is_tcp)

    def _finished(self, data: bytes, query: Query, kept: KeptReply, *, is_tcp: bool) -> bytes:
        """The answer that a reply comes to, which is counted, and kept if it is worth it."""
        reply, key = kept.reply, data[2:]
        kind = (type_text(query.qtype), rcode_text(reply.rcode), "tcp" if is_tcp else "udp")
        limits = limits_for(query, self._settings, is_tcp=is_tcp)
        prepared = Prepared(reply, query, limits, recurses=bool(self._recursors), stock=kept.stock)
        # What depends on who asks is found by the name only.
        is_keepable = reply.topics and reply.start is None and len(key) <= _KEY_BYTES_MAX
        if is_keepable and self._is_wanted_again(key):
            self._cache.keep_answer(key, ReadyAnswer(prepared, kept, kind), is_tcp=is_tcp)
        self._counters.answers[kind] += 1
        if reply.service:
            self._counters.count_service(reply.service, 1)
        found = prepared.render(self._rng)
        if prepared.is_cut:
            self._counters.truncated += 1
        return data[:2] + found

    # ---- what is kept ----

    def _kept(self, meaning: Meaning, zone: Labels, qtype: int, client: str) -> KeptReply | None:
        """The reply that is kept for a question, if it is what would be made now."""
        key: ReplyKey = (meaning, zone, qtype, None)
        found = self._cache.find(key)
        if found is None:
            key = (meaning, zone, qtype, self._answerer.start_for(client))
            found = self._cache.find(key)
        if found is None or self._cache.is_good(found):
            return found
        self._renew(found)
        return self._cache.find(key)

    def _renew(self, kept: KeptReply) -> None:
        """Gives up a reply that is good no longer; one that only has an old date is kept with another."""
        is_dated = self._cache.is_current(kept) and kept.reply.rcode == NOERROR
        self._cache.drop(kept)
        if is_dated:
            self._cache.keep(self._cache.made(kept.key, self._answerer.dated(kept.reply), kept.stock))

    def _keep(self, kept: KeptReply) -> None:
        """Keeps a reply that was just made, if it is worth it."""
        reply = kept.reply
        # A service may have many instances and none that is fit; a name without any costs nothing to look for.
        is_told = reply.rcode == NOERROR or (reply.rcode == NXDOMAIN and isinstance(kept.key[0], ServiceName))
        if reply.topics and is_told and (len(kept.stock) > _DEAR_CHOICES or self._is_wanted_again(kept.key)):
            self._cache.keep(kept)

    def _is_wanted_again(self, key: Hashable) -> bool:
        if key in self._seen:
            return True
        if len(self._seen) >= _SEEN_MAX:
            self._seen.clear()
        self._seen.add(key)
        return False

    def _fold(self, ready: ReadyAnswer) -> None:
        """Takes what a ready answer has counted."""
        count, ready.count = ready.count, 0
        if count:
            service = ready.kept.reply.service
            self._counters.hits += count
            self._counters.answers[ready.kind] += count
            if service:
                self._counters.count_service(service, count)

    # ---- foreign names ----

    def _foreign(
        self, data: bytes, query: Query, meaning: Meaning, client: str, *, is_tcp: bool
    ) -> bytes | Awaitable[bytes]:
        if self._recursors:
            return self._recursed(data, query, meaning, client, is_tcp=is_tcp)
        kind = (type_text(query.qtype), rcode_text(SERVFAIL), "tcp" if is_tcp else "udp")
        self._counters.answers[kind] += 1
        recurses = isinstance(meaning, ReverseName)
        return data[:2] + failure(query, SERVFAIL, is_ours=False, recurses=recurses)

    async def _completed(self, data: bytes, query: Query, kept: KeptReply, client: str, *, is_tcp: bool) -> bytes:
        """The answer with what recursors say of the foreign name that it ends with; without, if they say nothing.

        It is not kept, since what they say is theirs to change.
        """
        reply = kept.reply
        asked = foreign_question(reply.alias, query.qtype)
        found = await self._recursors.ask(asked, is_tcp=is_tcp)
        if found is not None and not is_tcp and is_foreign_cut(found):
            found = await self._recursors.ask(asked, is_tcp=True) or found
        self._counters.recursions["answered" if found else "failed"] += 1
        if found is None:
            reply = dataclasses.replace(reply, topics=())
        else:
            reply = follow_foreign(reply, found, addresses_max=self._settings.a_record_limit)
            reply = self._answerer.followed(reply, query.qtype, client=client)
        return self._finished(data, query, self._cache.made(kept.key, reply), is_tcp=is_tcp)

    async def _recursed(self, data: bytes, query: Query, meaning: Meaning, client: str, *, is_tcp: bool) -> bytes:
        found = await self._recursors.ask(data, is_tcp=is_tcp)
        self._counters.recursions["answered" if found else "failed"] += 1
        led = self._led_back(query, found, client) if found else None
        if led is not None:
            return self._finished(
                data, query, self._cache.made((meaning, (), query.qtype, None), led), is_tcp=is_tcp
            )
        rcode = found[3] & 0xF if found else SERVFAIL
        kind = (type_text(query.qtype), rcode_text(rcode), "tcp" if is_tcp else "udp")
        self._counters.answers[kind] += 1
        if found and len(found) > limits_for(query, self._settings, is_tcp=is_tcp).size_bytes:
            self._counters.truncated += 1
            return without_records(found, query)
        return found or data[:2] + failure(query, SERVFAIL, is_ours=False, recurses=True)

    def _led_back(self, query: Query, found: bytes, client: str) -> Reply | None:
        """What there is to say to a foreign name that recursors know as an alias of a name in the zone.

        They need not know the zone, and say NXDOMAIN of it then.

        Returns:
            None where their answer is all.
        """
        if query.qtype not in (A, AAAA) or not has_answers(found) or len(found) > _LED_BYTES_MAX:
            return None
        asked = Reply(is_ours=False, recurses=True, alias=query.labels)
        reply = follow_foreign(asked, found, addresses_max=self._settings.a_record_limit)
        followed = self._answerer.followed(reply, query.qtype, client=client)
        return None if followed is reply else followed


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
