"""What stands behind aliases: an answer that ends in another name goes on with what that one has. Pure.

A stub resolver, such as glibc's, follows nothing by itself: whoever it asks has to give it the addresses too.

Source: RFC 1034, 4.3.2 (step 3a) for the going on, RFC 6604 for the code, which is that of the last name; Consul
1.9 (behaviour) for the depth, and that a foreign name is asked of recursors.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from regista.protocols.dns.records import (
    AAAA,
    ANY,
    CNAME,
    SERVFAIL,
    TXT,
    A,
    Name,
    Record,
    Reply,
    address_record,
    pointer_record,
    read_name,
)

_DEPTH_MAX = 3
"""An alias of an alias of an alias is followed; a loop ends here at the latest."""

_FOREIGN_RECORDS_MAX = 64
"""A foreign name with more addresses is given with the first of them: they fit the larger of the usual packets."""

_FOREIGN_ALIASES_MAX = 16
"""Resolvers give up on longer chains of aliases, or sooner."""

_TTL_S_MAX = 7 * 86400

_FOLLOWED = (A, AAAA, ANY, TXT)
"""For a service, TXT is as ANY; a node has its own TXT records, and then no alias."""

_FOREIGN_BYTES_MAX = 1232
"""What a recursor may send at once (never fragmented); what is cut is asked for again over TCP."""


def is_followed(reply: Reply, qtype: int) -> bool:
    """Whether whoever asks for this type wants what stands behind the reply's alias."""
    return bool(reply.alias) and qtype in _FOLLOWED


def follow(reply: Reply, qtype: int, ask: Callable[[Name, int], Reply | None]) -> Reply:
    """The reply with what stands behind its alias, as far as it is here.

    Args:
        ask: what there is to say to a name and a type, itself not followed; None for a foreign name.

    Returns:
        A reply whose alias is a foreign name, or has none.
    """
    wanted = qtype if qtype in (A, AAAA) else ANY
    seen: set[Name] = set()
    for _ in range(_DEPTH_MAX):
        if not is_followed(reply, qtype):
            return reply
        found = ask(reply.alias, wanted)
        if found is None:
            return reply
        seen.add(_lowered(reply.alias))
        if _lowered(found.alias) in seen:
            return dataclasses.replace(reply, alias=(), topics=_topics(reply, found))
        reply = _joined(reply, found)
    return dataclasses.replace(reply, alias=())


def _lowered(name: Name) -> Name:
    return tuple(label.lower() for label in name)


def _joined(reply: Reply, found: Reply) -> Reply:
    """The reply, and what was found to its alias behind it."""
    if found.rcode == SERVFAIL:
        return Reply(SERVFAIL, service=reply.service)
    owner = reply.alias
    fixed = [dataclasses.replace(each, owner=owner) for each in found.fixed if each.rtype in (A, AAAA, CNAME)]
    return dataclasses.replace(
        reply,
        rcode=found.rcode,
        fixed=(*reply.fixed, *fixed),
        choices=found.choices,
        is_ordered=found.is_ordered,
        owner=owner,
        authority=found.authority,
        topics=_topics(reply, found),
        alias=found.alias,
        start=reply.start if found.start is None else found.start,
    )


def _topics(reply: Reply, found: Reply) -> tuple[str, ...]:
    """Those of both; none if one of them is good for this moment only."""
    return (*reply.topics, *found.topics) if reply.topics and found.topics else ()


# ---- foreign names ----


def foreign_question(alias: Name, qtype: int) -> bytes:
    """The packet that asks a recursor for the addresses of a foreign name: IPv4, unless IPv6 is wanted."""
    name = dns.name.Name((*alias, b""))
    rdtype = dns.rdatatype.AAAA if qtype == AAAA else dns.rdatatype.A
    return dns.message.make_query(name, rdtype, use_edns=0, payload=_FOREIGN_BYTES_MAX).to_wire()


def is_foreign_cut(answer: bytes) -> bool:
    """Whether a recursor had more to say than it could send."""
    return bool(answer[2] & 0x02)


def has_answers(answer: bytes) -> bool:
    """Whether a recursor's answer has records in its first section."""
    return answer[6:8] != b"\x00\x00"


def follow_foreign(reply: Reply, answer: bytes, *, addresses_max: int) -> Reply:
    """The reply with what a recursor said of its alias; as it is where that can't be read.

    Args:
        addresses_max: how many addresses are taken at the most; 0 for no such limit.

    Returns:
        A reply that is good for this moment only. Its alias is the name that the recursor's answer leads to, where
        it has no address of that.
    """
    try:
        message = dns.message.from_wire(answer, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return dataclasses.replace(reply, topics=())
    count = min(addresses_max or _FOREIGN_RECORDS_MAX, _FOREIGN_RECORDS_MAX)
    found = tuple(_foreign_records(message, reply.alias, count))
    is_open = bool(found) and found[-1].rtype == CNAME
    return dataclasses.replace(
        reply,
        rcode=int(message.rcode()),
        fixed=(*reply.fixed, *found),
        authority=(),
        topics=(),
        alias=read_name(found[-1].data) if is_open else (),
    )


def _foreign_records(message: dns.message.Message, alias: Name, count: int) -> Iterator[Record]:
    """The records that lead from the alias to addresses, and those addresses; nothing that was not asked for."""
    name = dns.name.Name((*alias, b""))
    seen: set[dns.name.Name] = set()
    while name not in seen and len(seen) < _FOREIGN_ALIASES_MAX:
        seen.add(name)
        here = [rrset for rrset in message.answer if rrset.name == name and rrset.rdclass == dns.rdataclass.IN]
        yield from _foreign_addresses(here, count)
        for rrset in here:
            if rrset.rdtype == CNAME:
                target = rrset[0].target
                yield pointer_record(name.labels[:-1], CNAME, target.labels[:-1], min(rrset.ttl, _TTL_S_MAX))
                name = target
                break


def _foreign_addresses(rrsets: Iterable[dns.rrset.RRset], count: int) -> Iterator[Record]:
    for rrset in rrsets:
        if rrset.rdtype not in (A, AAAA):
            continue
        for each in list(rrset)[:count]:
            yield address_record(rrset.name.labels[:-1], each.to_wire() or b"", min(rrset.ttl, _TTL_S_MAX))
