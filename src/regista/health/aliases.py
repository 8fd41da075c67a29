"""Alias checks: they have the health of another instance, or of a node, and change with it.

Nothing is probed: an alias is judged anew after every batch that changes something on the node it looks at, and
when other output is shown of a check that it may quote. An alias of an alias goes by batches alone: two that look
at each other would quote each other for ever.
"""

from __future__ import annotations

from collections.abc import Iterable

from regista.catalog import Catalog
from regista.health.decide import decide_alias, decide_alias_without_target
from regista.health.statuses import Statuses, WatchedCheck
from regista.model import Check, Entry, caused_by, node_item_key


class Aliases:
    """The alias checks of this node.

    Args:
        statuses: reports to `note_output` from now on.
    """

    def __init__(self, *, catalog: Catalog, statuses: Statuses) -> None:
        self._catalog = catalog
        self._statuses = statuses
        statuses.on_output = self.note_output
        # By node; and by the instance they look at, or that there is none, so that an output concerns few.
        self._by_target: dict[str, dict[str, WatchedCheck]] = {}
        self._by_instance: dict[str, dict[str, WatchedCheck]] = {}
        self._due: dict[str, WatchedCheck] = {}

    def add(self, watched: WatchedCheck) -> None:
        """Keeps a check like what it is an alias of, from the next tick on."""
        self._by_target.setdefault(_target_node(watched), {})[watched.key] = watched
        self._by_instance.setdefault(_target_instance(watched), {})[watched.key] = watched
        self._due[watched.key] = watched

    def drop(self, watched: WatchedCheck) -> None:
        """Lets the check be."""
        _take_out(self._by_target, _target_node(watched), watched.key)
        _take_out(self._by_instance, _target_instance(watched), watched.key)
        self._due.pop(watched.key, None)

    def note(self, node_key: str) -> None:
        """Says that something changed on this node."""
        if self._by_target:
            self._due.update(self._by_target.get(node_key, {}))

    def note_output(self, watched: WatchedCheck) -> None:
        """Says that other output is shown of a check, its status as it was."""
        if not self._by_target or watched.kind == "alias":
            return
        own = watched.entry_in(self._catalog)
        if own is None:
            return
        if own.record.service_id:
            self._due.update(self._by_instance.get(own.record.service_key, {}))
        else:
            self.note(watched.node.lower())

    def tick(self, now_s: float) -> None:  # noqa: ARG002 - every part is told the moment
        """Judges the aliases whose target may have changed."""
        due, self._due = self._due, {}
        for watched in due.values():
            self._judge(watched)

    def next_s(self) -> float | None:
        """When `tick` has something to do: now, if anything changed."""
        return 0.0 if self._due else None

    def _judge(self, watched: WatchedCheck) -> None:
        own = watched.entry_in(self._catalog)
        if own is None:
            return
        definition = watched.definition
        node = definition.alias_node or own.record.node
        if not definition.alias_service:
            verdict = decide_alias(self._told(node, (), but_for=watched.key))
        else:
            service_key = node_item_key(node, definition.alias_service)
            if service_key in self._catalog.services:
                checks = self._catalog.check_indexes.by_instance.get(service_key, ())
                verdict = decide_alias(self._told(node, checks, but_for=watched.key))
            else:
                verdict = decide_alias_without_target(definition.alias_service, node)
        target = f"instance {definition.alias_service}" if definition.alias_service else "node"
        cause = caused_by("check", source=watched.key, reason=f"alias of {target} on {node}")
        self._statuses.publish(watched, *verdict, cause=cause)

    def _told(self, node: str, checks: Iterable[Entry[Check]], *, but_for: str) -> Iterable[tuple[str, str, str]]:
        """Name, status and output of a node's own checks and of these; an alias never looks at itself."""
        of_node = self._catalog.check_indexes.of_node_itself.get(node.lower(), ())
        for entry in (*of_node, *checks):
            if entry.record.key != but_for:
                yield entry.record.name, entry.record.status, self._catalog.output(entry)


def _target_node(watched: WatchedCheck) -> str:
    return (watched.definition.alias_node or watched.node).lower()


def _target_instance(watched: WatchedCheck) -> str:
    """The key of the instance that it looks at; "" for an alias of a node."""
    service_id = watched.definition.alias_service
    return node_item_key(_target_node(watched), service_id) if service_id else ""


def _take_out(shelf: dict[str, dict[str, WatchedCheck]], target: str, key: str) -> None:
    aliases = shelf.get(target, {})
    if aliases.pop(key, None) is not None and not aliases:
        del shelf[target]
