"""What a name in a question means. Pure.

Source: Consul 1.9 (behaviour): the forms of names; the labelled suffix `<dc>.dc` is later Consul's, and
`<service>.<namespace>.<suffix>` that of Kubernetes.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

from regista.model import ConfigError
from regista.protocols.dns.records import is_label

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

Labels = tuple[str, ...]
"""A name's labels without the root, as they are spelled."""

NamespaceMeaning: TypeAlias = Literal["tag", "datacenter", "ignored"]
"""What the label between a service and a mapped suffix is."""

_WORDS = ("service", "node", "query", "connect", "ingress", "virtual", "addr")
_DATACENTER_LABEL = "dc"
_REVERSE_V4 = ("in-addr", "arpa")
_REVERSE_V6 = ("ip6", "arpa")
_NIBBLES = 32
_IPV4_DIGITS, _IPV6_DIGITS = 8, 32

_DOMAIN_BYTES_MAX = 118
"""A name has 255 at the most, and before the domain stand `<63>.service.<63>`."""

assert 255 - 1 - 64 - len("service.") - 64 == _DOMAIN_BYTES_MAX


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceName:
    """Instances of a service.

    Attributes:
        tag: "" for any.
        within_mesh: whether those are meant that the service is reached through within the mesh.
        is_ingress: whether its ingress gateways are meant.
        is_short: whether it is the form of RFC 2782 without the word `service`, which has SRV records only.
    """

    name: str
    tag: str = ""
    within_mesh: bool = False
    is_ingress: bool = False
    is_short: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class NodeName:
    """A node."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class QueryName:
    """A prepared query, by name or id."""

    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class AddressName:
    """An address, written in hexadecimal digits; None if their number fits no address."""

    address: Address | None


@dataclasses.dataclass(frozen=True, slots=True)
class ReverseName:
    """Whoever has this address."""

    address: Address


@dataclasses.dataclass(frozen=True, slots=True)
class ZoneName:
    """The zone itself."""


@dataclasses.dataclass(frozen=True, slots=True)
class EmptyName:
    """A name that has no record of its own, and names below it: `service` alone, or a datacenter."""


@dataclasses.dataclass(frozen=True, slots=True)
class UnknownName:
    """A name within the zone that means nothing here.

    Attributes:
        datacenter: the other one that it is of, in small letters; "" for a name that has no meaning anywhere.
    """

    datacenter: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ForeignName:
    """A name outside the zone."""


Meaning: TypeAlias = (
    ServiceName
    | NodeName
    | QueryName
    | AddressName
    | ReverseName
    | ZoneName
    | EmptyName
    | UnknownName
    | ForeignName
)


def read_domain(text: str, *, key: str) -> Labels:
    """A domain as labels.

    Args:
        key: where it stands in the configuration.

    Raises:
        ConfigError: it is none.
    """
    labels = tuple(text.strip(".").split("."))
    if not all(map(is_label, labels)) or len(text) > _DOMAIN_BYTES_MAX:
        raise ConfigError(
            f'{key}: "{text}" is no DNS domain of {_DOMAIN_BYTES_MAX} characters at the most; write it as '
            "consul or svc.cluster.local"
        )
    return labels


class Names:
    """What names mean to an agent.

    Args:
        domains: the zone's names, each as labels; the first is the main one.
        datacenter: the only one that is known.
        suffixes: what the namespace means below each suffix that is mapped to services.
    """

    def __init__(
        self, *, domains: Sequence[Labels], datacenter: str, suffixes: Mapping[Labels, NamespaceMeaning]
    ) -> None:
        self._domains = tuple(_lowered(domain) for domain in domains)
        self._datacenter = datacenter.lower()
        self._suffixes = {_lowered(suffix): meaning for suffix, meaning in suffixes.items()}
        # One may be within another, and a name is in the smaller of both.
        self._zones = sorted((*self._domains, *self._suffixes), key=len, reverse=True)

    def zone_of(self, labels: Labels) -> Labels:
        """The domain or mapped suffix that a name is in, in small letters; empty if it is in none."""
        lowered = _lowered(labels)
        for zone in self._zones:
            if lowered[-len(zone) :] == zone:
                return zone
        return ()

    def read(self, labels: Labels) -> Meaning:
        """What the name means."""
        zone = self.zone_of(labels)
        if zone in self._domains:
            return self._within(labels[: -len(zone)])
        if zone:
            return self._mapped(labels[: -len(zone)], self._suffixes[zone])
        reverse = _reverse(_lowered(labels))
        return ForeignName() if reverse is None else ReverseName(reverse)

    def _within(self, labels: Labels) -> Meaning:
        if not labels:
            return ZoneName()
        lowered = _lowered(labels)
        places = [place for place, label in enumerate(lowered) if label in _WORDS]
        if not places:
            return self._short(labels)
        at = places[-1]
        if not self._is_here(lowered[at + 1 :]):
            return UnknownName(_datacenter(lowered[at + 1 :]))
        return _read_word(lowered[at], labels[:at])

    def _short(self, labels: Labels) -> Meaning:
        """`_web._tcp`, with or without a datacenter, and what such names end with."""
        lowered = _lowered(labels)
        if lowered == (_DATACENTER_LABEL,) or self._is_here(lowered[1:] if labels[0].startswith("_") else lowered):
            return EmptyName()
        found = _read_2782(labels[:2]) if len(labels) >= 2 else None
        if found is None:
            return UnknownName()
        is_here = self._is_here(lowered[2:])
        return dataclasses.replace(found, is_short=True) if is_here else UnknownName(_datacenter(lowered[2:]))

    def _is_here(self, suffix: Labels) -> bool:
        """Whether what follows the word names this datacenter, or none."""
        return not suffix or _datacenter(suffix) == self._datacenter

    def _mapped(self, labels: Labels, meaning: NamespaceMeaning) -> Meaning:
        """`web.prod`, and `_http._tcp.web.prod`, whose port has no meaning here."""
        while len(labels) > 2 and labels[0].startswith("_"):
            labels = labels[1:]
        if len(labels) > 2 or not all(labels):
            return UnknownName()
        namespace = labels[-1] if labels else ""
        if namespace and meaning == "datacenter" and namespace.lower() != self._datacenter:
            return UnknownName(namespace.lower())
        if len(labels) < 2:
            return EmptyName()
        name = labels[0]
        return ServiceName(name, namespace if meaning == "tag" else "")


def _datacenter(suffix: Labels) -> str:
    """The datacenter that labels behind a word name, `dc1` or `dc1.dc`; "" where they are neither."""
    if len(suffix) == 2 and suffix[1] == _DATACENTER_LABEL:
        return suffix[0]
    return suffix[0] if len(suffix) == 1 else ""


def _read_word(word: str, labels: Labels) -> Meaning:
    """What stands before a word; `labels` does not hold it."""
    if not labels:
        return UnknownName() if word == "virtual" else EmptyName()
    if word == "service":
        found = _read_2782(labels) if len(labels) == 2 else None
        return found or ServiceName(labels[-1], ".".join(labels[:-1]))
    if word == "node":
        return NodeName(".".join(labels))
    if word == "query":
        return QueryName(".".join(labels))
    if word == "addr":
        return _read_address(labels)
    if word in ("connect", "ingress") and len(labels) == 1:
        return ServiceName(labels[0], within_mesh=word == "connect", is_ingress=word == "ingress")
    return UnknownName()


def _read_2782(labels: Labels) -> ServiceName | None:
    """`_web._tcp` (RFC 2782); `_tcp` stands for no tag, anything else for a tag."""
    service, protocol = labels
    if not service.startswith("_") or not protocol.startswith("_") or len(service) < 2:
        return None
    return ServiceName(service[1:], "" if protocol.lower() == "_tcp" else protocol[1:])


def _read_address(labels: Labels) -> Meaning:
    digits = labels[-1]
    if len(labels) != 1 or len(digits) not in (_IPV4_DIGITS, _IPV6_DIGITS):
        return AddressName(None) if len(labels) == 1 else UnknownName()
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return UnknownName()
    return AddressName(ipaddress.ip_address(packed) if len(packed) * 2 == len(digits) else None)


def _reverse(lowered: Labels) -> Address | None:
    """The address that a name below `in-addr.arpa` or `ip6.arpa` is for (RFC 1035, 3.5; RFC 3596, 2.5)."""
    try:
        if lowered[-2:] == _REVERSE_V4 and len(lowered) == 6:
            return ipaddress.IPv4Address(".".join(reversed(lowered[:4])))
        if lowered[-2:] == _REVERSE_V6 and len(lowered) == _NIBBLES + 2:
            digits = "".join(reversed(lowered[:_NIBBLES]))
            return ipaddress.IPv6Address(bytes.fromhex(digits)) if len(digits) == _NIBBLES else None
    except ValueError:
        pass
    return None


def _lowered(labels: Labels) -> Labels:
    return tuple([label.lower() for label in labels])
