"""What each kind of rule looks at: one class a kind, and a line in `WATCHERS`."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Protocol, TypeAlias

import msgspec

from regista.catalog import Catalog, is_maintenance, is_own_check
from regista.model import CRITICAL, AlertRule, Check, Entry, format_time
from regista.notify.alert_decide import Finding
from regista.notify.alert_facts import Touched, Unwell

Findings: TypeAlias = Mapping[str, Finding | None]
"""By subject; None where the rule does not hold."""

_DAY_S = 86400.0

_OUTPUT_CHARACTERS = 512
"""Of a check's output in a sentence; the rest is in the list of checks."""


class Protection(Protocol):
    """A mass loss that is not believed; see `health.Protection`."""

    @property
    def scope(self) -> str:
        """The service in small letters, or "" for all together."""

    @property
    def held(self) -> int:
        """How many instances are kept."""

    @property
    def of(self) -> int:
        """How many there were."""

    @property
    def share(self) -> float:
        """`held` as a part of `of`."""

    @property
    def limit(self) -> float:
        """The part that may go."""

    @property
    def command(self) -> str:
        """What an operator does to end it."""


class Certificate(msgspec.Struct, frozen=True, gc=False):
    """What is known of a file of certificates.

    Attributes:
        end_s: when the first of them ends, in seconds since the epoch; 0 if that is not known.
        problem: why not.
    """

    end_s: float = 0.0
    problem: str = ""


class Sources(msgspec.Struct, frozen=True):
    """Where watchers look, as the agent gives it.

    Attributes:
        protections: mass losses that are not believed just now.
        store_away_s: for how long nothing could be written; None while all is well.
        wall_clock: seconds since the epoch.
    """

    catalog: Catalog
    protections: Callable[[], Sequence[Protection]]
    store_away_s: Callable[[], float | None]
    wall_clock: Callable[[], float]


class Places(msgspec.Struct, frozen=True):
    """Where watchers look.

    Attributes:
        unwell: of the catalog; made when the first rule needs it.
        certificate: what is known of a file; None before it was read.
    """

    sources: Sources
    unwell: Callable[[], Unwell]
    certificate: Callable[[str], Certificate | None]


class Watcher(Protocol):
    """Looks whether one rule holds.

    Attributes:
        is_polled: whether it always looks at everything; then subjects that it does not name don't hold.
    """

    is_polled: bool

    def look(self, touched: Touched | None) -> Findings:
        """What there is to say of what changed, or (None) of everything, as it is now."""


class ServiceWatcher:
    """`service_healthy_below`."""

    is_polled = False

    def __init__(self, rule: AlertRule, places: Places) -> None:
        self._rule = rule
        self._catalog = places.sources.catalog
        self._unwell = places.unwell()
        self._name = rule.service.lower()
        self._is_pattern = is_pattern(self._name)

    def look(self, touched: Touched | None) -> Findings:
        """See `Watcher`."""
        if not self._is_pattern:
            names: Iterable[str] = (self._name,) if touched is None or self._name in touched.services else ()
        else:
            names = self._catalog.service_indexes.by_name if touched is None else touched.services
            names = [name for name in names if fnmatch.fnmatchcase(name, self._name)]
        return {name: self._find(name) for name in names}

    def _find(self, key: str) -> Finding | None:
        group = self._catalog.service_indexes.by_name.get(key)
        if group is None and self._is_pattern:
            return None  # A pattern can't miss a service of which nothing is left.
        passing, of = self._unwell.counts(key)
        rule = self._rule
        share = passing / of if of else 0.0
        if rule.healthy_min is not None:
            holds, value, wanted = passing < rule.healthy_min, float(passing), f"{rule.healthy_min}"
        else:
            least = rule.share_min or 0.0
            # All of them off duty is no emergency, unless the service was named.
            holds = share < least and (of > 0 or not self._is_pattern)
            value, wanted = share, f"{least:.0%}"
        if not holds:
            return None
        name = next(iter(group.members.values())).record.name if group else rule.service
        return Finding(
            {"service": name},
            value,
            {"service": name, "healthy": f"{passing}", "of": f"{of}", "share": f"{share:.0%}", "wanted": wanted},
            f"service {name}: {_staff_text(passing, of, len(group.members) if group else 0)}, and there should be "
            f"{wanted}",
        )


def _staff_text(passing: int, of: int, registered: int) -> str:
    """How many are passing, and how many are off duty, for they are missed without being ill."""
    if not registered:
        return "there is no instance"
    parts = [f"{passing} of {of} instances are passing"] if of else []
    off_duty = registered - of
    if off_duty:
        parts.append(f"{off_duty} {'drains or is' if off_duty == 1 else 'drain or are'} in maintenance")
    return ", ".join(parts)


class _CheckWatcher:
    """Looks at the checks that a rule's patterns select."""

    def __init__(self, rule: AlertRule, places: Places) -> None:
        self._catalog = places.sources.catalog
        self._service, self._node, self._check = rule.service.lower(), rule.node.lower(), rule.check.lower()

    def _selects(self, check: Check) -> bool:
        return (
            not (is_own_check(check) or is_maintenance(check))
            and _is_like(check.service_name, self._service)
            and _is_like(check.node, self._node)
            and _is_like(check.id, self._check)
        )

    def _finding(self, check: Check, words: dict[str, str], what: str) -> Finding:
        labels = {
            "service": check.service_name,
            "instance": check.service_id,
            "node": check.node,
            "check": check.id,
        }
        of = f"instance {check.service_id} of service {check.service_name} on" if check.service_id else "node"
        return Finding(
            labels, 1.0, {**labels, "name": check.name, **words}, f'check "{check.id}" of {of} {check.node} {what}'
        )


class CriticalWatcher(_CheckWatcher):
    """`check_critical_for`."""

    is_polled = False

    def look(self, touched: Touched | None) -> Findings:
        """See `Watcher`."""
        if touched is None:
            critical = self._catalog.check_indexes.by_status.get(CRITICAL, {})
            return {key: self._find(entry) for key, entry in critical.items()}
        return {key: self._find(self._catalog.checks.get(key)) for key in touched.checks}

    def _find(self, entry: Entry[Check] | None) -> Finding | None:
        if entry is None or entry.record.status != CRITICAL or not self._selects(entry.record):
            return None
        output = " ".join(self._catalog.output(entry).split())[:_OUTPUT_CHARACTERS]
        return self._finding(
            entry.record, {"output": output}, f"is critical: {output}" if output else "is critical"
        )


class FlappingWatcher(_CheckWatcher):
    """`flapping`: this agent's marks, which wake nobody, so it looks each time; there are few."""

    is_polled = True

    def look(self, touched: Touched | None) -> Findings:  # noqa: ARG002 - see above
        """See `Watcher`."""
        found: dict[str, Finding | None] = {}
        for key, why in self._catalog.marks.of("flapping").items():
            entry = self._catalog.checks.get(key)
            if entry is not None and self._selects(entry.record):
                found[key] = self._finding(entry.record, {"why": why}, "changes too often")
        return found


class ProtectionWatcher:
    """`protection_on`."""

    is_polled = True

    def __init__(self, rule: AlertRule, places: Places) -> None:
        self._name = rule.service.lower()
        self._protections = places.sources.protections

    def look(self, touched: Touched | None) -> Findings:  # noqa: ARG002 - it is one or two values
        """See `Watcher`."""
        return {
            each.scope: _find_protection(each) for each in self._protections() if _is_like(each.scope, self._name)
        }


def _find_protection(each: Protection) -> Finding:
    of = f"service {each.scope}" if each.scope else "all services"
    words = {
        "service": each.scope,
        "held": f"{each.held}",
        "of": f"{each.of}",
        "share": f"{each.share:.0%}",
        "limit": f"{each.limit:.0%}",
        "command": each.command,
    }
    sentence = (
        f"{each.held} of {each.of} instances of {of} are silent and kept, because more than {each.limit:.0%} fell "
        f"silent at once; `{each.command}` ends that"
    )
    return Finding({"service": each.scope}, float(each.held), words, sentence)


class StoreWatcher:
    """`store_unreachable`."""

    is_polled = True

    def __init__(self, rule: AlertRule, places: Places) -> None:  # noqa: ARG002 - there is one store
        self._away_s = places.sources.store_away_s

    def look(self, touched: Touched | None) -> Findings:  # noqa: ARG002 - it is one value
        """See `Watcher`."""
        away_s = self._away_s()
        if away_s is None:
            return {}
        seconds = f"{away_s:.0f}"
        return {
            "store": Finding({}, round(away_s), {"seconds": seconds}, f"nothing could be written for {seconds} s")
        }


class CertificateWatcher:
    """`certificate_expires_within`."""

    is_polled = True

    def __init__(self, rule: AlertRule, places: Places) -> None:
        self._rule = rule
        self._certificate = places.certificate
        self._wall_clock = places.sources.wall_clock

    def look(self, touched: Touched | None) -> Findings:  # noqa: ARG002 - it is one value
        """See `Watcher`."""
        file = self._rule.file
        known = self._certificate(file)
        if known is None:
            return {}
        if known.problem:
            sentence = f"the certificates in {file} can't be read: {known.problem}"
            return {file: Finding({"file": file}, -1.0, {"file": file, "days": "?", "expires": "?"}, sentence)}
        left_s = known.end_s - self._wall_clock()
        if left_s > self._rule.within_s:
            return {}
        days, expires = f"{max(0.0, left_s) / _DAY_S:.1f}", format_time(known.end_s)
        sentence = (
            f"a certificate in {file} ends in {days} days, at {expires}"
            if left_s > 0
            else f"a certificate in {file} has ended, at {expires}"
        )
        value = round(left_s / _DAY_S, 1)
        return {file: Finding({"file": file}, value, {"file": file, "days": days, "expires": expires}, sentence)}


WATCHERS: Mapping[str, Callable[[AlertRule, Places], Watcher]] = MappingProxyType(
    {
        "service_healthy_below": ServiceWatcher,
        "check_critical_for": CriticalWatcher,
        "flapping": FlappingWatcher,
        "protection_on": ProtectionWatcher,
        "store_unreachable": StoreWatcher,
        "certificate_expires_within": CertificateWatcher,
    }
)
"""By kind of rule, see `catalog.RULE_KINDS`."""


def is_pattern(text: str) -> bool:
    """Whether a name stands for several."""
    return any(sign in text for sign in "*?[")


def _is_like(name: str, pattern: str) -> bool:
    return not pattern or fnmatch.fnmatchcase(name.lower(), pattern)
