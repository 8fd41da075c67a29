"""Look-ups over the replica. Each returns entries in Consul's order; encoding them is the door's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from regista.catalog.indexes import Checks
from regista.catalog.replica import Catalog
from regista.model import PASSING, Check, Entry, Node, Service

Pair = tuple[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Lookup:
    """Which instances of a service are wanted.

    Attributes:
        tags: all of them, without regard to case.
        meta, node_meta: all pairs, exactly.
        passing_only: only instances whose every check, their node's included, is passing.
        near: a node whose own instances come first; "" for none.
    """

    name: str
    tags: tuple[str, ...] = ()
    meta: tuple[Pair, ...] = ()
    node_meta: tuple[Pair, ...] = ()
    passing_only: bool = False
    near: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """An instance with what is known of its node and its health; `node` is None if nobody registered it."""

    service: Entry[Service]
    node: Entry[Node] | None
    checks: tuple[Entry[Check], ...]

    @property
    def is_passing(self) -> bool:
        """Whether every check is passing; true without any."""
        return all(entry.record.status == PASSING for entry in self.checks)


def find_instances(catalog: Catalog, lookup: Lookup) -> list[Instance]:
    """The instances wanted, by node and id, those on `lookup.near` first.

    Costs O(instances of that service), or of those with its first tag.
    """
    group = catalog.service_indexes.by_name.get(lookup.name.lower())
    if group is None:
        return []
    candidates: Iterable[Entry[Service]] = group.ordered()
    if lookup.tags:
        candidates = group.with_tag(lookup.tags[0])
    elif lookup.meta:
        candidates = group.with_meta(lookup.meta[0])
    others = {tag.lower() for tag in lookup.tags[1:]}
    nodes = catalog.node_indexes.with_meta(lookup.node_meta) if lookup.node_meta else None
    found = []
    for entry in candidates:
        service = entry.record
        node_key = service.node.lower()
        if others and not others <= {tag.lower() for tag in service.tags}:
            continue
        if lookup.meta and not _has_pairs(service.meta, lookup.meta):
            continue
        if nodes is not None and node_key not in nodes:
            continue
        instance = Instance(entry, catalog.nodes.get(node_key), tuple(catalog.check_entries(service)))
        if not lookup.passing_only or instance.is_passing:
            found.append(instance)
    if lookup.near:
        near = lookup.near.lower()
        found.sort(key=lambda instance: instance.service.record.node.lower() != near)
    return found


def node_list(catalog: Catalog, *, meta: tuple[Pair, ...] = (), near: str = "") -> list[Entry[Node]]:
    """The nodes with all these metadata pairs, by name, `near` first."""
    keys = sorted(catalog.node_indexes.with_meta(meta) if meta else catalog.nodes)
    if near:
        keys.sort(key=lambda key: key != near.lower())
    return [catalog.nodes[key] for key in keys]


def service_tags(catalog: Catalog, *, node_meta: tuple[Pair, ...] = ()) -> dict[str, list[str]]:
    """Every service's name as it is spelled, sorted, with its instances' tags in the order of first use."""
    nodes = catalog.node_indexes.with_meta(node_meta) if node_meta else None
    names: dict[str, dict[str, None]] = {}
    for group in catalog.service_indexes.by_name.values():
        for entry in group.ordered():
            service = entry.record
            if nodes is None or service.node.lower() in nodes:
                names.setdefault(service.name, {}).update(dict.fromkeys(service.tags))
    return {name: list(names[name]) for name in sorted(names)}


def check_list(
    catalog: Catalog, checks: Checks | None, *, node_meta: tuple[Pair, ...] = (), near: str = ""
) -> list[Entry[Check]]:
    """These checks by node and id, only those on nodes with the metadata pairs, those on `near` first."""
    nodes = catalog.node_indexes.with_meta(node_meta) if node_meta else None
    found = sorted(
        (entry for entry in (checks or {}).values() if nodes is None or entry.record.node.lower() in nodes),
        key=lambda entry: (entry.record.node.lower(), entry.record.id.lower()),
    )
    if near:
        found.sort(key=lambda entry: entry.record.node.lower() != near.lower())
    return found


def _has_pairs(meta: dict[str, str] | None, pairs: Iterable[Pair]) -> bool:
    return meta is not None and all(meta.get(key) == value for key, value in pairs)
