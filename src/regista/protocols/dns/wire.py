"""Questions and answers as bytes.

A reply is prepared once for all who ask the same in the same way: every record is a ready piece of bytes. To
render it is to choose pieces and join them, so that each caller gets an order, or a sample, of its own.

Source: RFC 1035 (messages), RFC 6891 (EDNS), RFC 7871 (client subnet).
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import struct
from collections.abc import Iterable, Sequence

import dns.edns
import dns.exception
import dns.message

from regista.protocols.dns.records import (
    FORMERR,
    NOTIMP,
    OPT,
    REFUSED,
    Choice,
    Name,
    Record,
    Reply,
    name_bytes,
)

HEADER_BYTES = 12
PLAIN_BYTES_MAX = 512
"""Over UDP without EDNS (RFC 1035, 4.2.1)."""
TCP_BYTES_MAX = 65535
QUERY_BYTES_MAX = 4096
"""A question is a name and some options; whoever sends more does not want an answer."""

_PLAIN_ANSWERS_MAX = 8
"""More do not help whoever takes 512 bytes (Consul 1.9)."""

_QR, _AA, _TC, _RD, _RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
_OPCODE = 0x7800
_IN, _ANY_CLASS = 1, 255
_AXFR, _IXFR = 252, 251
_BADVERS = 16
_DNSSEC_OK = 0x8000
_QUESTION_POINTER = b"\xc0\x0c"
_POINTER = 0xC000
_POINTER_MOST = 0x3FFF
_RECORD_HEAD = struct.Struct("!HHIH")
_HEADER = struct.Struct("!HHHHH")
_TURNS_MAX = 10
"""An answer with so few choices is kept in each of its orders."""

_SHUFFLED_MAX = 64
"""With more answers the order behind the first need not be by weight any more: nobody reads so far."""


class Refused(Exception):
    """A packet that gets no answer from the zone.

    Attributes:
        rcode: what its sender is told; None for nothing at all.
    """

    def __init__(self, rcode: int | None) -> None:
        super().__init__(rcode)
        self.rcode = rcode


@dataclasses.dataclass(frozen=True, slots=True)
class Edns:
    """What a client says of itself.

    Attributes:
        subnet: the option by which it says for whom it asks; empty for none.
        subnet_address: the address in it; "" for none.
    """

    bytes_max: int
    is_dnssec_ok: bool = False
    subnet: bytes = b""
    subnet_address: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Query:
    """A question.

    Attributes:
        flags: of its header.
        question: its bytes, for the answer repeats them.
    """

    flags: int
    question: bytes
    labels: tuple[bytes, ...]
    qtype: int
    edns: Edns | None


def read_query(data: bytes) -> Query:
    """The question in a packet.

    Raises:
        Refused: it holds none that can be answered.
    """
    if len(data) < HEADER_BYTES or data[2] & 0x80:
        raise Refused(None)  # nobody answers an answer
    flags, questions = struct.unpack_from("!HH", data, 2)
    if flags & _OPCODE:
        raise Refused(NOTIMP)
    if questions != 1 or len(data) > QUERY_BYTES_MAX:
        raise Refused(FORMERR)
    try:
        message = dns.message.from_wire(data, ignore_trailing=True, one_rr_per_rrset=True)
    except dns.message.UnknownTSIGKey as error:
        raise Refused(REFUSED) from error
    except (dns.exception.DNSException, ValueError, struct.error, IndexError) as error:
        raise Refused(FORMERR) from error
    if len(message.question) != 1:
        raise Refused(FORMERR)
    asked = message.question[0]
    name = asked.name.to_wire()
    end = HEADER_BYTES + len(name or b"") + 4
    if data[HEADER_BYTES : end - 4] != name:
        raise Refused(FORMERR)  # a name that points elsewhere has no business in a question
    if asked.rdclass not in (_IN, _ANY_CLASS):
        raise Refused(REFUSED)
    if asked.rdtype in (_AXFR, _IXFR):
        raise Refused(NOTIMP)
    edns = _read_edns(message)
    return Query(flags, data[HEADER_BYTES:end], asked.name.labels[:-1], int(asked.rdtype), edns)


def _read_edns(message: dns.message.Message) -> Edns | None:
    if message.edns < 0:
        return None
    if message.edns > 0:
        raise Refused(_BADVERS)
    for option in message.options:
        if isinstance(option, dns.edns.ECSOption):
            wire = option.to_wire() or b""
            return Edns(message.payload, bool(message.ednsflags & _DNSSEC_OK), wire, option.address)
    return Edns(message.payload, bool(message.ednsflags & _DNSSEC_OK))


def refusal(data: bytes, rcode: int) -> bytes:
    """The answer to a packet that can't be answered: its header, and why."""
    flags = struct.unpack_from("!H", data, 2)[0]
    said = _QR | (flags & (_OPCODE | _RD)) | (rcode & 0xF)
    opt = _opt_record(PLAIN_BYTES_MAX, extended_rcode=rcode >> 4) if rcode > 0xF else b""
    return data[:2] + _HEADER.pack(said, 0, 0, 0, 1 if opt else 0) + opt


def cut_answer(data: bytes) -> bytes | None:
    """An empty answer that says to ask over TCP; None for what is no question."""
    if len(data) < HEADER_BYTES or data[2] & 0x80:
        return None
    flags = struct.unpack_from("!H", data, 2)[0]
    return data[:2] + _HEADER.pack(_QR | _TC | (flags & (_OPCODE | _RD)), 0, 0, 0, 0)


def failure(query: Query, rcode: int, *, is_ours: bool = True, recurses: bool = False) -> bytes:
    """An answer without records, behind the id."""
    flags = _QR | (query.flags & (_OPCODE | _RD)) | (_AA if is_ours else 0) | (_RA if recurses else 0) | rcode
    return _HEADER.pack(flags, 1, 0, 0, 0) + query.question


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """How much an answer may hold.

    Attributes:
        count: how many of the choices; 0 for all.
        is_count_told: whether cutting them to that number is said (TC).
        is_compressed: whether names may point to others.
    """

    size_bytes: int
    count: int = 0
    is_count_told: bool = False
    is_compressed: bool = True


def limits_of(
    query: Query,
    *,
    is_tcp: bool,
    udp_answers: int,
    addresses: int,
    edns_bytes: int,
    is_count_told: bool,
    is_compressed: bool,
) -> Limits:
    """The limits of an answer.

    Args:
        udp_answers: how many answers go to a client without EDNS over UDP.
        addresses: how many addresses go to anybody; 0 for all.
        edns_bytes: how much goes to any client over UDP.
    """
    if is_tcp:
        return Limits(TCP_BYTES_MAX, addresses, is_compressed=is_compressed)
    size = min(query.edns.bytes_max, edns_bytes) if query.edns else PLAIN_BYTES_MAX
    if size > PLAIN_BYTES_MAX:
        return Limits(size, addresses, is_compressed=is_compressed)
    count = min(_PLAIN_ANSWERS_MAX, udp_answers, addresses or udp_answers)
    return Limits(PLAIN_BYTES_MAX, count, is_count_told, is_compressed)


@dataclasses.dataclass(frozen=True, slots=True)
class _Piece:
    """A choice, ready to be joined.

    Attributes:
        extras: owner and the rest of each record that goes with it; None for the answer's own target.
    """

    answer: bytes
    target_at: int
    target: bytes
    extras: tuple[tuple[bytes | None, bytes], ...]


class Prepared:
    """A reply in bytes, but for the choice among its answers.

    Attributes:
        is_cut: whether the last rendering left something out for its size.
    """

    __slots__ = (
        "_additional",
        "_authority",
        "_choices",
        "_count",
        "_cumulative",
        "_fixed",
        "_flags",
        "_is_ordered",
        "_limits",
        "_opt",
        "_ordered_count",
        "_owner",
        "_pieces",
        "_question",
        "_room",
        "_turns",
        "_weights",
        "is_cut",
    )

    def __init__(self, reply: Reply, query: Query, limits: Limits, *, recurses: bool) -> None:
        self.is_cut = False
        self._limits = limits
        self._question = query.question
        self._is_ordered = reply.is_ordered
        flags = _QR | (query.flags & (_OPCODE | _RD)) | reply.rcode
        flags |= (_AA if reply.is_ours else 0) | (_RA if recurses or reply.recurses else 0)
        self._flags = flags
        asked = query.question[:-4]
        owner = _QUESTION_POINTER if limits.is_compressed else asked
        self._opt = _opt_record_for(query.edns) if query.edns and reply.is_ours else b""
        self._room = limits.size_bytes - HEADER_BYTES - len(query.question) - len(self._opt)
        self._fixed = _encoded(reply.fixed, owner)
        self._authority = _encoded(reply.authority, owner)
        self._additional = _encoded(reply.additional, owner)
        self._owner = owner
        self._choices = reply.choices
        # Of thousands few are ever given, so each is made when it is.
        self._pieces: list[_Piece | None] = [None] * len(reply.choices)
        weights = [max(choice.weight, 0) for choice in reply.choices]
        is_even = len(set(weights)) <= 1
        self._weights = None if is_even else weights
        self._cumulative = None if is_even else list(itertools.accumulate(weights))
        self._count = min(len(reply.choices), limits.count or len(reply.choices))
        # More can't fit, so no more need be put in order; one more shows that some did not.
        least_bytes = min((len(each.answer.data) for each in reply.choices), default=1) + _RECORD_HEAD.size
        self._ordered_count = min(self._count, max(self._room, 0) // least_bytes + 1)
        self._turns: list[tuple[bytes, bool] | None] = [None] * self._turns_count()

    @property
    def pieces_count(self) -> int:
        """How many records it holds, roughly."""
        return len(self._pieces) + len(self._turns) + len(self._fixed) + 1

    def _turns_count(self) -> int:
        """How many answers it can come to, if they are few; 0 for many."""
        size = len(self._pieces)
        if size <= 1 or self._is_ordered:
            return 1
        is_turned = self._cumulative is None and not self._is_sampled
        return size if is_turned and size <= _TURNS_MAX else 0

    @property
    def _is_sampled(self) -> bool:
        """Whether so few of the choices are given that those are drawn one by one."""
        return self._ordered_count * 4 < len(self._pieces)

    def render(self, rng: random.Random) -> bytes:
        """The answer behind its id, with an order or a sample of its own."""
        turns = self._turns
        if not turns:
            found, self.is_cut = self._join(self._order(rng))
            return found
        turn = int(rng.random() * len(turns))
        ready = turns[turn]
        if ready is None:
            ready = turns[turn] = self._join(self._turned(turn))
        found, self.is_cut = ready
        return found

    def _join(self, places: Iterable[int]) -> tuple[bytes, bool]:
        """The answer with the choices at these places, in this order, and whether it was cut for its size."""
        room = self._room - sum(map(len, self._authority))
        fixed, room, is_cut = _fitting(self._fixed, room)
        answers, extras, left_out = self._chosen(
            places, room, HEADER_BYTES + len(self._question) + sum(map(len, fixed))
        )
        room -= sum(map(len, answers)) + sum(map(len, extras))
        # What is only added may be left out without a word (RFC 2181, 9).
        added, _, _ = _fitting(self._additional, room)
        is_cut = is_cut or left_out
        is_told = is_cut or (self._limits.is_count_told and self._count < len(self._pieces))
        extras += added
        if self._opt:
            extras.append(self._opt)
        header = _HEADER.pack(
            self._flags | (_TC if is_told else 0), 1, len(fixed) + len(answers), len(self._authority), len(extras)
        )
        return b"".join((header, self._question, *fixed, *answers, *self._authority, *extras)), is_cut

    def _chosen(self, places: Iterable[int], room: int, offset: int) -> tuple[list[bytes], list[bytes], bool]:
        """Answers that fit, with what goes with them where there is room left; whether some did not fit."""
        pieces: list[_Piece] = []
        is_cut = False
        for place in places:
            piece = self._pieces[place] or self._make_piece(place)
            if len(piece.answer) > room:
                is_cut = True
                break
            room -= len(piece.answer)
            pieces.append(piece)
        extras: list[bytes] = []
        known: set[tuple[bytes | None, bytes]] = set()
        for piece in pieces:
            found = self._extras(piece, offset, known) if piece.extras else []
            room -= sum(map(len, found))
            if room < 0:
                break
            extras += found
            offset += len(piece.answer)
        return [piece.answer for piece in pieces], extras, is_cut

    def _extras(self, piece: _Piece, offset: int, known: set[tuple[bytes | None, bytes]]) -> list[bytes]:
        """What goes with an answer at `offset`, but for what is there already."""
        at = offset + piece.target_at
        is_near = self._limits.is_compressed and at <= _POINTER_MOST
        target = struct.pack("!H", _POINTER | at) if is_near else piece.target
        found = []
        for owner, rest in piece.extras:
            name = (piece.target if owner is None else owner, rest)
            if name not in known:
                known.add(name)
                found.append((target if owner is None else owner) + rest)
        return found

    def _make_piece(self, place: int) -> _Piece:
        piece = self._pieces[place] = _piece(self._choices[place], self._owner)
        return piece

    def _order(self, rng: random.Random) -> Iterable[int]:
        """The places of so many choices as may be given, in the order in which they are."""
        size, count = len(self._pieces), self._ordered_count
        if self._cumulative is not None:
            return self._by_weight(rng, count)
        return rng.sample(range(size), count) if self._is_sampled else self._turned(int(rng.random() * size))

    def _turned(self, first: int) -> Iterable[int]:
        """So many places as may be given, from this one on and round."""
        size, end = len(self._pieces), first + self._ordered_count
        return itertools.chain(range(first, min(end, size)), range(end - size))

    def _by_weight(self, rng: random.Random, count: int) -> list[int]:
        """Places of choices, drawn one after the other by weight from those that are left.

        Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006), for the keys.
        """
        assert self._weights is not None
        assert self._cumulative is not None
        size = len(self._weights)
        if count * 4 < size or size > _SHUFFLED_MAX:
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
        assert self._cumulative is not None
        drawn: dict[int, None] = {}
        for _ in range(8):
            for place in rng.choices(range(len(self._cumulative)), cum_weights=self._cumulative, k=count):
                drawn[place] = None
                if len(drawn) == count:
                    return list(drawn)
        return list(drawn)


def _fitting(records: Sequence[bytes], room: int) -> tuple[list[bytes], int, bool]:
    """The first records that fit, what room is left, and whether some did not fit."""
    taken: list[bytes] = []
    for record in records:
        if len(record) > room:
            return taken, room, True
        taken.append(record)
        room -= len(record)
    return taken, room, False


def _encoded(records: Sequence[Record], asked: bytes) -> list[bytes]:
    return [(asked if each.owner is None else name_bytes(each.owner)) + _rest(each) for each in records]


def _rest(record: Record) -> bytes:
    """A record behind its owner."""
    return _RECORD_HEAD.pack(record.rtype, _IN, record.ttl_s, len(record.data)) + record.data


def _piece(choice: Choice, asked: bytes) -> _Piece:
    answer = choice.answer
    head_bytes = len(asked) + _RECORD_HEAD.size
    target = answer.data[answer.target_at :] if answer.target_at >= 0 else b""
    extras = []
    for extra in choice.extras:
        owner = asked if extra.owner is None else name_bytes(extra.owner)
        extras.append((None if target and owner == target else owner, _rest(extra)))
    return _Piece(asked + _rest(answer), head_bytes + max(answer.target_at, 0), target, tuple(extras))


def _opt_record_for(edns: Edns) -> bytes:
    options = (
        struct.pack("!HH", int(dns.edns.OptionType.ECS), len(edns.subnet)) + edns.subnet if edns.subnet else b""
    )
    return _opt_record(edns.bytes_max, flags=_DNSSEC_OK if edns.is_dnssec_ok else 0, options=options)


def _opt_record(bytes_max: int, *, extended_rcode: int = 0, flags: int = 0, options: bytes = b"") -> bytes:
    """The record by which EDNS is answered (RFC 6891, 6.1)."""
    return b"\x00" + _RECORD_HEAD.pack(OPT, bytes_max, extended_rcode << 24 | flags, len(options)) + options


def labels_text(labels: Name) -> tuple[str, ...]:
    """Labels as text; bytes that are no UTF-8 stand for themselves."""
    try:
        return tuple([label.decode() for label in labels])
    except UnicodeDecodeError:
        return tuple([label.decode("latin-1") for label in labels])
