"""From what a name means to what there is to say: the records, before they are chosen and written. Pure.

Source: Consul 1.9 (behaviour), see `docs/reference/dns.md` for what is otherwise here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

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
    panic_threshold,
    service_topic,
    share_out,
)
from regista.model import CRITICAL, BadInput, Node, parse_duration_s
from regista.protocols.dns.aliases import follow, is_followed
from regista.protocols.dns.hosts import Hosts, is_of_type, packed_address
from regista.protocols.dns.names import (
    AddressName,
    EmptyName,
    ForeignName,
    Labels,
    Meaning,
    Names,
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
    NS,
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
    labels_text,
    name_of,
    pointer_record,
    read_name,
    srv_record,
)
from regista.protocols.dns.rosters import Roster, Rosters
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.suffixes import SuffixIndex
from regista.protocols.dns.zone import Zone

Made = TypeVar("Made")


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
        start: see `Reply`.
        roster: remembers what is made of them; None where that is made anew each time.
    """

    service: str
    wanted: Sequence[Instance]
    given: Sequence[Instance]
    topics: tuple[str, ...]
    ttl_s: int
    is_panic: bool = False
    is_ordered: bool = False
    start: str | None = None
    roster: Roster | None = None

    def made(self, kind: str, make: Callable[[Instance], Made]) -> Iterable[Made]:
        """What is made of each instance that is given, see `Roster.made`; it may depend on the TTL besides."""
        return map(make, self.given) if self.roster is None else self.roster.made(kind, self.given, make)


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
        names: Names,
        settings: DnsSettings,
        *,
        threshold_default: float,
        is_unknown: Callable[[str], bool],
        shuffle: Callable[[list[Instance]], None],
        wall_clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._zone = zone
        self._names = names
        self._settings = settings
        self._threshold_default = threshold_default
        self._is_unknown = is_unknown
        self._shuffle = shuffle
        self._suffixes = SuffixIndex(catalog)
        self._rosters = Rosters(catalog)
        self._hosts = Hosts(catalog, zone, settings, self._suffixes, wall_clock=wall_clock)

    def answer(self, labels: Name, qtype: int, *, client: str = "") -> tuple[Meaning, Reply]:
        """What a name means, and what there is to say to it, with all that is here of what stands behind aliases.

        Args:
            client: the address of whoever asks, for queries that sort by distance from it.
        """
        meaning, reply = self._alone(labels, qtype, client)
        return meaning, self.followed(reply, qtype, client=client)

    def followed(self, reply: Reply, qtype: int, *, client: str = "") -> Reply:
        """The reply with all that is here of what stands behind its alias; the same one if that is nothing."""

        def ask(alias: Name, wanted: int) -> Reply | None:
            target, found = self._alone(alias, wanted, client)
            return None if isinstance(target, ForeignName | ReverseName) else found

        return follow(reply, qtype, ask) if is_followed(reply, qtype) else reply

    def asked(self, labels: Name) -> tuple[Meaning, Labels]:
        """What a name means, and the zone that it is in: names that have both in common are answered alike."""
        texts = labels_text(labels)
        return self._names.read(texts), self._names.zone_of(texts)

    def start_for(self, client: str) -> str:
        """The node that a client asks from; "" for none."""
        return self._hosts.node_at(client)

    def dated(self, reply: Reply) -> Reply:
        """The reply as it is said now: with another date, if it has one."""
        return self._hosts.dated(reply)

    def _alone(self, labels: Name, qtype: int, client: str) -> tuple[Meaning, Reply]:
        """What a name means, and what there is to say to it by itself."""
        texts = labels_text(labels)
        meaning = self._names.read(texts)
        return meaning, self._zone.moved(self._reply(meaning, qtype, client), self._names.zone_of(texts))

    def _reply(self, meaning: Meaning, qtype: int, client: str) -> Reply:
        """What there is to say; for a foreign name, that nobody here knows."""
        if qtype in (NS, SOA) and not isinstance(meaning, ForeignName | ReverseName):
            return self._hosts.zone(qtype)
        match meaning:
            case ServiceName():
                return self._service(meaning, qtype)
            case QueryName():
                return self._query(meaning, qtype, client)
            case NodeName():
                return self._hosts.node(meaning.name, qtype)
            case AddressName():
                return self._hosts.address(meaning, qtype)
            case ReverseName():
                return self._hosts.reverse(meaning)
            case ZoneName() | EmptyName():
                return self._hosts.no_data()
            case UnknownName():
                return self._hosts.nothing()
            case ForeignName():
                return Reply(SERVFAIL, is_ours=False)

    # ---- instances ----

    def find(self, name: ServiceName) -> Found:
        """The instances that a name means, and those of them that are given."""
        catalog = self._catalog
        is_plain = not (name.tag or name.within_mesh or name.is_ingress)
        roster = self._rosters.of(name.name) if is_plain else None
        if name.is_ingress:
            gateways = ingress_gateways(catalog, name.name)
            topics = (CONFIG_ENTRIES, *(service_topic(each) for each in gateways))
            wanted: Sequence[Instance] = [
                each for gateway in gateways for each in find_instances(catalog, Lookup(gateway))
            ]
        else:
            lookup = Lookup(name.name, tags=(name.tag,) if name.tag else (), within_mesh=name.within_mesh)
            wanted = find_instances(catalog, lookup) if roster is None else roster.instances()
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
            roster=roster,
        )

    def find_for_query(self, name: QueryName, *, client: str) -> Found | None:
        """The instances that a prepared query asks for; None if there is no such query."""
        try:
            entry = find_query(self._catalog, name.name.lower())
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
            (*topics, *((COORDINATES, NODES) if near else ())),
            int(parse_duration_s(query.dns_ttl)) if query.dns_ttl else self._zone.service_ttl_s(query.service),
            is_panic=bool(available.findings),
            is_ordered=bool(near),
            start=near if query.near == "_ip" else None,
        )

    def _near(self, near: str, client: str) -> str:
        if near == "_agent":
            return self._zone.node_name
        return self._hosts.node_at(client) if near == "_ip" else near

    def _is_usable(self, instance: Instance) -> bool:
        if self._settings.only_passing:
            return instance.is_passing
        for entry in instance.checks:  # noqa: SIM110 - `all` takes three times as long, for every instance
            if entry.record.status == CRITICAL:
                return False
        return True

    def _service(self, name: ServiceName, qtype: int) -> Reply:
        found = self.find(name)
        if found.given or not self._has_below(name):
            return self._instances(found, qtype, is_short=name.is_short)
        return self._hosts.no_data(found.topics)

    def _has_below(self, name: ServiceName) -> bool:
        """Whether a name without instances is the end of one that may have some."""
        if name.within_mesh or name.is_ingress:
            return False
        group = self._catalog.service_indexes.by_name.get(name.name.lower())
        if name.tag:
            return group is not None and group.has_tag_below(name.tag)
        # `_web._tcp.service` is below `_tcp.service`.
        return name.name.startswith("_") and group is None

    def _query(self, name: QueryName, qtype: int, client: str) -> Reply:
        found = self.find_for_query(name, client=client)
        if found is not None:
            return dataclasses.replace(self._instances(found, qtype), start=found.start)
        is_end = self._suffixes.has_query_below(name.name)
        return self._hosts.no_data((QUERIES,)) if is_end else self._hosts.nothing((QUERIES,))

    def _instances(self, found: Found, qtype: int, *, is_short: bool = False) -> Reply:
        """The instances as records.

        Args:
            is_short: whether the name has SRV records only.
        """
        if not found.given:
            return Reply(SERVFAIL) if self._may_come_back(found.service) else self._hosts.nothing(found.topics)
        if qtype == SRV:
            choices = self._srv_choices(found)
        elif qtype in (A, AAAA, ANY, TXT) and not is_short:
            choices = self._address_choices(found, qtype)
        else:
            choices = []
        if not choices:
            return dataclasses.replace(self._hosts.no_data(found.topics), service=found.service)
        answer = choices[0].answer
        if answer.rtype == CNAME:
            return Reply(fixed=(answer,), topics=found.topics, service=found.service, alias=read_name(answer.data))
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
        alias: Name | None = None
        for packed, choice, name in found.made("address", lambda each: _address(each, found.ttl_s)):
            if choice is None:
                alias = alias or name
            elif qtype not in (A, AAAA) or is_of_type(packed, qtype):
                before = choices.setdefault(packed, choice)
                if before is not choice:
                    choices[packed] = dataclasses.replace(before, weight=before.weight + choice.weight)
        if choices or alias is None:
            return list(choices.values())
        # There may be one CNAME of a name, and nothing beside it (RFC 1034, 3.6.2).
        return [Choice(pointer_record(None, CNAME, alias, found.ttl_s))]

    def _srv_choices(self, found: Found) -> list[Choice]:
        """Port and host of each instance, with the host's addresses beside it; each pair once."""
        choices: dict[tuple[int, bytes], Choice] = {}
        for key, choice in found.made("host", lambda each: self._host(each, found.ttl_s)):
            if choice is not None:
                choices.setdefault(key, choice)
        return list(choices.values())

    def _host(self, instance: Instance, ttl_s: int) -> tuple[tuple[int, bytes], Choice | None]:
        """Port and host of an instance, its host in small letters, and their record; none if it can't be named."""
        port, weight = instance.service.record.port, _weight(instance)
        target, extras = self._target(instance, ttl_s)
        if target is None:
            return (port, b""), None
        answer = srv_record(None, weight=weight, port=port, target=target, ttl_s=ttl_s)
        return (port, b".".join(target).lower()), Choice(answer, extras, weight)

    def _target(self, instance: Instance, ttl_s: int) -> tuple[Name | None, tuple[Record, ...]]:
        """The host of an instance, and what is told of it besides; None if it can't be named."""
        address = instance.service.record.address
        packed = packed_address(address)
        if address and packed is None:
            return name_of(address), ()
        if packed is not None:
            target = self._zone.below(packed.hex().encode(), b"addr")
            return target, (address_record(target, packed, ttl_s),)
        node = instance.node.record if instance.node else Node(name=instance.service.record.node)
        packed = packed_address(node.address)
        if node.address and packed is None:
            return name_of(node.address), ()
        named = self._hosts.target(node.name)
        if named is None:
            return None, ()
        extras = (address_record(named, packed, ttl_s),) if packed is not None else ()
        return named, (*extras, *self._hosts.meta_records(node, named, ttl_s=ttl_s))


def _address_of(instance: Instance) -> str:
    own = instance.service.record.address
    return own or (instance.node.record.address if instance.node else "")


def _address(instance: Instance, ttl_s: int) -> tuple[bytes, Choice | None, Name | None]:
    """An instance's address and its record; else its host name, none if it is none either."""
    address = _address_of(instance)
    packed = packed_address(address)
    if packed is None:
        return b"", None, name_of(address) if address else None
    return packed, Choice(address_record(None, packed, ttl_s), weight=_weight(instance)), None


def _weight(instance: Instance) -> int:
    """The share of an instance as it is now."""
    weights = instance.service.record.weights
    is_well = instance.is_passing
    return min(max(weights.passing if is_well else weights.warning, 0), 65535)
