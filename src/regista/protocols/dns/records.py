"""Resource records and replies, before they are bytes. Pure.

A name is its labels as bytes. What can't be a label, or is too long for a name, never gets here: see `is_label`
and `is_name`.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Final

import dns.rcode
import dns.rdatatype

A: Final = int(dns.rdatatype.A)
AAAA: Final = int(dns.rdatatype.AAAA)
ANY: Final = int(dns.rdatatype.ANY)
CNAME: Final = int(dns.rdatatype.CNAME)
NS: Final = int(dns.rdatatype.NS)
OPT: Final = int(dns.rdatatype.OPT)
PTR: Final = int(dns.rdatatype.PTR)
SOA: Final = int(dns.rdatatype.SOA)
SRV: Final = int(dns.rdatatype.SRV)
TXT: Final = int(dns.rdatatype.TXT)

NOERROR: Final = int(dns.rcode.NOERROR)
FORMERR: Final = int(dns.rcode.FORMERR)
SERVFAIL: Final = int(dns.rcode.SERVFAIL)
NXDOMAIN: Final = int(dns.rcode.NXDOMAIN)
NOTIMP: Final = int(dns.rcode.NOTIMP)
REFUSED: Final = int(dns.rcode.REFUSED)

_LABEL_BYTES_MAX = 63
_NAME_BYTES_MAX = 255
_TXT_BYTES_MAX = 255

Name = tuple[bytes, ...]
"""A name's labels without the root."""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One resource record, of class IN.

    Attributes:
        owner: None for the name in the question, as it is spelled there.
        data: on the wire, without compression.
        target_at: where in `data` a name stands that another record may have as its owner; -1 for none.
    """

    owner: Name | None
    rtype: int
    ttl_s: int
    data: bytes
    target_at: int = -1


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One of several answers that stand for each other: an instance.

    Attributes:
        weight: how often it is to come first, compared with the others.
        extras: records for the additional section, which go with the answer.
    """

    answer: Record
    extras: tuple[Record, ...] = ()
    weight: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What there is to say to a question.

    Attributes:
        choices: answers that stand for each other; so many of them as may be given, in random order.
        is_ordered: whether their order means something, and is kept.
        fixed: answers that come first, in this order.
        is_ours: whether the name is within the zone, so that the answer has authority.
        recurses: whether the header says that foreign names are looked up.
        topics: what must change before the reply can; empty for one that is good for this moment only.
        service: whose instances it lists, for the counters; "" for none.
        owner: whose the choices are; None for the name in the question, else what the last of `fixed` leads to.
        alias: the name that the last of `fixed` leads to, where nothing is said of it yet; empty for none.
        start: the node from which its order goes by distance since the client is there, "" for none; None where it
            does not matter who asks.
    """

    rcode: int = NOERROR
    choices: tuple[Choice, ...] = ()
    is_ordered: bool = False
    fixed: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    is_ours: bool = True
    recurses: bool = False
    topics: tuple[str, ...] = ()
    service: str = ""
    owner: Name | None = None
    alias: Name = ()
    start: str | None = None


def is_label(text: str) -> bool:
    """Whether a text can be one label of a name: a node whose name can't is in no answer."""
    is_short = 0 < len(text) <= _LABEL_BYTES_MAX
    return is_short and text.isascii() and text.isprintable() and " " not in text and "." not in text


def is_name(labels: Name) -> bool:
    """Whether labels together are not too long for a name (RFC 1035, 2.3.4)."""
    return sum(map(len, labels)) + len(labels) + 1 <= _NAME_BYTES_MAX


def name_of(text: str) -> Name | None:
    """The labels of a host name, with or without the dot at its end; None if it can be none."""
    labels = text.removesuffix(".").split(".")
    if not all(map(is_label, labels)):
        return None
    name = tuple(label.encode() for label in labels)
    return name if is_name(name) else None


def labels_text(labels: Name) -> tuple[str, ...]:
    """Labels as text; bytes that are no UTF-8 stand for themselves."""
    try:
        return tuple([label.decode() for label in labels])
    except UnicodeDecodeError:
        return tuple([label.decode("latin-1") for label in labels])


def read_name(data: bytes) -> Name:
    """The name that stands for itself in a record, without compression."""
    labels = []
    at = 0
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length])
        at += 1 + length
    return tuple(labels)


def name_bytes(name: Name) -> bytes:
    """The name on the wire, without compression."""
    return b"".join([bytes((len(label),)) + label for label in name]) + b"\x00"


def address_record(owner: Name | None, packed: bytes, ttl_s: int) -> Record:
    """An A or AAAA record, by the length of the address."""
    return Record(owner, A if len(packed) == 4 else AAAA, ttl_s, packed)


def pointer_record(owner: Name | None, rtype: int, target: Name, ttl_s: int) -> Record:
    """A record that is nothing but a name: CNAME, NS, PTR."""
    return Record(owner, rtype, ttl_s, name_bytes(target), target_at=0)


def srv_record(owner: Name | None, *, weight: int, port: int, target: Name, ttl_s: int) -> Record:
    """An SRV record (RFC 2782); the priority is always 1, as Consul has it."""
    data = struct.pack("!HHH", 1, weight, port) + name_bytes(target)
    return Record(owner, SRV, ttl_s, data, target_at=6)


def txt_record(owner: Name | None, text: bytes, ttl_s: int) -> Record:
    """A TXT record, in strings of the length that they may have."""
    parts = [text[at : at + _TXT_BYTES_MAX] for at in range(0, len(text), _TXT_BYTES_MAX)] or [b""]
    return Record(owner, TXT, ttl_s, b"".join([bytes((len(part),)) + part for part in parts]))


def soa_record(
    owner: Name, *, serial: int, refresh_s: int, retry_s: int, expire_s: int, minimum_s: int, ttl_s: int
) -> Record:
    """The zone's SOA record (RFC 1035, 3.3.13); its last number is the TTL of negative answers (RFC 2308)."""
    numbers = struct.pack("!IIIII", serial & 0xFFFFFFFF, refresh_s, retry_s, expire_s, minimum_s)
    data = name_bytes((b"ns", *owner)) + name_bytes((b"hostmaster", *owner)) + numbers
    return Record(owner, SOA, ttl_s, data)
