"""Questions and answers as bytes.

A reply is prepared once for all who ask the same in the same way: every record is a ready piece of bytes. To
render it is to choose pieces and join them, so that each caller gets an order, or a sample, of its own.

Source: RFC 1035 (messages), RFC 6891 (EDNS), RFC 7871 (client subnet).
"""

from __future__ import annotations

import dataclasses
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
    Name,
    Record,
    Reply,
    name_bytes,
)
from regista.protocols.dns.stock import QUESTION_POINTER, RECORD_HEAD, Piece, Stock, record_rest

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
_ASKING = (0, 4 << 11)
"""QUERY and NOTIFY; what others have in the place of a question is something else."""
_IN, _ANY_CLASS = 1, 255
_AXFR, _IXFR = 252, 251
_BADVERS = 16
_DNSSEC_OK = 0x8000
_LABEL_BYTES_MAX = 63
_NAME_BYTES_MAX = 255
_POINTER = 0xC000
_POINTER_MOST = 0x3FFF
_HEADER = struct.Struct("!HHHHH")
_TURNS_MAX = 10
"""An answer with so few choices is kept in each of its orders."""


class Refused(Exception):
    """A packet that gets no answer from the zone.

    Attributes:
        rcode: what its sender is told; None for nothing at all.
        edns: what its sender said of itself, where that could be read.
    """

    def __init__(self, rcode: int | None, edns: Edns | None = None) -> None:
        super().__init__(rcode)
        self.rcode = rcode
        self.edns = edns


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
    edns = _read_edns(message)
    if asked.rdclass not in (_IN, _ANY_CLASS):
        raise Refused(REFUSED, edns)
    if asked.rdtype in (_AXFR, _IXFR):
        raise Refused(NOTIMP, edns)
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


def refusal(data: bytes, rcode: int, edns: Edns | None = None) -> bytes:
    """The answer to a packet that can't be answered: its header, its question if that can be read, and why."""
    flags = struct.unpack_from("!H", data, 2)[0]
    said = _QR | (flags & (_OPCODE | _RD)) | (rcode & 0xF)
    if rcode > 0xF:
        opt = _opt_record(PLAIN_BYTES_MAX, extended_rcode=rcode >> 4)
    else:
        opt = _opt_record_for(edns) if edns else b""
    asked = _question(data)
    return data[:2] + _HEADER.pack(said, 1 if asked else 0, 0, 0, 1 if opt else 0) + asked + opt


def cut_answer(data: bytes) -> bytes | None:
    """An empty answer that says to ask over TCP; None for what is no question."""
    if len(data) < HEADER_BYTES or data[2] & 0x80:
        return None
    flags = struct.unpack_from("!H", data, 2)[0]
    asked = _question(data)
    return data[:2] + _HEADER.pack(_QR | _TC | (flags & (_OPCODE | _RD)), 1 if asked else 0, 0, 0, 0) + asked


def _question(data: bytes) -> bytes:
    """The one question in a packet, as it stands there; empty where that is no name, type and class.

    Resolvers take an answer that does not repeat it for somebody else's.
    """
    flags, questions = struct.unpack_from("!HH", data, 2)
    if flags & _OPCODE not in _ASKING or questions != 1:
        return b""
    end = HEADER_BYTES
    while end < len(data) and 0 < data[end] <= _LABEL_BYTES_MAX:
        end += 1 + data[end]
    if end >= len(data) or data[end] or end + 1 - HEADER_BYTES > _NAME_BYTES_MAX or end + 5 > len(data):
        return b""
    return data[HEADER_BYTES : end + 5]


def failure(query: Query, rcode: int, *, is_ours: bool = True, recurses: bool = False) -> bytes:
    """An answer without records, behind the id.

    EDNS is answered with EDNS (RFC 6891, 6.1.1): a resolver may take a server that does not for one that knows
    none, and ask without it from then on, also about names that are here.
    """
    flags = _QR | (query.flags & (_OPCODE | _RD)) | (_AA if is_ours else 0) | (_RA if recurses else 0) | rcode
    opt = _opt_record_for(query.edns) if query.edns else b""
    return _HEADER.pack(flags, 1, 0, 0, 1 if opt else 0) + query.question + opt


def without_records(answer: bytes, query: Query) -> bytes:
    """Another server's answer that is larger than the client takes: its head, and the word to ask over TCP."""
    flags = struct.unpack_from("!H", answer, 2)[0] | _TC
    opt = _opt_record_for(query.edns) if query.edns else b""
    return answer[:2] + _HEADER.pack(flags, 1, 0, 0, 1 if opt else 0) + query.question + opt


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


class Prepared:
    """A reply in bytes, as one question has it, but for the choice among its answers.

    Args:
        stock: of the reply's choices, where others have it already.

    Attributes:
        is_cut: whether the last rendering left something out for its size.
    """

    __slots__ = (
        "_additional",
        "_authority",
        "_count",
        "_fixed",
        "_flags",
        "_limits",
        "_opt",
        "_ordered_count",
        "_owner",
        "_question",
        "_room",
        "_stock",
        "_turns",
        "is_cut",
    )

    def __init__(
        self, reply: Reply, query: Query, limits: Limits, *, recurses: bool, stock: Stock | None = None
    ) -> None:
        self.is_cut = False
        self._limits = limits
        self._question = query.question
        flags = _QR | (query.flags & (_OPCODE | _RD)) | reply.rcode
        flags |= (_AA if reply.is_ours else 0) | (_RA if recurses or reply.recurses else 0)
        self._flags = flags
        owner = QUESTION_POINTER if limits.is_compressed else query.question[:-4]
        is_for_all = reply.start is None
        self._opt = _opt_record_for(query.edns, is_for_all=is_for_all) if query.edns else b""
        self._room = limits.size_bytes - HEADER_BYTES - len(query.question) - len(self._opt)
        self._fixed = _encoded(reply.fixed, owner)
        self._authority = _encoded(reply.authority, owner)
        self._additional = _encoded(reply.additional, owner)
        self._owner = owner if reply.owner is None else self._target_at_end(reply.owner)
        self._stock = stock = stock or Stock(reply.choices, is_ordered=reply.is_ordered)
        self._count = min(len(stock), limits.count or len(stock))
        # More can't fit, so no more need be put in order; one more shows that some did not.
        self._ordered_count = min(self._count, max(self._room, 0) // stock.least_bytes + 1)
        self._turns: list[tuple[bytes, bool] | None] = [None] * self._turns_count()

    @property
    def pieces_count(self) -> int:
        """How many records it holds besides its stock, roughly."""
        return len(self._turns) + len(self._fixed) + 1

    def _target_at_end(self, target: Name) -> bytes:
        """The name that the fixed records lead to, if they end with it by a pointer to there."""
        whole = name_bytes(target)
        at = HEADER_BYTES + len(self._question) + sum(map(len, self._fixed)) - len(whole)
        is_last = bool(self._fixed) and self._fixed[-1].endswith(whole)
        is_near = self._limits.is_compressed and is_last and at <= _POINTER_MOST
        return struct.pack("!H", _POINTER | at) if is_near else whole

    def _turns_count(self) -> int:
        """How many answers it can come to, if they are few; 0 for many."""
        size = len(self._stock)
        if size <= 1 or self._stock.is_ordered:
            return 1
        is_turned = self._stock.is_turned and not self._stock.is_sampled(self._ordered_count)
        return size if is_turned and size <= _TURNS_MAX else 0

    def render(self, rng: random.Random) -> bytes:
        """The answer behind its id, with an order or a sample of its own."""
        turns = self._turns
        if not turns:
            found, self.is_cut = self._join(self._stock.order(rng, self._ordered_count))
            return found
        turn = int(rng.random() * len(turns))
        ready = turns[turn]
        if ready is None:
            ready = turns[turn] = self._join(self._stock.turned(turn, self._ordered_count))
        found, self.is_cut = ready
        return found

    def _join(self, places: Iterable[int]) -> tuple[bytes, bool]:
        """The answer with the choices at these places, in this order, and whether it was cut for its size."""
        # A negative answer is nothing without the zone's own record (RFC 2308, 5).
        authority, room, is_cut = _fitting(self._authority, self._room)
        fixed, room, left_out = _fitting(self._fixed, room)
        is_cut = is_cut or left_out
        # What the fixed records lead to is nothing without them.
        answers, extras, left_out = self._chosen(
            () if is_cut else places, room, HEADER_BYTES + len(self._question) + sum(map(len, fixed))
        )
        room -= sum(map(len, answers)) + sum(map(len, extras))
        # What is only added may be left out without a word (RFC 2181, 9).
        added, _, _ = _fitting(self._additional, room)
        is_cut = is_cut or left_out
        is_told = is_cut or (self._limits.is_count_told and self._count < len(self._stock))
        extras += added
        if self._opt:
            extras.append(self._opt)
        header = _HEADER.pack(
            self._flags | (_TC if is_told else 0), 1, len(fixed) + len(answers), len(authority), len(extras)
        )
        return b"".join((header, self._question, *fixed, *answers, *authority, *extras)), is_cut

    def _chosen(self, places: Iterable[int], room: int, offset: int) -> tuple[list[bytes], list[bytes], bool]:
        """Answers that fit, with what goes with them where there is room left; whether some did not fit."""
        pieces: list[Piece] = []
        is_cut = False
        take, more_bytes = self._stock.piece, len(self._owner) - len(QUESTION_POINTER)
        for place in places:
            piece = take(place)
            size = len(piece.answer) + more_bytes
            if size > room:
                is_cut = True
                break
            room -= size
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
        return self._owned(pieces), extras, is_cut

    def _owned(self, pieces: Iterable[Piece]) -> list[bytes]:
        """The answers of pieces, with the owner that this question gives them."""
        if self._owner == QUESTION_POINTER:
            return [piece.answer for piece in pieces]
        return [self._owner + piece.answer[len(QUESTION_POINTER) :] for piece in pieces]

    def _extras(self, piece: Piece, offset: int, known: set[tuple[bytes | None, bytes]]) -> list[bytes]:
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
    return [(asked if each.owner is None else name_bytes(each.owner)) + record_rest(each) for each in records]


def _opt_record_for(edns: Edns, *, is_for_all: bool = True) -> bytes:
    """The record by which EDNS is answered.

    Args:
        is_for_all: whether the answer is the same whatever the subnet (RFC 7871, 7.2.1); resolvers that keep it
            give it to others then.
    """
    options = b""
    if subnet := edns.subnet:
        source = subnet[2:3]
        scoped = subnet[:3] + (b"\x00" if is_for_all else source) + subnet[4:]
        options = struct.pack("!HH", int(dns.edns.OptionType.ECS), len(scoped)) + scoped
    return _opt_record(edns.bytes_max, flags=_DNSSEC_OK if edns.is_dnssec_ok else 0, options=options)


def _opt_record(bytes_max: int, *, extended_rcode: int = 0, flags: int = 0, options: bytes = b"") -> bytes:
    """The record by which EDNS is answered (RFC 6891, 6.1)."""
    return b"\x00" + RECORD_HEAD.pack(OPT, bytes_max, extended_rcode << 24 | flags, len(options)) + options
