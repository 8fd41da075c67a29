"""Look-ups over the replica. Each returns entries in Consul's order; encoding them is the door's."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from regista.catalog.distance import distance_from
from regista.catalog.indexes import Checks
from regista.catalog.replica import Catalog
from regista.catalog.versions import VersionRange
from regista.model import PASSING, Check, Entry, Node, Service, node_item_key

Pair = tuple[str, str]


class Lookup(msgspec.Struct, frozen=True):
    """Which instances of a service are wanted.

    Attributes:
        tags: all of them, without regard to case.
        meta, node_meta: all pairs, exactly.
        version: the range in which the instance's `version` in its metadata must be; None for any, or none.
        passing_only: only instances whose every check, their node's included, is passing.
        near: a node whose own instances come first, then the others by distance from it; "" for none.
        within_mesh: whether those are wanted that the name is reached through within the mesh.
    """

    name: str
    tags: tuple[str, ...] = ()
    meta: tuple[Pair, ...] = ()
    node_meta: tuple[Pair, ...] = ()
    version: VersionRange | None = None
    passing_only: bool = False
    near: str = ""
    within_mesh: bool = False


class Instance(msgspec.Struct, frozen=True):
    """An instance with what is known of its node and its health; `node` is None if nobody registered it."""

    service: Entry[Service]
    node: Entry[Node] | None
    checks: tuple[Entry[Check], ...]

    @property
    def is_passing(self) -> bool:
        """Whether every check is passing; true without any."""
        for entry in self.checks:  # noqa: SIM110 - `all` takes three times as long, for every instance
            if entry.record.status != PASSING:
                return False
        return True


def find_instances(catalog: Catalog, lookup: Lookup) -> list[Instance]:
    """The instances wanted, by node and id; by distance from `lookup.near` before, if it is given.

    Costs O(instances of that service), or of those with its first tag.
    """
    indexes = catalog.service_indexes
    group = (indexes.by_mesh_name if lookup.within_mesh else indexes.by_name).get(lookup.name.lower())
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
        if lookup.version is not None and not lookup.version.admits((service.meta or {}).get("version", "")):
            continue
        instance = instance_of(catalog, entry)
        if not lookup.passing_only or instance.is_passing:
            found.append(instance)
    if lookup.near:
        distance = distance_from(catalog.coordinates, lookup.near)
        found.sort(key=lambda instance: distance(instance.service.record.node))
    return found


def instance_of(catalog: Catalog, entry: Entry[Service]) -> Instance:
    """A service's entry as an instance."""
    service = entry.record
    return Instance(entry, catalog.nodes.get(service.node.lower()), catalog.check_entries(service))


def node_list(catalog: Catalog, *, meta: tuple[Pair, ...] = (), near: str = "") -> list[Entry[Node]]:
    """The nodes with all these metadata pairs, by name; by distance from `near` before, if it is given."""
    keys = sorted(catalog.node_indexes.with_meta(meta) if meta else catalog.nodes)
    if near:
        keys.sort(key=distance_from(catalog.coordinates, near))
    return [catalog.nodes[key] for key in keys]


def service_tags(
    catalog: Catalog, *, node_meta: tuple[Pair, ...] = (), keeps: Callable[[Instance], bool] | None = None
) -> dict[str, list[str]]:
    """Every service's name as it is spelled, sorted, with its instances' tags in the order of first use.

    Args:
        keeps: whether an instance, given without its checks, counts; None for all.
    """
    nodes = catalog.node_indexes.with_meta(node_meta) if node_meta else None
    names: dict[str, dict[str, None]] = {}
    for group in catalog.service_indexes.by_name.values():
        for entry in group.ordered():
            service = entry.record
            node_key = service.node.lower()
            if nodes is not None and node_key not in nodes:
                continue
            if keeps is None or keeps(Instance(entry, catalog.nodes.get(node_key), ())):
                names.setdefault(service.name, {}).update(dict.fromkeys(service.tags))
    return {name: list(names[name]) for name in sorted(names)}


def check_list(
    catalog: Catalog, checks: Checks | None, *, node_meta: tuple[Pair, ...] = (), near: str = ""
) -> list[Entry[Check]]:
    """These checks by node and id, only those on nodes with the metadata pairs; `near` as in `node_list`."""
    nodes = catalog.node_indexes.with_meta(node_meta) if node_meta else None
    found = sorted(
        (entry for entry in (checks or {}).values() if nodes is None or entry.record.node.lower() in nodes),
        key=lambda entry: (entry.record.node.lower(), entry.record.id.lower()),
    )
    if near:
        distance = distance_from(catalog.coordinates, near)
        found.sort(key=lambda entry: distance(entry.record.node))
    return found


def with_id(catalog: Catalog, service_id: str) -> list[Entry[Service]]:
    """The instances with that id; it is unique on a node only. Costs O(nodes)."""
    found = (
        catalog.services.get(node_item_key(node, service_id)) for node in sorted(catalog.service_indexes.by_node)
    )
    return [entry for entry in found if entry is not None]


def checks_of(catalog: Catalog, service: str) -> Checks:
    """The checks of the service of that name; where there is none, of the instances with that id. By key."""
    indexes = catalog.check_indexes
    of_name = indexes.by_service_name.get(service.lower(), {})
    if of_name or service.lower() in catalog.service_indexes.by_name:
        return of_name
    return {
        check.record.key: check
        for entry in with_id(catalog, service)
        for check in indexes.by_instance.get(entry.record.key, ())
    }


def _has_pairs(meta: dict[str, str] | None, pairs: Iterable[Pair]) -> bool:
    return meta is not None and all(meta.get(key) == value for key, value in pairs)
