"""How an instance, a service and a node are, in one word: of all their checks the worst wins.

Two words stand above the statuses of checks: an instance in `maintenance`, or `draining`, was taken out on
purpose, and is shown as such whatever its other checks say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from regista.catalog.degrading import decide_panic, panic_threshold
from regista.catalog.maintenance import is_maintenance
from regista.catalog.own_checks import is_drain
from regista.catalog.passive_checks import is_passive
from regista.catalog.replica import Catalog
from regista.catalog.topics import config_topic, node_topic, service_topic
from regista.model import CRITICAL, PASSING, WARNING, Check, Entry, Service

State: TypeAlias = Literal["passing", "warning", "critical", "draining", "maintenance"]

STATES: tuple[State, ...] = ("passing", "warning", "critical", "draining", "maintenance")
"""The worst last."""

_RANKS: Mapping[str, int] = MappingProxyType({PASSING: 0, WARNING: 1, CRITICAL: 2})
_DRAINING, _MAINTENANCE = STATES.index("draining"), STATES.index("maintenance")

Counts: TypeAlias = tuple[int, int, int, int, int]
"""How many are in each of `STATES`."""

NONE: Counts = (0, 0, 0, 0, 0)


def decide_state(checks: Iterable[Entry[Check]]) -> State:
    """The worst that these checks say; passing without any.

    Those who write to the catalog may give a check a status of their own; it counts as critical.
    """
    worst = 0
    for entry in checks:
        worst = max(worst, _rank(entry.record))
    return STATES[worst]


def worst_of(counts: Counts) -> State:
    """The worst state that any of those counted is in; passing for none."""
    return next((state for state, n in reversed(list(zip(STATES, counts, strict=True))) if n), "passing")


def _rank(check: Check) -> int:
    # Looked at for each check there is, of which hardly any is the registry's own.
    if check.id.startswith("_"):
        if is_maintenance(check):
            return _MAINTENANCE
        if is_drain(check):
            return _DRAINING
    return _RANKS.get(check.status, _RANKS[CRITICAL])


@dataclasses.dataclass(frozen=True, slots=True)
class Tally:
    """Instances that were counted together: those of a service, or those on a node.

    Attributes:
        name: as the first of them spells it.
        instances: by state.
        flapping: how many of their checks are held for changing too often.
        suspects: how many of them would be gone if the agent trusted its own ears.
        ejected: how many of them are taken out for what callers reported.
        panic_threshold: of a service: the share of passing instances below which all are given out, in percent.
        is_panicking: of a service: whether it is so now.
    """

    name: str
    instances: Counts
    flapping: int
    suspects: int
    ejected: int
    panic_threshold: float = 0.0
    is_panicking: bool = False

    @property
    def worst(self) -> State:
        """The state of the worst instance."""
        return worst_of(self.instances)


class Tallies:
    """The tallies of one replica, each counted again only after something of its service or node has changed.

    Asking costs a look at the version of each service's, or node's, topic.

    Args:
        threshold_default: the panic threshold of services that have none of their own, in percent.
    """

    def __init__(self, catalog: Catalog, *, threshold_default: float) -> None:
        self._catalog = catalog
        self._threshold_default = threshold_default
        self._services: dict[str, tuple[tuple[int, ...], Tally]] = {}
        self._nodes: dict[str, tuple[tuple[int, ...], Tally]] = {}
        self._node_states: dict[str, tuple[tuple[Entry[Check], ...], State]] = {}

    def services(self) -> dict[str, Tally]:
        """The tally of each service, by its name in small letters, in their order."""
        groups = self._catalog.service_indexes.by_name

        def count(key: str) -> Tally:
            return self._with_panic(key, self._count(groups[key].ordered()))

        return self._kept(self._services, groups, _topics_of_service, count)

    def nodes(self) -> dict[str, Tally]:
        """The tally of the instances on each registered node, by its name in small letters, in their order."""
        nodes, by_node = self._catalog.nodes, self._catalog.service_indexes.by_node

        def count(key: str) -> Tally:
            counted = self._count(by_node.get(key, {}).values())
            return dataclasses.replace(counted, name=nodes[key].record.name)

        return self._kept(self._nodes, nodes, lambda key: (node_topic(key),), count)

    def node_states(self) -> dict[str, State]:
        """How each registered node is by its own checks alone, by its name in small letters."""
        own = self._catalog.check_indexes.of_node_itself
        before, current = self._node_states, {}
        for key in self._catalog.nodes:
            checks = own.get(key, ())
            kept = before.get(key)
            # A node whose checks change has another tuple of them.
            current[key] = kept if kept is not None and kept[0] is checks else (checks, decide_state(checks))
        self._node_states = current
        return {key: state for key, (_, state) in current.items()}

    def _kept(
        self,
        kept: dict[str, tuple[tuple[int, ...], Tally]],
        keys: Iterable[str],
        topics_of: Callable[[str], tuple[str, ...]],
        count: Callable[[str], Tally],
    ) -> dict[str, Tally]:
        topics = self._catalog.topics
        current = {}
        for key in sorted(keys):
            version = topics.version(topics_of(key))
            before = kept.get(key)
            current[key] = before if before and before[0] == version else (version, count(key))
        kept.clear()
        kept.update(current)
        return {key: tally for key, (_, tally) in current.items()}

    def _count(self, instances: Iterable[Entry[Service]]) -> Tally:
        catalog = self._catalog
        flapping, suspects = catalog.marks.of("flapping"), catalog.marks.of("suspect")
        counts = dict.fromkeys(STATES, 0)
        flapping_count = suspects_count = ejected_count = 0
        name = ""
        for entry in instances:
            name = name or entry.record.name
            checks = tuple(catalog.check_entries(entry.record))
            counts[decide_state(checks)] += 1
            for each in checks:
                ejected_count += is_passive(each.record) and each.record.status != PASSING
            if flapping:
                flapping_count += sum(check.record.key in flapping for check in checks)
            suspects_count += entry.record.key in suspects
        passing, warning, critical, draining, maintenance = counts.values()
        by_state = (passing, warning, critical, draining, maintenance)
        return Tally(name, by_state, flapping_count, suspects_count, ejected_count)

    def _with_panic(self, key: str, counted: Tally) -> Tally:
        threshold = panic_threshold(self._catalog, key, default=self._threshold_default)
        passing, warning, critical, *_ = counted.instances
        return dataclasses.replace(
            counted,
            panic_threshold=threshold,
            is_panicking=decide_panic(usable=passing, of=passing + warning + critical, threshold=threshold),
        )


def add_counts(*counts: Counts) -> Counts:
    """The sums by state."""
    passing, warning, critical, draining, maintenance = (sum(each) for each in zip(NONE, *counts, strict=True))
    return passing, warning, critical, draining, maintenance


def _topics_of_service(key: str) -> tuple[str, ...]:
    return service_topic(key), config_topic("service-defaults", key)
