"""Why an instance is in the answer to a look-up, or is not: each thing that was asked for, and what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from regista.catalog.own_checks import is_drain
from regista.catalog.queries import Instance, Lookup
from regista.catalog.replica import Catalog
from regista.model import PASSING, Check, Entry, Node, Service


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was asked for.

    Attributes:
        parameter: its name in the query string.
        wanted: its value there.
        holds: whether the instance has it.
        because: what was found, as a sentence without its full stop.
    """

    parameter: str
    wanted: str
    holds: bool
    because: str


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """An instance of the service, and what was found of it for each thing that was asked for."""

    instance: Instance
    findings: tuple[Finding, ...]

    @property
    def is_wanted(self) -> bool:
        """Whether the look-up finds the instance."""
        return all(finding.holds for finding in self.findings)


def explain_lookup(catalog: Catalog, lookup: Lookup) -> list[Judged]:
    """Every instance of the service by node and id; `find_instances` finds those that are wanted."""
    group = catalog.service_indexes.by_name.get(lookup.name.lower())
    judged = []
    for entry in group.ordered() if group else ():
        node = catalog.nodes.get(entry.record.node.lower())
        instance = Instance(entry, node, tuple(catalog.check_entries(entry.record)))
        judged.append(Judged(instance, tuple(_findings(instance, lookup))))
    return judged


def _findings(instance: Instance, lookup: Lookup) -> Iterator[Finding]:
    service = instance.service.record
    tags = {tag.lower() for tag in service.tags}
    for tag in lookup.tags:
        has = f"its tags are {', '.join(service.tags)}" if service.tags else "it has no tags"
        yield Finding("tag", tag, tag.lower() in tags, has)
    for key, value in lookup.meta:
        yield _about_pair("meta", key, value, service.meta, "its metadata")
    node = instance.node.record if instance.node else None
    for key, value in lookup.node_meta:
        yield _about_pair(
            "node-meta", key, value, node.meta if node else None, f"the metadata of {_told(service, node)}"
        )
    if lookup.version is not None:
        yield _about_version(service, lookup)
    if lookup.passing_only:
        yield _about_health(instance)


def _about_pair(parameter: str, key: str, value: str, meta: dict[str, str] | None, where: str) -> Finding:
    found = (meta or {}).get(key)
    because = f"{where} has {key}:{found}" if found is not None else f"{where} has no {key}"
    return Finding(parameter, f"{key}:{value}", found == value, because)


def _about_version(service: Service, lookup: Lookup) -> Finding:
    assert lookup.version is not None
    version = (service.meta or {}).get("version")
    holds = version is not None and lookup.version.admits(version)
    because = f"its version is {version}" if version is not None else "its metadata has no version"
    return Finding("version", lookup.version.text, holds, because)


def _about_health(instance: Instance) -> Finding:
    failing = [entry for entry in instance.checks if entry.record.status != PASSING]
    if failing:
        return Finding("passing", "true", False, "; ".join(_told_check(entry) for entry in failing))
    match len(instance.checks):
        case 0:
            because = "it has no checks, which counts as passing"
        case 1:
            because = "its only check is passing"
        case count:
            because = f"all its {count} checks are passing"
    return Finding("passing", "true", True, because)


def _told_check(entry: Entry[Check]) -> str:
    check = entry.record
    if is_drain(check):
        return f"it is draining: {check.output[:1].lower()}{check.output[1:].rstrip('.')}"
    whose = "" if check.service_id else f" of node {check.node}"
    return f'check "{check.id}"{whose} is {check.status}'


def _told(service: Service, node: Node | None) -> str:
    return f"node {service.node}" if node else f"node {service.node}, which is not registered,"
