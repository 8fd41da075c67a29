"""Which addresses may be sent to: decided of an address as it is dialled, whatever name it was found by. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import TypeAlias

from regista.model import ConfigError

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv4 addresses as a translator reaches them (RFC 6052)."""

_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", re.IGNORECASE)
"""What old resolvers take for an IPv4 address, and no name of a host looks like."""


class AddressForbidden(OSError):
    """Nothing may be sent there; the text says why."""


class AddressRule:
    """What may be sent to.

    Args:
        allow_private: whether addresses count that are not public.
        deny: networks in CIDR form that nothing is sent to.

    Raises:
        ConfigError: one of `deny` is no network.
    """

    def __init__(self, *, allow_private: bool, deny: Sequence[str]) -> None:
        self._allow_private = allow_private
        self._denied = []
        for text in deny:
            try:
                self._denied.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise ConfigError(f'notify.deny: "{text}" is no network such as 10.0.0.0/8.') from None

    def problem(self, text: str) -> str:
        """Why an address can't be sent to, as a sentence without its subject; "" if it can."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return f"{text[:64]} is no address"
        for each in (address, *_contained(address)):
            for network in self._denied:
                if each.version == network.version and each in network:
                    return f"{text} is in {network}, which notify.deny forbids"
            if not self._allow_private and not is_public(each):
                return f"{text} is not a public address, and notify.allow_private is false"
        return ""

    def host_problem(self, host: str) -> str:
        """As `problem`, of the host in a URL; of a name that is still to be resolved nothing is said."""
        bare = host.removeprefix("[").removesuffix("]").rstrip(".")
        try:
            ipaddress.ip_address(bare.partition("%")[0])
        except ValueError:
            if _NUMBERS.fullmatch(bare):
                return f"{host[:64]} is no address; write it as four numbers from 0 to 255"
            return ""
        return self.problem(bare)


def is_public(address: Address) -> bool:
    """Whether an address is one of the open internet."""
    return address.is_global and not address.is_multicast


def _contained(address: Address) -> Sequence[Address]:
    """The IPv4 addresses that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    found: list[Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address in _TRANSLATED:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.teredo is not None:
        found.extend(address.teredo)
    return [each for each in found if each is not None]
