"""Answers about nodes, addresses and the zone itself, and what other answers say of nodes. Pure."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable, Iterable

from regista.catalog import NODES, Catalog, node_topic
from regista.model import Node
from regista.protocols.dns.names import AddressName, ReverseName
from regista.protocols.dns.records import (
    AAAA,
    ANY,
    CNAME,
    NOERROR,
    NS,
    NXDOMAIN,
    PTR,
    SERVFAIL,
    SOA,
    TXT,
    A,
    Name,
    Record,
    Reply,
    address_record,
    is_label,
    is_name,
    name_of,
    pointer_record,
    txt_record,
)
from regista.protocols.dns.reverse import AddressIndex
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.suffixes import SuffixIndex
from regista.protocols.dns.zone import Zone

_RFC1035 = "rfc1035-"
"""Metadata under such a key is shown without the key."""


class Hosts:
    """Answers about nodes, addresses and the zone.

    Args:
        suffixes: which names that are none have names below them.
        wall_clock: seconds since the epoch, for the SOA record.
    """

    def __init__(
        self,
        catalog: Catalog,
        zone: Zone,
        settings: DnsSettings,
        suffixes: SuffixIndex,
        *,
        wall_clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._zone = zone
        self._settings = settings
        self._suffixes = suffixes
        self._wall_clock = wall_clock
        self._addresses = AddressIndex(catalog)

    def node(self, name: str, qtype: int) -> Reply:
        """What there is to say of a node."""
        entry = self._catalog.nodes.get(name.lower())
        topics = (node_topic(name),)
        if entry is None:
            # Any node may come whose name ends so.
            return self.no_data((NODES,)) if self._suffixes.has_node_below(name) else self.nothing((NODES,))
        node, ttl_s = entry.record, self._zone.node_ttl_s
        meta = self.meta_records(node, None, is_wanted=qtype in (TXT, ANY))
        if qtype == TXT:
            return Reply(fixed=meta, topics=topics) if meta else self.no_data(topics)
        packed = packed_address(node.address)
        fixed: tuple[Record, ...] = ()
        alias: Name = ()
        if packed is None:
            target = name_of(node.address) if node.address and qtype in (A, AAAA, ANY, CNAME) else None
            if target:
                fixed, alias = (pointer_record(None, CNAME, target, ttl_s),), target
        elif is_of_type(packed, qtype):
            fixed = (address_record(None, packed, ttl_s),)
        if qtype == ANY:
            fixed += meta
        authority = () if fixed else self.no_data().authority
        additional = () if qtype == ANY else meta
        return Reply(fixed=fixed, authority=authority, additional=additional, topics=topics, alias=alias)

    def target(self, name: str) -> Name | None:
        """The name by which other answers name a node; None if it can't be in any."""
        labels = name.split(".")
        if not all(map(is_label, labels)):
            return None
        target = self._zone.below(*(label.encode() for label in labels), b"node")
        return target if is_name(target) else None

    def meta_records(
        self, node: Node, owner: Name | None, *, ttl_s: int | None = None, is_wanted: bool = False
    ) -> tuple[Record, ...]:
        """A node's metadata; where nobody asked for it, only if it is to be added."""
        if not node.meta or not (is_wanted or self._settings.enable_additional_node_meta_txt):
            return ()
        ttl_s = self._zone.node_ttl_s if ttl_s is None else ttl_s
        return tuple(txt_record(owner, _meta_text(key, value), ttl_s) for key, value in sorted(node.meta.items()))

    def address(self, meaning: AddressName, qtype: int) -> Reply:
        """The address that a name spells out."""
        if meaning.address is None:
            return Reply()
        packed = meaning.address.packed
        if not is_of_type(packed, qtype):
            return self.no_data()
        return Reply(fixed=(address_record(None, packed, self._zone.node_ttl_s),))

    def reverse(self, meaning: ReverseName) -> Reply:
        """Who has an address; where nobody has, that others may know."""
        address = str(meaning.address)
        ttl_s = self._zone.node_ttl_s
        nodes = [self._catalog.nodes[key].record.name for key in self._addresses.nodes(address)]
        services = [self._catalog.services[key].record.name for key in self._addresses.services(address)]
        targets = [self.target(name) for name in nodes]
        targets += [
            self._zone.below(name.encode(), b"service") for name in dict.fromkeys(services) if is_label(name)
        ]
        fixed = tuple(pointer_record(None, PTR, target, ttl_s) for target in targets if target is not None)
        return Reply(fixed=fixed) if fixed else Reply(SERVFAIL, is_ours=False, recurses=True)

    def node_at(self, address: str) -> str:
        """The node with this address; "" for none."""
        keys = self._addresses.nodes(address)
        return self._catalog.nodes[keys[0]].record.name if keys else ""

    # ---- the zone ----

    def zone(self, qtype: int) -> Reply:
        """The NS or SOA record of the zone."""
        zone = self._zone
        entry = self._catalog.nodes.get(zone.node_name.lower())
        target = self.target(zone.node_name)
        packed = packed_address(entry.record.address) if entry else None
        servers = (pointer_record(zone.domain, NS, target, zone.node_ttl_s),) if target else ()
        additional = (address_record(target, packed, zone.node_ttl_s),) if target and packed is not None else ()
        if qtype == NS:
            return Reply(fixed=servers, additional=additional)
        return Reply(fixed=(self._soa(),), authority=servers, additional=additional)

    def nothing(self, topics: Iterable[str] = ()) -> Reply:
        """That there is no such name."""
        return Reply(NXDOMAIN, authority=(self._soa(),), topics=tuple(topics))

    def no_data(self, topics: Iterable[str] = ()) -> Reply:
        """That there is the name, and nothing of the type (RFC 2308, 2.2)."""
        return Reply(NOERROR, authority=(self._soa(),), topics=tuple(topics))

    def dated(self, reply: Reply) -> Reply:
        """The reply with the zone's present serial."""
        said = self._soa().data
        authority = tuple(
            dataclasses.replace(each, data=said) if each.rtype == SOA else each for each in reply.authority
        )
        return dataclasses.replace(reply, authority=authority)

    def _soa(self) -> Record:
        return self._zone.soa_record(self._wall_clock())


def packed_address(address: str) -> bytes | None:
    """A literal address as bytes; None for anything else."""
    # A service of thousands is read anew when one of its instances changes, and `ipaddress` takes its time.
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except (OSError, ValueError):
        pass
    try:
        return ipaddress.ip_address(address).packed if "%" in address else None
    except ValueError:
        return None


def is_of_type(packed: bytes, qtype: int) -> bool:
    """Whether whoever asks for this type, or for any, wants the record of an address."""
    return qtype == ANY or qtype == (A if len(packed) == 4 else AAAA)


def _meta_text(key: str, value: str) -> bytes:
    """`key=value`, with the key's own signs quoted (RFC 1464, 2)."""
    if key.lower().startswith(_RFC1035):
        return value.encode()
    quoted = key.replace("`", "``").replace("=", "`=")
    return f"{quoted}={value}".encode()
