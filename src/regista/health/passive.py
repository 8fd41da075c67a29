"""Passive health: callers report how their requests went, and instances that stand out are taken out for a while.

Theory of operation. Each service that anybody reports has a detector (`balance`), which knows nothing of the
catalog; here its hosts are the keys of instances. What it decides becomes the status of the instance's passive
check, written by way of the outbox, so reports themselves write nothing. What the detectors know is in memory
only: an agent that restarts finds who is out by the checks, and lets each back after one base ejection time.

    reports ──▶ detector ──▶ changes ──▶ outbox ──▶ passive check
                  ▲  ▲  └── tick
     probes passing  └── instances and configuration entries that change
"""

from __future__ import annotations

import functools
import logging
import random
from collections.abc import Callable, Iterable, Sequence

from regista.balance import (
    Change,
    Ejection,
    OutcomeReport,
    OutlierDetector,
    OutlierParameters,
    outcome_of_code,
    with_parameters,
)
from regista.catalog import Catalog, is_own_check, is_passive, set_passive_status
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import decide_kind
from regista.health.outbox import Outbox
from regista.health.passive_settings import PassiveSettings
from regista.health.passive_state import PassiveState, show_state
from regista.health.reported import ReportedInstances
from regista.model import (
    CRITICAL,
    PASSING,
    Check,
    ConfigEntry,
    Delete,
    Entry,
    Put,
    Service,
    Status,
    caused_by,
    format_duration,
    format_time,
)
from regista.model import Change as LogChange

logger = logging.getLogger(__name__)

_DEFAULTS = "service-defaults"
_FIELD = "OutlierDetection"

_SAY_OF_THEMSELVES = frozenset(("", "ttl", "alias"))
"""Kinds of checks that nobody looks for."""


class PassiveHealth:
    """The detectors of all services that are reported.

    Args:
        node: this agent's.
        now_s: the clock of all deadlines here.
        wake_up: has `tick` called at `next_s`, which may be earlier now.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        node: str,
        outbox: Outbox,
        counters: Counters,
        settings: PassiveSettings,
        rng: random.Random,
        now_s: Callable[[], float],
        wall_clock: Callable[[], float],
        wake_up: Callable[[], None],
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._counters = counters
        self._settings = settings
        self._rng = rng
        self._now_s = now_s
        self._wall_clock = wall_clock
        self._wake_up = wake_up
        self._detectors: dict[str, OutlierDetector] = {}
        self._deadlines = Deadlines()
        self._instances = ReportedInstances(catalog=catalog, node=node)

    @property
    def ejected_count(self) -> int:
        """How many instances are out."""
        return sum(detector.ejected_count for detector in self._detectors.values())

    def take_over(self, now_s: float) -> None:
        """Sees to it that those who are out come back, whoever took them out."""
        for entry in list(self._catalog.check_indexes.by_status.get(CRITICAL, {}).values()):
            service = self._catalog.services.get(entry.record.service_key)
            if is_passive(entry.record) and service is not None:
                name = service.record.name.lower()
                self._detector(name).adopt(service.record.key, now_s)
                self._look_ahead(name)

    # ---- what comes in ----

    def report(self, reports: Iterable[OutcomeReport]) -> tuple[int, int]:
        """Takes what callers found; how many reports were of known instances, and how many were not.

        Nothing is written for it; what reports bring about is, afterwards.
        """
        now_s = self._now_s()
        accepted = unknown = 0
        for each in reports:
            name = each.service.lower()
            key = self._instances.find(name, each)
            if key is None:
                unknown += 1
                continue
            accepted += 1
            outcome = each.outcome if isinstance(each.outcome, str) else outcome_of_code(each.outcome)
            self._counters.outcomes[outcome] += each.count
            detector = self._detector(name)
            ejection = detector.record(key, outcome, now_s=now_s, count=each.count, latency_ms=each.latency_ms)
            if ejection is not None:
                self._publish(ejection, now_s)
            if ejection is not None or name not in self._deadlines:
                self._look_ahead(name)
        self._counters.outcomes_unknown += unknown
        self._wake_up()
        return accepted, unknown

    def note_passing(self, check_key: str, now_s: float) -> None:
        """Takes notice that a probe found something passing: its instance may come back for that."""
        if not self._detectors:
            return
        entry = self._catalog.checks.get(check_key)
        service = self._catalog.services.get(entry.record.service_key) if entry else None
        if service is None:
            return
        detector = self._detectors.get(service.record.name.lower())
        if detector is None or self._is_found_critical(service.record.key, but=check_key):
            return
        release = detector.note_passing(service.record.key)
        if release is not None:
            self._publish(release, now_s)

    def note(self, change: LogChange) -> None:
        """Takes notice of instances that go or become others, and of what is set for a service."""
        record = change.record
        if isinstance(record, Service):
            self._note_service(change, record)
        elif isinstance(record, ConfigEntry):
            self._note_settings(record)
        elif isinstance(record, Check) and isinstance(change, Delete) and is_passive(record):
            service = self._catalog.services.get(record.service_key)
            detector = self._detectors.get(service.record.name.lower()) if service else None
            if detector is not None:
                detector.release(record.service_key, "its check was taken away")

    # ---- what time brings ----

    def tick(self, now_s: float) -> None:
        """Lets back whose time is over, and judges intervals that have ended."""
        for name in self._deadlines.pop_due(now_s):
            detector = self._detector(name)
            for change in detector.tick(now_s):
                self._publish(change, now_s)
            self._look_ahead(name)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def states(self, service: str = "") -> Sequence[PassiveState]:
        """What reports come to at present, for a service that was reported, or ("") for all, by name."""
        name, now_s = service.lower(), self._now_s()
        names = sorted(self._detectors) if not name else [name] if name in self._detectors else []
        return [
            show_state(self._catalog, each, self._detector(each), now_s=now_s, wall_now_s=self._wall_clock())
            for each in names
        ]

    # ---- inside ----

    def _detector(self, name: str) -> OutlierDetector:
        """The service's detector, which knows how many instances there are now."""
        detector = self._detectors.get(name)
        group = self._catalog.service_indexes.by_name.get(name)
        count = len(group.members) if group else 0
        if detector is None:
            detector = self._detectors[name] = OutlierDetector(
                self._parameters(name), host_count=count, roll=self._rng.random
            )
        detector.host_count = count
        return detector

    def _parameters(self, name: str) -> OutlierParameters:
        entry = self._catalog.config_entries.find(_DEFAULTS, name)
        return with_parameters(self._settings, (entry.record.fields.get(_FIELD) if entry else None) or {})

    def _note_service(self, change: LogChange, service: Service) -> None:
        before = change.replaces if isinstance(change, Put) else service
        self._instances.drop(service.name.lower())
        if not isinstance(before, Service):
            return
        name = before.name.lower()
        if isinstance(change, Put) and (service.incarnation, service.name.lower()) == (before.incarnation, name):
            return
        self._instances.drop(name)
        detector = self._detectors.get(name)
        if detector is None:
            return
        self._outbox.withdraw(_slot(service.key))
        was_out = detector.forget(service.key)
        entry = self._catalog.services.get(service.key)
        if was_out and entry is not None:
            self._want(entry, PASSING, "It is another one now than the one that was out.", "it is another one now")
        if name not in self._catalog.service_indexes.by_name:
            self._drop(name)

    def _note_settings(self, record: ConfigEntry) -> None:
        name = record.name.lower()
        if record.entry_kind == _DEFAULTS and name in self._detectors:
            self._detectors[name].parameters = self._parameters(name)

    def _is_found_critical(self, service_key: str, *, but: str) -> bool:
        """Whether another probe finds the instance critical."""
        for entry in self._catalog.check_indexes.by_instance.get(service_key, ()):
            check = entry.record
            if check.status != CRITICAL or check.key == but or check.definition is None or is_own_check(check):
                continue
            if decide_kind(check.definition) not in _SAY_OF_THEMSELVES:
                return True
        return False

    def _publish(self, change: Change, now_s: float) -> None:
        """Has the change written."""
        entry = self._catalog.services.get(change.host)
        if entry is None:
            return
        wall_s = self._wall_clock()
        if isinstance(change, Ejection):
            self._counters.ejections[change.rule] += 1
            out_s = change.until_s - now_s
            times = f"; {change.in_a_row} times in a row now" if change.in_a_row > 1 else ""
            output = (
                f"Its callers report: {change.because} ({change.rule}). It is out until "
                f"{format_time(wall_s + out_s)}, for {format_duration(round(out_s, 3))}{times}."
            )
            self._want(entry, CRITICAL, output, f"{change.rule}: {change.because}")
        else:
            output = f"It is back since {format_time(wall_s)}: {change.because}."
            self._want(entry, PASSING, output, change.because)

    def _want(self, instance: Entry[Service], status: Status, output: str, reason: str) -> None:
        key = instance.record.key

        def done() -> None:
            self._counters.transitions[status] += 1
            logger.info("instance %s is %s now. %s", key, status, output)

        plan = functools.partial(set_passive_status, instance=instance, status=status, output=output)
        self._outbox.want(_slot(key), plan, done, cause=caused_by("check", source=key, reason=reason))

    def _look_ahead(self, name: str) -> None:
        """Has `tick` come when the detector wants it."""
        moment_s = self._detectors[name].next_s()
        if moment_s is not None:
            self._deadlines.set(name, moment_s)
        else:
            # Nothing is known of its instances, so there is nothing to keep.
            self._drop(name)

    def _drop(self, name: str) -> None:
        del self._detectors[name]
        self._deadlines.drop(name)


def _slot(key: str) -> str:
    return "passive " + key
