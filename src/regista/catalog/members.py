"""Who is in the answer to a look-up, followed from change to change at the cost of the change.

`find_available` looks at every instance of a service; `Members` at those that a batch has touched. What both give
is the same at any time, panic included (see `degrading`); a test holds them to it.

Knows no fallback: what else would do for an answer that is empty is another look-up, with members of its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias

from regista.catalog.degrading import decide_panic, is_withdrawn, panic_threshold
from regista.catalog.queries import Instance, Lookup
from regista.catalog.replica import Catalog
from regista.model import Batch, Check, Delete, Entry, Node, Record, Service

Fitness: TypeAlias = Literal["usable", "failing", "withdrawn"]
"""Passing; not passing, but given out in a panic; taken out on purpose."""

Touched: TypeAlias = tuple[str, str]
"""A service's name in small letters, and the key of an instance that has or had it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """What has become of an instance in the answer.

    Attributes:
        service: the instance as it is registered, or was last.
        instance: as it is now in the answer; None if it is in it no longer.
    """

    service: Service
    instance: Instance | None


class Members:
    """The instances in the answer to a look-up.

    Args:
        lookup: by name, tags and metadata; the other fields would need more than the instance itself.
        threshold_default: the panic threshold of services that have none of their own, in percent.
    """

    def __init__(self, catalog: Catalog, lookup: Lookup, *, threshold_default: float) -> None:
        unfollowed = (lookup.node_meta, lookup.version, lookup.near, lookup.within_mesh)
        assert not any(unfollowed), lookup
        self._catalog = catalog
        self._lookup = lookup
        self._threshold_default = threshold_default
        self._tags = frozenset(tag.lower() for tag in lookup.tags)
        self._wanted: dict[str, tuple[Entry[Service], Fitness]] = {}
        self._counts: dict[Fitness, int] = {"usable": 0, "failing": 0, "withdrawn": 0}
        self.is_panicking = False
        group = catalog.service_indexes.by_name.get(lookup.name.lower())
        self.update(group.members if group else ())

    def update(self, keys: Iterable[str]) -> list[Move]:
        """What has become of the instances with these keys, and in a panic that began or ended of others too.

        Each is named once: as it is now if it is in the answer, or as gone if it was. Costs O(keys), and
        O(instances) when a panic begins or ends.
        """
        before: dict[str, tuple[Entry[Service], Fitness] | None] = {}
        for key in keys:
            if key not in before:
                before[key] = self._wanted.get(key)
                self._settle(key)
        was_panicking, self.is_panicking = self.is_panicking, self._is_panic()
        if was_panicking != self.is_panicking:
            for key, found in self._wanted.items():
                if found[1] == "failing":
                    before.setdefault(key, found)
        return list(self._moves(before, was_panicking=was_panicking))

    def instances(self) -> list[Instance]:
        """All that are in the answer, by node and id. Costs O(instances) and a sort."""
        given = [entry for entry, fitness in self._wanted.values() if self._is_given(fitness, self.is_panicking)]
        given.sort(key=lambda entry: (entry.record.node.lower(), entry.record.id.lower()))
        return [self._instance(entry) for entry in given]

    def _settle(self, key: str) -> None:
        """Takes in what an instance is now."""
        was = self._wanted.pop(key, None)
        if was is not None:
            self._counts[was[1]] -= 1
        entry = self._catalog.services.get(key)
        if entry is not None and self._is_wanted(entry.record):
            fitness = self._fitness(entry)
            self._wanted[key] = (entry, fitness)
            self._counts[fitness] += 1

    def _is_wanted(self, service: Service) -> bool:
        if service.name.lower() != self._lookup.name.lower():
            return False
        if self._tags and not self._tags <= {tag.lower() for tag in service.tags}:
            return False
        meta = service.meta or {}
        return all(meta.get(key) == value for key, value in self._lookup.meta)

    def _fitness(self, entry: Entry[Service]) -> Fitness:
        instance = self._instance(entry)
        if instance.is_passing:
            return "usable"
        return "withdrawn" if is_withdrawn(instance.checks) else "failing"

    def _is_panic(self) -> bool:
        if not self._lookup.passing_only:
            return False
        threshold = panic_threshold(self._catalog, self._lookup.name, default=self._threshold_default)
        usable = self._counts["usable"]
        return decide_panic(usable=usable, of=usable + self._counts["failing"], threshold=threshold)

    def _is_given(self, fitness: Fitness, is_panic: bool) -> bool:  # noqa: FBT001 - of two callers, one line each
        return fitness == "usable" or not self._lookup.passing_only or (is_panic and fitness == "failing")

    def _moves(
        self, before: dict[str, tuple[Entry[Service], Fitness] | None], *, was_panicking: bool
    ) -> Iterator[Move]:
        for key, was in before.items():
            now = self._wanted.get(key)
            if now is not None and self._is_given(now[1], self.is_panicking):
                yield Move(now[0].record, self._instance(now[0]))
            elif was is not None and self._is_given(was[1], was_panicking):
                yield Move(was[0].record, None)

    def _instance(self, entry: Entry[Service]) -> Instance:
        service = entry.record
        node = self._catalog.nodes.get(service.node.lower())
        return Instance(entry, node, tuple(self._catalog.check_entries(service)))


def touched_instances(catalog: Catalog, batch: Batch) -> Iterator[Touched]:
    """The instances whose entry in an answer a batch may have changed, some more than once.

    Args:
        catalog: with the batch applied.
    """
    for change in batch.changes:
        yield from _touched_by(catalog, change.record)
        replaced = None if isinstance(change, Delete) else change.replaces
        if replaced is not None:
            yield from _touched_by(catalog, replaced)


def _touched_by(catalog: Catalog, record: Record) -> Iterator[Touched]:
    if isinstance(record, Service):
        yield record.name.lower(), record.key
    elif isinstance(record, Check) and record.service_id:
        entry = catalog.services.get(record.service_key)
        # An instance that has gone or changed its name with the same batch is named by its own change.
        if entry is not None:
            yield entry.record.name.lower(), record.service_key
    elif isinstance(record, Check | Node):
        node = record.node if isinstance(record, Check) else record.name
        for key, entry in catalog.service_indexes.by_node.get(node.lower(), {}).items():
            yield entry.record.name.lower(), key
