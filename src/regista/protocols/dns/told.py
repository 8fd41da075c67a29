"""Sentences about answers: what a name means, and why an instance is listed or not. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from regista.catalog import Instance, is_drain, is_maintenance, is_passive
from regista.model import CRITICAL, PASSING, Check
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
from regista.protocols.dns.records import AAAA, A, name_of

_FAMILIES = {A: 4, AAAA: 6}


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
        case UnknownName():
            return "nothing: the zone has no names of this form, or it is another datacenter's"
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
    address = instance.service.record.address or (instance.node.record.address if instance.node else "")
    if qtype not in _FAMILIES:
        return ""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return "" if address and name_of(address) else f'its address "{address}" is none, and no host name either'
    return "" if version == _FAMILIES[qtype] else f"its address {address} is IPv{version}"


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
