"""From what a name means to what there is to say: the records, before they are chosen and written. Pure.

Source: Consul 1.9 (behaviour), see `docs/reference/dns.md` for what is otherwise here.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence

from regista.catalog import (
    CONFIG_ENTRIES,
    COORDINATES,
    NODES,
    QUERIES,
    Catalog,
    Instance,
    Lookup,
    answer_query,
    degrading_topics,
    find_instances,
    find_query,
    ingress_gateways,
    is_withdrawn,
    mesh_topic,
    node_topic,
    panic_threshold,
    service_topic,
    share_out,
)
from regista.model import CRITICAL, BadInput, Node, parse_duration_s
from regista.protocols.dns.names import (
    AddressName,
    ForeignName,
    Meaning,
    NodeName,
    QueryName,
    ReverseName,
    ServiceName,
    UnknownName,
    ZoneName,
)
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
    SRV,
    TXT,
    A,
    Choice,
    Name,
    Record,
    Reply,
    address_record,
    is_label,
    is_name,
    name_of,
    pointer_record,
    srv_record,
    txt_record,
)
from regista.protocols.dns.reverse import AddressIndex
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.zone import Zone

_RFC1035 = "rfc1035-"
"""Metadata under such a key is shown without the key."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """The instances for a name.

    Attributes:
        wanted: all that the name means, whatever their health.
        given: those in the answer.
        is_panic: whether so few are well that all are given.
        topics: what must change before this can.
        ttl_s: how long an answer may be kept.
        is_ordered: whether their order means something.
    """

    service: str
    wanted: Sequence[Instance]
    given: Sequence[Instance]
    topics: tuple[str, ...]
    ttl_s: int
    is_panic: bool = False
    is_ordered: bool = False


class Answerer:
    """Answers questions from the replica.

    Args:
        threshold_default: the panic threshold of services that have none of their own, in percent.
        is_unknown: whether a topic's service may just not have registered again since this agent began.
        shuffle: puts a list in random order.
        wall_clock: seconds since the epoch, for the SOA record.
    """

    def __init__(
        self,
        catalog: Catalog,
        zone: Zone,
        settings: DnsSettings,
        *,
        threshold_default: float,
        is_unknown: Callable[[str], bool],
        shuffle: Callable[[list[Instance]], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._zone = zone
        self._settings = settings
        self._threshold_default = threshold_default
        self._is_unknown = is_unknown
        self._shuffle = shuffle
        self._wall_clock = wall_clock
        self._addresses = AddressIndex(catalog)

    def reply(self, meaning: Meaning, qtype: int, *, client: str = "") -> Reply:
        """What there is to say; for a foreign name, that nobody here knows.

        Args:
            client: the address of whoever asks, for queries that sort by distance from it.
        """
        if qtype in (NS, SOA) and not isinstance(meaning, ForeignName | ReverseName):
            return self._zone_itself(qtype)
        match meaning:
            case ServiceName() if meaning.is_short and qtype != SRV:
                return self._nothing()
            case ServiceName():
                return self._instances(self.find(meaning), qtype)
            case QueryName():
                found = self.find_for_query(meaning, client=client)
                return self._instances(found, qtype) if found else self._nothing((QUERIES,))
            case NodeName():
                return self._node(meaning.name, qtype)
            case AddressName():
                return self._address(meaning)
            case ReverseName():
                return self._reverse(meaning)
            case ZoneName() | UnknownName():
                return self._nothing()
            case ForeignName():
                return Reply(SERVFAIL, is_ours=False)

    # ---- instances ----

    def find(self, name: ServiceName) -> Found:
        """The instances that a name means, and those of them that are given."""
        catalog = self._catalog
        if name.is_ingress:
            gateways = ingress_gateways(catalog, name.name)
            topics = (CONFIG_ENTRIES, *(service_topic(each) for each in gateways))
            wanted = [each for gateway in gateways for each in find_instances(catalog, Lookup(gateway))]
        else:
            tags = (name.tag,) if name.tag else ()
            wanted = find_instances(catalog, Lookup(name.name, tags=tags, within_mesh=name.within_mesh))
            topics = (mesh_topic(name.name) if name.within_mesh else service_topic(name.name),)
        available = share_out(
            wanted,
            self._is_usable,
            threshold=panic_threshold(catalog, name.name, default=self._threshold_default),
            withdrawn=lambda each: is_withdrawn(each.checks),
        )
        return Found(
            name.name,
            wanted,
            available.instances,
            (*topics, *degrading_topics((name.name,))),
            self._zone.service_ttl_s(name.name),
            is_panic=bool(available.findings),
        )

    def find_for_query(self, name: QueryName, *, client: str) -> Found | None:
        """The instances that a prepared query asks for; None if there is no such query."""
        try:
            entry = find_query(self._catalog, name.name)
        except BadInput:
            return None
        if entry is None:
            return None
        query = entry.record
        near = self._near(query.near, client)
        available = answer_query(
            self._catalog,
            query,
            near=near,
            shuffle=self._shuffle,
            threshold_default=self._threshold_default,
        )
        topics = (QUERIES, service_topic(query.service), *degrading_topics((query.service,)))
        return Found(
            query.service,
            available.instances,
            available.instances,
            # Whoever is near depends on who asks.
            () if near and query.near == "_ip" else (*topics, *((COORDINATES, NODES) if near else ())),
            int(parse_duration_s(query.dns_ttl)) if query.dns_ttl else self._zone.service_ttl_s(query.service),
            is_panic=bool(available.findings),
            is_ordered=bool(near),
        )

    def _near(self, near: str, client: str) -> str:
        if near == "_agent":
            return self._zone.node_name
        if near != "_ip":
            return near
        keys = self._addresses.nodes(client)
        return self._catalog.nodes[keys[0]].record.name if keys else ""

    def _is_usable(self, instance: Instance) -> bool:
        if self._settings.only_passing:
            return instance.is_passing
        for entry in instance.checks:  # noqa: SIM110 - `all` takes three times as long, for every instance
            if entry.record.status == CRITICAL:
                return False
        return True

    def _instances(self, found: Found, qtype: int) -> Reply:
        if not found.given:
            return Reply(SERVFAIL) if self._may_come_back(found.service) else self._nothing(found.topics)
        if qtype == SRV:
            choices = self._srv_choices(found)
        elif qtype in (A, AAAA, ANY, TXT):
            choices = self._address_choices(found, qtype)
        else:
            choices = []
        if not choices:
            return dataclasses.replace(self._no_data(found.topics), service=found.service)
        if choices[0].answer.rtype == CNAME:
            alias = choices[0]
            topics = (*found.topics, *(node_topic(each) for each in self._host_nodes(found)))
            return Reply(fixed=(alias.answer, *alias.extras), topics=topics, service=found.service)
        return Reply(
            choices=tuple(choices), is_ordered=found.is_ordered, topics=found.topics, service=found.service
        )

    def _may_come_back(self, service: str) -> bool:
        """Whether a service that is not there may only not have registered again since the start."""
        return service.lower() not in self._catalog.service_indexes.by_name and self._is_unknown(
            service_topic(service)
        )

    def _address_choices(self, found: Found, qtype: int) -> list[Choice]:
        """The addresses of the instances, each once; a host name only where there is no address."""
        choices: dict[bytes, Choice] = {}
        names: list[Choice] = []
        for instance in found.given:
            address = _address_of(instance)
            packed = _packed(address)
            if packed is None:
                target = name_of(address) if address else None
                if target is not None:
                    alias = pointer_record(None, CNAME, target, found.ttl_s)
                    names.append(Choice(alias, self._resolved(target, qtype, found.ttl_s), _weight(instance)))
            elif qtype not in (A, AAAA) or (len(packed) == 4) == (qtype == A):
                record = address_record(None, packed, found.ttl_s)
                choices.setdefault(packed, Choice(record, weight=_weight(instance)))
        # There may be one CNAME of a name, and nothing beside it (RFC 1034, 3.6.2).
        return list(choices.values()) or names[:1]

    def _host_nodes(self, found: Found) -> list[str]:
        """The nodes that instances name as their hosts."""
        targets = (name_of(_address_of(each)) for each in found.given)
        nodes = (self._zone.node_in(target) for target in targets if target is not None)
        return [node for node in nodes if node]

    def _resolved(self, target: Name, qtype: int, ttl_s: int) -> tuple[Record, ...]:
        """The addresses of a node that an instance names as its host."""
        entry = self._catalog.nodes.get(self._zone.node_in(target))
        packed = _packed(entry.record.address) if entry else None
        if packed is None or (qtype in (A, AAAA) and (len(packed) == 4) != (qtype == A)):
            return ()
        return (address_record(target, packed, ttl_s),)

    def _srv_choices(self, found: Found) -> list[Choice]:
        """Port and host of each instance, with the host's addresses beside it; each pair once."""
        choices: dict[tuple[int, bytes], Choice] = {}
        for instance in found.given:
            target, extras = self._target(instance, found.ttl_s)
            if target is None:
                continue
            port, weight = instance.service.record.port, _weight(instance)
            answer = srv_record(None, weight=weight, port=port, target=target, ttl_s=found.ttl_s)
            choices.setdefault((port, b".".join(target).lower()), Choice(answer, extras, weight))
        return list(choices.values())

    def _target(self, instance: Instance, ttl_s: int) -> tuple[Name | None, tuple[Record, ...]]:
        """The host of an instance, and what is told of it besides; None if it can't be named."""
        address = instance.service.record.address
        packed = _packed(address)
        if address and packed is None:
            return name_of(address), ()
        if packed is not None:
            target = self._zone.below(packed.hex().encode(), b"addr")
            return target, (address_record(target, packed, ttl_s),)
        node = instance.node.record if instance.node else Node(name=instance.service.record.node)
        packed = _packed(node.address)
        if node.address and packed is None:
            return name_of(node.address), ()
        named = self._node_target(node.name)
        if named is None:
            return None, ()
        extras = (address_record(named, packed, ttl_s),) if packed is not None else ()
        return named, (*extras, *self._meta_records(node, named, ttl_s))

    # ---- nodes and addresses ----

    def _node(self, name: str, qtype: int) -> Reply:
        entry = self._catalog.nodes.get(name.lower())
        topics = (node_topic(name),)
        if entry is None:
            return self._nothing(topics)
        node, ttl_s = entry.record, self._zone.node_ttl_s
        meta = self._meta_records(node, None, ttl_s, is_wanted=qtype in (TXT, ANY))
        if qtype == TXT:
            return Reply(fixed=meta, topics=topics)
        packed = _packed(node.address)
        fixed: tuple[Record, ...] = ()
        if packed is None:
            target = name_of(node.address) if node.address and qtype in (A, AAAA, ANY, CNAME) else None
            fixed = (pointer_record(None, CNAME, target, ttl_s),) if target else ()
        elif qtype == ANY or (qtype in (A, AAAA) and (len(packed) == 4) == (qtype == A)):
            fixed = (address_record(None, packed, ttl_s),)
        if qtype == ANY:
            return Reply(fixed=(*fixed, *meta), topics=topics)
        return Reply(fixed=fixed, additional=meta, topics=topics)

    def _meta_records(
        self, node: Node, owner: Name | None, ttl_s: int, *, is_wanted: bool = False
    ) -> tuple[Record, ...]:
        """A node's metadata; where nobody asked for it, only if it is to be added."""
        if not node.meta or not (is_wanted or self._settings.enable_additional_node_meta_txt):
            return ()
        return tuple(txt_record(owner, _meta_text(key, value), ttl_s) for key, value in sorted(node.meta.items()))

    def _address(self, meaning: AddressName) -> Reply:
        if meaning.address is None:
            return Reply()
        record = address_record(None, meaning.address.packed, self._zone.node_ttl_s)
        return Reply(fixed=(record,))

    def _reverse(self, meaning: ReverseName) -> Reply:
        address = str(meaning.address)
        ttl_s = self._zone.node_ttl_s
        nodes = [self._catalog.nodes[key].record.name for key in self._addresses.nodes(address)]
        services = [self._catalog.services[key].record.name for key in self._addresses.services(address)]
        targets = [self._node_target(name) for name in nodes]
        targets += [
            self._zone.below(name.encode(), b"service") for name in dict.fromkeys(services) if is_label(name)
        ]
        fixed = tuple(pointer_record(None, PTR, target, ttl_s) for target in targets if target is not None)
        return Reply(fixed=fixed) if fixed else Reply(SERVFAIL, is_ours=False, recurses=True)

    def _node_target(self, name: str) -> Name | None:
        labels = name.split(".")
        if not all(map(is_label, labels)):
            return None
        target = self._zone.below(*(label.encode() for label in labels), b"node")
        return target if is_name(target) else None

    # ---- the zone ----

    def _zone_itself(self, qtype: int) -> Reply:
        zone = self._zone
        entry = self._catalog.nodes.get(zone.node_name.lower())
        target = self._node_target(zone.node_name)
        packed = _packed(entry.record.address) if entry else None
        servers = (pointer_record(zone.domain, NS, target, zone.node_ttl_s),) if target else ()
        additional = (address_record(target, packed, zone.node_ttl_s),) if target and packed is not None else ()
        if qtype == NS:
            return Reply(fixed=servers, additional=additional)
        return Reply(fixed=(self._soa(),), authority=servers, additional=additional)

    def _nothing(self, topics: Iterable[str] = ()) -> Reply:
        """That there is no such name."""
        return Reply(NXDOMAIN, authority=(self._soa(),), topics=tuple(topics))

    def _no_data(self, topics: Iterable[str]) -> Reply:
        """That there is the name, and nothing of the type (RFC 2308, 2.2)."""
        return Reply(NOERROR, authority=(self._soa(),), topics=tuple(topics))

    def _soa(self) -> Record:
        return self._zone.soa_record(self._wall_clock())


def _address_of(instance: Instance) -> str:
    own = instance.service.record.address
    return own or (instance.node.record.address if instance.node else "")


def _packed(address: str) -> bytes | None:
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


def _weight(instance: Instance) -> int:
    """The share of an instance as it is now."""
    weights = instance.service.record.weights
    is_well = instance.is_passing
    return min(max(weights.passing if is_well else weights.warning, 0), 65535)


def _meta_text(key: str, value: str) -> bytes:
    """`key=value`, with the key's own signs quoted (RFC 1464, 2)."""
    if key.lower().startswith(_RFC1035):
        return value.encode()
    quoted = key.replace("`", "``").replace("=", "`=")
    return f"{quoted}={value}".encode()
