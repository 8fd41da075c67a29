"""What a name is answered with, and why: with every instance that it could mean, and what keeps each out. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.reversename

from regista.catalog import Catalog, Instance, Lookup, explain_lookup
from regista.model import BadInput
from regista.protocols.dns.answers import Answerer, Found
from regista.protocols.dns.names import (
    EmptyName,
    ForeignName,
    Meaning,
    QueryName,
    ReverseName,
    ServiceName,
    UnknownName,
)
from regista.protocols.dns.records import NXDOMAIN, SERVFAIL, SRV, Reply
from regista.protocols.dns.resolver import limits_for
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.told import address_text, told_alias, told_host, told_instance, told_meaning
from regista.protocols.dns.wire import Prepared, Query, read_query

_TYPES = ("A", "AAAA", "SRV", "TXT", "PTR", "SOA", "NS", "ANY", "CNAME")

Json = dict[str, Any]


class Explainer:
    """Explains answers.

    Args:
        domain: the zone's main one.
        datacenter: the only one that is known.
        is_served: whether anybody can ask over DNS at all.
        rng: chooses what an answer that has to be cut is shown with.
    """

    def __init__(
        self,
        catalog: Catalog,
        answerer: Answerer,
        settings: DnsSettings,
        *,
        domain: str,
        datacenter: str,
        recursors: Sequence[str],
        is_served: bool,
        rng: random.Random,
    ) -> None:
        self._catalog = catalog
        self._answerer = answerer
        self._settings = settings
        self._domain = domain
        self._datacenter = datacenter
        self._recursors = tuple(recursors)
        self._is_served = is_served
        self._rng = rng

    def explain(self, name: str, qtype: str) -> Json:
        """What is answered, as JSON values.

        A name of one label is that of a service, and an address is one where PTR is asked for.

        Nobody else is asked, and nothing is counted.

        Raises:
            BadInput: it is no name, or no type that is known here.
        """
        query = read_query(self._question(name, qtype.upper()))
        meaning, reply = self._answerer.answer(query.labels, query.qtype)
        found = self._find(meaning)
        whole = self._render(reply, query, is_tcp=True)
        plain = self._render(reply, query, is_tcp=False)
        return {
            "name": str(whole.question[0].name),
            "type": qtype.upper(),
            "meaning": told_meaning(meaning),
            "rcode": dns.rcode.to_text(whole.rcode()),
            "answer": _records(whole.answer),
            "authority": _records(whole.authority),
            "additional": _records(whole.additional),
            "udp_answers": _count(plain),
            "because": list(self._because(meaning, reply, found, _count(whole), _count(plain))),
            "instances": list(self._instances(meaning, found, query.qtype, reply)) if found else [],
        }

    def _question(self, name: str, qtype: str) -> bytes:
        """The packet that asks."""
        if qtype not in _TYPES:
            raise BadInput(f'Unknown type "{qtype}": give one of {", ".join(_TYPES)}', field="type")
        bare = _reversed(name) if qtype == "PTR" else name.removesuffix(".")
        if bare and "." not in bare and bare.lower() != self._domain.lower():
            bare = f"{bare}.service.{self._domain}"
        try:
            return dns.message.make_query(f"{bare}.", qtype, id=0).to_wire()
        except (dns.exception.DNSException, ValueError) as error:
            raise BadInput(f'"{name}" is no name: {error}', field="name") from error

    def _render(self, reply: Reply, query: Query, *, is_tcp: bool) -> dns.message.Message:
        limits = limits_for(query, self._settings, is_tcp=is_tcp)
        prepared = Prepared(reply, query, limits, recurses=bool(self._recursors))
        return dns.message.from_wire(bytes(2) + prepared.render(self._rng))

    def _find(self, meaning: Meaning) -> Found | None:
        """The instances that a name means, if it is one that means instances."""
        if isinstance(meaning, ServiceName):
            return self._answerer.find(meaning)
        return self._answerer.find_for_query(meaning, client="") if isinstance(meaning, QueryName) else None

    def _instances(self, meaning: Meaning, found: Found, qtype: int, reply: Reply) -> Iterator[Json]:
        given = {each.service.record.key for each in found.given}
        for instance, unfit in self._candidates(meaning, found):
            record = instance.service.record
            address = address_text(instance)
            is_listed, because = told_instance(
                instance,
                qtype,
                is_given=record.key in given,
                only_passing=self._settings.only_passing,
            )
            if is_listed and isinstance(meaning, ServiceName) and meaning.is_short and qtype != SRV:
                is_listed, because = False, "names of this form have SRV records only"
            if is_listed:
                is_listed, host = told_host(address, qtype, reply, recursors=self._recursors)
                because = host or because
            yield {
                "id": record.id,
                "node": record.node,
                "address": address,
                "port": record.port,
                "included": is_listed,
                "because": unfit or because,
            }

    def _candidates(self, meaning: Meaning, found: Found) -> Iterator[tuple[Instance, str]]:
        """The instances that the name could mean, each with what of the name it lacks; "" for nothing."""
        if isinstance(meaning, ServiceName) and (meaning.within_mesh or meaning.is_ingress):
            for instance in found.wanted:
                yield instance, ""
            return
        tag = meaning.tag if isinstance(meaning, ServiceName) else ""
        for judged in explain_lookup(self._catalog, Lookup(found.service, tags=(tag,) if tag else ())):
            yield judged.instance, "; ".join(each.because for each in judged.findings if not each.holds)

    def _because(
        self, meaning: Meaning, reply: Reply, found: Found | None, count: int, plain_count: int
    ) -> Iterator[str]:
        """What there is to say of the answer as a whole."""
        if not self._is_served:
            yield "This agent answers nobody over DNS, for `ports.dns` is -1; it would answer so."
        if isinstance(meaning, ForeignName) or not reply.is_ours:
            whose = (
                "Nobody here has that address"
                if isinstance(meaning, ReverseName)
                else "The name is not of this zone"
            )
            asked = (
                f"{', '.join(self._recursors)} is asked" if self._recursors else "`recursors` names nobody to ask"
            )
            yield f"{whose}, and {asked}."
        elif alias := told_alias(reply, recursors=self._recursors):
            yield alias
        elif isinstance(meaning, UnknownName) and meaning.datacenter:
            yield (
                f'It is of another datacenter, "{meaning.datacenter}", and this agent knows only its own, '
                f'"{self._datacenter}".'
            )
        elif reply.rcode == SERVFAIL and found is not None and found.given:
            yield "What it leads to may only not have registered again yet: nobody is told that it is gone."
        elif reply.rcode == SERVFAIL and found is not None:
            yield (
                f'This agent began a short while ago and does not know "{found.service}", which may only not have '
                "registered again yet: nobody is told that it is gone."
            )
        elif isinstance(meaning, EmptyName):
            yield "There are names that end with it, and nothing of that name alone."
        elif reply.rcode == NXDOMAIN:
            is_out = found is not None and found.wanted
            yield "Every instance is left out." if is_out else "Nothing of that name is registered."
        elif not count:
            yield "There is such a name, and nothing of that type."
        if found is not None and found.is_panic:
            yield "Too few instances are well (panic threshold): all are given but those taken out on purpose."
        if plain_count < count:
            yield f"Over UDP a client without EDNS is given {plain_count} of these {count}, others each time."


def _reversed(name: str) -> str:
    """The name that is asked for an address; any other name as it is."""
    try:
        return dns.reversename.from_address(name).to_text().removesuffix(".")
    except (dns.exception.DNSException, ValueError):
        return name.removesuffix(".")


def _records(section: Sequence[Any]) -> list[Json]:
    return [
        {
            "name": str(rrset.name),
            "ttl": rrset.ttl,
            "type": dns.rdatatype.to_text(rrset.rdtype),
            "data": record.to_text(),
        }
        for rrset in section
        for record in rrset
    ]


def _count(message: dns.message.Message) -> int:
    return sum(map(len, message.answer))
