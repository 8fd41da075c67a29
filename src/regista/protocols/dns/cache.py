"""What is kept of answers: a reply once for all ways to ask for it, and in front of it answers by their bytes.

Theory of operation. A *reply* is what the catalog has to say to a question, whoever spells it how; to put one
together costs by the instances of the service. An *answer* is a reply as it goes to those who ask with the very
same bytes. Replies are good for as long as their topics have the versions that they had; answers go with their
reply. So a spelling, a cookie or an option that is new costs reading and rendering, and no look at the instances.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeAlias

from regista.protocols.dns.names import Labels, Meaning
from regista.protocols.dns.records import Reply
from regista.protocols.dns.stock import Stock
from regista.protocols.dns.wire import Prepared

_PIECES_PER_ENTRY = 10
"""Answers are kept for so many records each on the average: one about a large service takes the place of many."""

_ANSWERS_PER_REPLY_MAX = 1000
"""Of one reply no more answers are kept, so that whoever thinks of ever more spellings of a name does not push out
other names; and so that a reply that is outdated goes, with all of them, in less than a millisecond."""

_SOA_GOOD_FOR_S = 1.0
"""The serial of the SOA record is the time, so a reply with one is dated anew every second."""

ReplyKey: TypeAlias = tuple[Meaning, Labels, int, str | None]
"""What is asked for, in small letters, and in which zone; the type, 0 for all that differ in nothing; and from
where, see `Reply.start`."""


class Topics(Protocol):
    """What this module needs of the replica's topics."""

    @property
    def changes_count(self) -> int:
        """Grows with whatever makes the version of any topic another."""

    def version(self, names: tuple[str, ...], /) -> tuple[int, ...]:
        """Differs whenever anything about the topics may have changed."""


class KeptReply:
    """A reply that may be kept.

    Attributes:
        version: of its topics when it was made.
        seen_count: the replica's changes when it was last found to be good; it is, while there are no more.
        answers: those that are made of it, by transport and bytes, the oldest first.
    """

    __slots__ = ("answers", "good_until_s", "key", "reply", "seen_count", "stock", "version")

    def __init__(
        self, key: ReplyKey, reply: Reply, stock: Stock, version: tuple[int, ...], *, good_until_s: float
    ) -> None:
        self.key = key
        self.reply = reply
        self.stock = stock
        self.version = version
        self.good_until_s = good_until_s
        self.seen_count = -1
        self.answers: dict[tuple[bool, bytes], ReadyAnswer] = {}

    @property
    def pieces_count(self) -> int:
        """How many records it holds, roughly."""
        return len(self.stock) + 1


class ReadyAnswer:
    """An answer that is kept.

    Attributes:
        kind: type, code and transport, for the counters.
        count: how often it was given, as far as that is not counted yet.
    """

    __slots__ = ("count", "kept", "kind", "prepared")

    def __init__(self, prepared: Prepared, kept: KeptReply, kind: tuple[str, str, str]) -> None:
        self.prepared = prepared
        self.kept = kept
        self.kind = kind
        self.count = 0


class AnswerCache:
    """Replies and answers, as many as there may be; the oldest go first.

    Args:
        entries_max: how many replies, and how many answers; 0 keeps none.
        clock: monotonic seconds.
        on_forgotten: is told of each answer that is kept no longer.

    Attributes:
        ready: the answers by their bytes, over UDP and over TCP.
    """

    def __init__(
        self,
        topics: Topics,
        *,
        entries_max: int,
        clock: Callable[[], float],
        on_forgotten: Callable[[ReadyAnswer], None],
    ) -> None:
        self.ready: tuple[dict[bytes, ReadyAnswer], dict[bytes, ReadyAnswer]] = ({}, {})
        self._replies: OrderedDict[ReplyKey, KeptReply] = OrderedDict()
        self._topics = topics
        self._entries_max = entries_max
        self._clock = clock
        self._on_forgotten = on_forgotten
        self._pieces_max = entries_max * _PIECES_PER_ENTRY
        self._pieces_count = 0

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self.ready[0]) + len(self.ready[1])

    def made(self, key: ReplyKey, reply: Reply, stock: Stock | None = None) -> KeptReply:
        """A reply that was just made, which is not kept yet.

        Args:
            stock: of its choices, where there is one.
        """
        return KeptReply(
            key,
            reply,
            stock or Stock(reply.choices, is_ordered=reply.is_ordered),
            self._topics.version(reply.topics),
            good_until_s=self._clock() + _SOA_GOOD_FOR_S if reply.authority else math.inf,
        )

    def find(self, key: ReplyKey) -> KeptReply | None:
        """The reply that is kept under a key, good or not."""
        found = self._replies.get(key)
        if found is not None:
            self._replies.move_to_end(key)
        return found

    def is_good(self, kept: KeptReply) -> bool:
        """Whether a reply is what would be made now."""
        if not self.is_current(kept):
            return False
        if kept.good_until_s == math.inf:
            kept.seen_count = self._topics.changes_count
            return True
        return self._clock() < kept.good_until_s

    def is_current(self, kept: KeptReply) -> bool:
        """Whether a reply says what there is to say now; its date may be another."""
        return kept.version == self._topics.version(kept.reply.topics)

    def keep(self, kept: KeptReply) -> None:
        """Keeps a reply, if there is room for one so large."""
        assert kept.key not in self._replies
        if not self._entries_max or kept.pieces_count > self._pieces_max:
            return
        self._replies[kept.key] = kept
        self._pieces_count += kept.pieces_count
        if len(self._replies) > self._entries_max:
            self._drop_oldest()
        self._make_room()

    def keep_answer(self, data: bytes, answer: ReadyAnswer, *, is_tcp: bool) -> None:
        """Keeps an answer for who asks with these bytes, if its reply is kept."""
        kept = answer.kept
        if self._replies.get(kept.key) is not kept:
            return
        assert data not in self.ready[is_tcp]
        if len(kept.answers) >= _ANSWERS_PER_REPLY_MAX:
            self._forget(kept, next(iter(kept.answers)))
        kept.answers[is_tcp, data] = self.ready[is_tcp][data] = answer
        self._pieces_count += answer.prepared.pieces_count
        if len(self) > self._entries_max:
            transport = len(self.ready[1]) > len(self.ready[0])
            data, oldest = next(iter(self.ready[transport].items()))
            self._forget(oldest.kept, (transport, data))
        self._make_room()

    def drop(self, kept: KeptReply) -> None:
        """Gives up a reply that is kept, with its answers."""
        del self._replies[kept.key]
        self._pieces_count -= kept.pieces_count
        for place in tuple(kept.answers):
            self._forget(kept, place)

    def _make_room(self) -> None:
        while self._pieces_count > self._pieces_max:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.drop(next(iter(self._replies.values())))

    def _forget(self, kept: KeptReply, place: tuple[bool, bytes]) -> None:
        is_tcp, data = place
        answer = kept.answers.pop(place)
        del self.ready[is_tcp][data]
        self._pieces_count -= answer.prepared.pieces_count
        self._on_forgotten(answer)
