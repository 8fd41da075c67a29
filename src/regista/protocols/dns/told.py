"""Sentences about answers: what a name means, and why an instance is listed or not. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from regista.catalog import Instance, is_drain, is_maintenance, is_passive
from regista.model import CRITICAL, PASSING, Check
from regista.protocols.dns.hosts import packed_address
from regista.protocols.dns.names import (
    AddressName,
    EmptyName,
    ForeignName,
    Meaning,
    NodeName,
    QueryName,
    ReverseName,
    ServiceName,
    UnknownName,
    ZoneName,
)
from regista.protocols.dns.records import AAAA, ANY, CNAME, NXDOMAIN, SRV, TXT, A, Reply, name_of, read_name

_FAMILIES = {A: 4, AAAA: 6}
_LISTED = (A, AAAA, ANY, SRV, TXT)
_HOSTED = (A, AAAA, ANY, TXT)
"""Types whose answers have a CNAME for an instance with a host name for its address."""


def told_meaning(meaning: Meaning) -> str:
    """What a name means."""
    match meaning:
        case ServiceName(name=name, is_ingress=True):
            return f'ingress gateways for service "{name}"'
        case ServiceName(name=name, within_mesh=True):
            return f'instances through which service "{name}" is reached within the mesh'
        case ServiceName(name=name, tag=tag):
            return f'instances of service "{name}"' + (f' with tag "{tag}"' if tag else "")
        case QueryName(name=name):
            return f'instances that prepared query "{name}" asks for'
        case NodeName(name=name):
            return f'node "{name}"'
        case AddressName(address=address):
            return f"address {address}" if address else "an address whose digits are not 8 or 32"
        case ReverseName(address=address):
            return f"whoever has address {address}"
        case ZoneName():
            return "the zone itself"
        case EmptyName():
            return "nothing by itself: other names end with it"
        case UnknownName(datacenter=""):
            return "nothing: the zone has no names of this form"
        case UnknownName(datacenter=datacenter):
            return f'a name of datacenter "{datacenter}"'
        case ForeignName():
            return "a name outside the zone"


def told_instance(instance: Instance, qtype: int, *, is_given: bool, only_passing: bool) -> tuple[bool, str]:
    """Whether an instance has a record in the answer, and why.

    Args:
        is_given: whether it is among those that are given.
    """
    failing = [entry.record for entry in instance.checks if entry.record.status != PASSING]
    if not is_given:
        out = [check for check in failing if only_passing or check.status == CRITICAL]
        return False, _told_checks(out) or "the query does not want it: its tags, its metadata or its node's"
    missing = _missing(instance, qtype)
    if missing:
        return False, missing
    if failing:
        return True, _told_checks(failing)
    if len(instance.checks) == 1:
        return True, "its only check is passing"
    count = len(instance.checks)
    return True, f"all its {count} checks are passing" if count else "it has no checks, which counts as passing"


def _missing(instance: Instance, qtype: int) -> str:
    """Why an instance that is given has no record of the type; "" if it may have one."""
    if qtype not in _LISTED:
        return "instances have no records of that type"
    address = address_text(instance)
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        # Without an address an SRV record names the node.
        is_named = bool(name_of(address)) if address else qtype == SRV
        return "" if is_named else f'its address "{address}" is none, and no host name either'
    return f"its address {address} is IPv{version}" if _FAMILIES.get(qtype, version) != version else ""


def address_text(instance: Instance) -> str:
    """The address of an instance: its own, or its node's."""
    return instance.service.record.address or (instance.node.record.address if instance.node else "")


def told_host(address: str, qtype: int, reply: Reply, *, recursors: Sequence[str]) -> tuple[bool, str]:
    """Whether a well instance with this for its address is in the reply, and why.

    Returns:
        No words where there is nothing special about it, since the address is no host name.
    """
    name = None if qtype not in _HOSTED or packed_address(address) is not None else name_of(address)
    if name is None:
        return True, ""
    host = f'its address "{address}" is a host name'
    aliases = [each for each in reply.fixed if each.rtype == CNAME]
    if not aliases:
        return False, f"{host}, for which there is no room beside addresses"
    if read_name(aliases[0].data) != name:
        return False, f"{host}, and an answer has one at the most"
    if has_addresses(reply):
        return True, f"{host}, whose addresses are behind it"
    if not reply.alias:
        return True, f"{host} that leads to no address, which is nothing to most programs"
    if recursors:
        return True, f"{host} that recursors are asked for"
    return True, f"{host} that nobody is asked for (`recursors`), which is nothing to most programs"


def has_addresses(reply: Reply) -> bool:
    """Whether an answer holds an address."""
    answers = (*reply.fixed, *(choice.answer for choice in reply.choices[:1]))
    return any(each.rtype in (A, AAAA) for each in answers)


def told_alias(reply: Reply, *, recursors: Sequence[str]) -> str:
    """What becomes of the last host name in an answer without addresses; "" if there is none."""
    aliases = [each for each in reply.fixed if each.rtype == CNAME]
    if not aliases or has_addresses(reply):
        return ""
    last = b".".join(read_name(aliases[-1].data)).decode()
    if not reply.alias:
        missing = "is not there" if reply.rcode == NXDOMAIN else "leads to no address of that type"
        return f"It is another name for {last}, which {missing}."
    if recursors:
        return (
            f"It is another name for {last}, and whoever asks is given what {', '.join(recursors)} says of that."
        )
    return (
        f"It is another name for {last}, which `recursors` names nobody to ask about: most programs find nothing."
    )


def _told_checks(checks: Iterable[Check]) -> str:
    return "; ".join(dict.fromkeys(_told(checks)))


def _told(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        if is_drain(check):
            yield "it is draining"
        elif is_maintenance(check):
            whose = "it is" if check.service_id else f"its node {check.node} is"
            yield f"{whose} in maintenance" + (f": {check.notes}" if check.notes else "")
        elif is_passive(check):
            yield f"its callers find it failing (ejected): {check.output or check.status}"
        else:
            whose = "" if check.service_id else f" of node {check.node}"
            yield f'check "{check.id}"{whose} is {check.status}'
