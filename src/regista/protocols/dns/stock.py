"""The choices of a reply, and how some of them are chosen: one stock for all ways to ask the same. Pure.

What it holds grows with the instances of a service; what an answer needs besides does not.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import struct
from collections.abc import Iterable, Sequence

from regista.protocols.dns.records import Choice, Record, name_bytes

QUESTION_POINTER = b"\xc0\x0c"
"""The name in the question, where names may point to others."""

RECORD_HEAD = struct.Struct("!HHIH")
_IN = 1

_SHUFFLED_MAX = 64
"""With more answers the order behind the first need not be by weight any more: nobody reads so far."""


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A choice, ready to be joined.

    Attributes:
        answer: with a pointer to the question's name as its owner.
        target_at: where in it the name stands that the others may point to.
        extras: owner and the rest of each record that goes with it; None for the answer's own target.
    """

    answer: bytes
    target_at: int
    target: bytes
    extras: tuple[tuple[bytes | None, bytes], ...]


class Stock:
    """The choices of a reply.

    Args:
        is_ordered: whether their order means something, and is kept.

    Attributes:
        is_turned: whether all orders are but turns of one: nothing speaks for one choice more than for another.
        least_bytes: the size of the smallest answer, without its owner.
    """

    __slots__ = ("_choices", "_cumulative", "_pieces", "_weights", "is_ordered", "is_turned", "least_bytes")

    def __init__(self, choices: Sequence[Choice], *, is_ordered: bool) -> None:
        self.is_ordered = is_ordered
        self._choices = choices
        # Of thousands few are ever given, so each is made when it is.
        self._pieces: list[Piece | None] = [None] * len(choices)
        weights = [choice.weight for choice in choices]
        self.is_turned = not weights or min(weights) == max(weights)
        self._weights = [] if self.is_turned else weights
        self._cumulative = list(itertools.accumulate(self._weights))
        self.least_bytes = min([len(each.answer.data) for each in choices], default=0) + RECORD_HEAD.size

    def __len__(self) -> int:
        return len(self._pieces)

    def piece(self, place: int) -> Piece:
        """The choice at this place, made when it is wanted first."""
        return self._pieces[place] or self._make_piece(place)

    def order(self, rng: random.Random, count: int) -> Iterable[int]:
        """The places of so many choices, in an order or a sample of its own."""
        if not self.is_turned:
            return self._by_weight(rng, count)
        size = len(self._pieces)
        if self.is_sampled(count):
            return rng.sample(range(size), count)
        return self.turned(int(rng.random() * size), count)

    def is_sampled(self, count: int) -> bool:
        """Whether so many are so few of all that they are drawn one by one."""
        return count * 4 < len(self._pieces)

    def turned(self, first: int, count: int) -> Iterable[int]:
        """So many places, from this one on and round."""
        size, end = len(self._pieces), first + count
        return itertools.chain(range(first, min(end, size)), range(end - size))

    def _make_piece(self, place: int) -> Piece:
        piece = self._pieces[place] = _piece(self._choices[place])
        return piece

    def _by_weight(self, rng: random.Random, count: int) -> list[int]:
        """Places of choices, drawn one after the other by weight from those that are left.

        Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006), for the keys.
        """
        size = len(self._weights)
        if self.is_sampled(count) or size > _SHUFFLED_MAX:
            drawn = self._drawn(rng, min(count, _SHUFFLED_MAX))
            if len(drawn) == count:
                return drawn
            chosen = set(drawn)
            start = int(rng.random() * size)
            rest = (place for place in itertools.chain(range(start, size), range(start)) if place not in chosen)
            return [*drawn, *itertools.islice(rest, count - len(drawn))]
        keys = [(rng.random() ** (1 / weight) if weight else -rng.random()) for weight in self._weights]
        return sorted(range(size), key=keys.__getitem__, reverse=True)[:count]

    def _drawn(self, rng: random.Random, count: int) -> list[int]:
        """Some places by weight, none twice; fewer than `count` where the rest has next to no weight."""
        drawn: dict[int, None] = {}
        for _ in range(8):
            for place in rng.choices(range(len(self._cumulative)), cum_weights=self._cumulative, k=count):
                drawn[place] = None
                if len(drawn) == count:
                    return list(drawn)
        return list(drawn)


def record_rest(record: Record) -> bytes:
    """A record behind its owner."""
    return RECORD_HEAD.pack(record.rtype, _IN, record.ttl_s, len(record.data)) + record.data


def _piece(choice: Choice) -> Piece:
    answer = choice.answer
    head_bytes = len(QUESTION_POINTER) + RECORD_HEAD.size
    target = answer.data[answer.target_at :] if answer.target_at >= 0 else b""
    extras = []
    for extra in choice.extras:
        assert extra.owner is not None  # it goes with the choice, not with the name that was asked for
        owner = name_bytes(extra.owner)
        extras.append((None if target and owner == target else owner, record_rest(extra)))
    return Piece(
        QUESTION_POINTER + record_rest(answer), head_bytes + max(answer.target_at, 0), target, tuple(extras)
    )
