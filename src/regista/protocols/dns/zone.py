"""The zone that an agent answers for, as it was configured. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from regista.protocols.dns.records import Name, Record, Reply, soa_record

_ANY_SERVICE = "*"


@dataclasses.dataclass(frozen=True, slots=True)
class SoaSettings:
    """The numbers of the zone's SOA record, in seconds."""

    refresh_s: int = 3600
    retry_s: int = 600
    expire_s: int = 86400
    minimum_s: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Zone:
    """The names that answers are made of.

    Attributes:
        domain: the main one; all targets are below it, whichever domain was asked for.
        datacenter: this agent's.
        node_name: this agent's, which is the zone's only name server.
        node_ttl_s: of answers about nodes.
        service_ttls_s: of answers about services, by name in small letters; `ma*` is for all names that begin so.
    """

    domain: Name
    datacenter: str
    node_name: str
    soa: SoaSettings
    node_ttl_s: int
    service_ttls_s: Mapping[str, int]

    def service_ttl_s(self, service: str) -> int:
        """How long an answer about a service may be kept: by its name, else by the longest prefix, else 0."""
        ttls_s = self.service_ttls_s
        name = service.lower()
        if name in ttls_s:
            return ttls_s[name]
        prefixes = [
            each
            for each in ttls_s
            if each.endswith(_ANY_SERVICE) and name.startswith(each.removesuffix(_ANY_SERVICE))
        ]
        return ttls_s[max(prefixes, key=len)] if prefixes else 0

    def below(self, *labels: bytes) -> Name:
        """`<labels>.<datacenter>.<domain>`."""
        return (*labels, self.datacenter.encode(), *self.domain)

    def moved(self, reply: Reply, asked: tuple[str, ...]) -> Reply:
        """The reply with what it says of the zone itself said of the domain that was asked.

        Others keep a negative answer only if the zone in it is an ancestor of the name (RFC 2308, 5).

        Args:
            asked: the domain or mapped suffix; empty, or the main one, changes nothing.
        """
        owner = tuple(label.encode() for label in asked)
        if not owner or owner == self.domain:
            return reply
        return dataclasses.replace(
            reply, fixed=self._renamed(reply.fixed, owner), authority=self._renamed(reply.authority, owner)
        )

    def _renamed(self, records: tuple[Record, ...], owner: Name) -> tuple[Record, ...]:
        return tuple(
            dataclasses.replace(each, owner=owner) if each.owner == self.domain else each for each in records
        )

    def soa_record(self, now_s: float) -> Record:
        """The SOA record; its serial is the time."""
        soa = self.soa
        return soa_record(
            self.domain,
            serial=int(now_s),
            refresh_s=soa.refresh_s,
            retry_s=soa.retry_s,
            expire_s=soa.expire_s,
            minimum_s=soa.minimum_s,
            ttl_s=soa.minimum_s,
        )
