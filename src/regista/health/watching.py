"""Which checks and leases are watched here: what the catalog says of this node, brought to the parts."""

from __future__ import annotations

from collections.abc import Container, Iterable

from regista.catalog import Catalog
from regista.health.aliases import Aliases
from regista.health.decide import fresh_hysteresis
from regista.health.flapping import fresh_flaps
from regista.health.kind_rule import KindRule
from regista.health.listening import ListeningClock
from regista.health.prober import Prober
from regista.health.silence import Silence
from regista.health.statuses import Statuses, WatchedCheck
from regista.health.verdicts import Verdicts
from regista.health.withholding import Withholding
from regista.model import Check, Entry, Manager, Service

_MANAGERS: tuple[Manager, ...] = ("agent", "config")


def concerns(record: Check | Service, node_key: str) -> bool:
    """Whether a record is watched here: it is of this node, or a caller of the catalog keeps it, on whatever node.

    Of those only the time in critical is watched: somebody else makes the check.
    """
    return record.manager == "catalog" or record.node.lower() == node_key


class Watching:
    """The checks that are run, and the leases that run.

    Args:
        probes: by the kinds of checks that can be probed.

    Attributes:
        checks: by key; read only.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        listening: ListeningClock,
        kind_rule: KindRule,
        probes: Container[str],
        silence: Silence,
        prober: Prober,
        withholding: Withholding,
        verdicts: Verdicts,
        aliases: Aliases,
        statuses: Statuses,
    ) -> None:
        self.checks: dict[str, WatchedCheck] = {}
        self._catalog = catalog
        self._listening = listening
        self._kind_rule = kind_rule
        self._probes = probes
        self._silence = silence
        self._prober = prober
        self._withholding = withholding
        self._verdicts = verdicts
        self._aliases = aliases
        self._statuses = statuses

    def take_over(self, node: str) -> None:
        """Watches what the catalog has of this node, and what its callers keep on others."""
        node_key = node.lower()
        records: list[Check | Service] = [entry.record for entry in self._catalog.checks.values()]
        records += [entry.record for entry in self._catalog.services.values()]
        self.follow([record for record in records if concerns(record, node_key)])

    def follow(self, records: Iterable[Check | Service]) -> None:
        """Takes notice of checks and instances that have changed, or are gone; of those that it `concerns`."""
        now_s = self._silence.hearing.now_s()
        instances: dict[str, None] = {}
        for record in records:
            key = record.key
            if isinstance(record, Check):
                self._follow_check(key, now_s)
                instances[record.service_key] = None
            else:
                self._follow_service(key, now_s)
                instances[key] = None
        for key in instances:
            self._silence.note(key)

    def _follow_service(self, key: str, now_s: float) -> None:
        entry = self._catalog.services.get(key)
        if entry is None or entry.record.manager not in _MANAGERS:
            self._silence.leases.drop(key)
        else:
            self._silence.leases.note(key, entry, now_s)

    def _follow_check(self, key: str, now_s: float) -> None:
        entry = self._catalog.checks.get(key)
        watched = self.checks.get(key)
        reaper = self._silence.reaper
        if entry is None or entry.record.definition is None or entry.record.manager not in _MANAGERS:
            if watched is not None:
                self._forget(watched)
                reaper.drop(key)
            if entry is not None and entry.record.manager == "catalog":
                reaper.note(key, entry, now_s)
            else:
                reaper.drop(key)
            return
        if watched is None or watched.create_index != entry.create_index:
            reaper.drop(key)
        if (
            watched is None
            or watched.create_index != entry.create_index
            or watched.definition != entry.record.definition
        ):
            self._watch(key, entry, watched, now_s)
        reaper.note(key, entry, now_s)

    def _watch(self, key: str, entry: Entry[Check], before: WatchedCheck | None, now_s: float) -> None:
        """Runs the check as its definition says now; nothing counts that was found under the one before."""
        if before is not None:
            self._forget(before)
        definition = entry.record.definition
        assert definition is not None
        watched = WatchedCheck(
            key=key,
            node=entry.record.node,
            create_index=entry.create_index,
            definition=definition,
            kind=self._kind_rule.kind_to_run(entry.record),
            hysteresis=fresh_hysteresis(definition),
            flaps=fresh_flaps(entry.record.status),
        )
        self.checks[key] = watched
        if watched.kind == "ttl":
            self._silence.heartbeats.add(watched, now_s)
        elif watched.kind == "alias":
            self._aliases.add(watched)
        elif watched.kind in self._probes:
            self._prober.add(watched, self._listening.now_s())

    def _forget(self, watched: WatchedCheck) -> None:
        del self.checks[watched.key]
        self._verdicts.forget(watched)
        self._withholding.drop(watched.key)
        self._prober.drop(watched.key)
        self._silence.heartbeats.drop(watched.key)
        self._aliases.drop(watched)
        self._statuses.withdraw(watched.key)
