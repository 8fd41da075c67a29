"""What readers get when there is not enough that is healthy: all instead of few (*panic*), or others (*fallback*).

Every look-up that leaves out instances for their health comes here.

*Panic.* Where most of a service's instances fail, sending all traffic to the few that pass brings these down too;
and when nearly all of them fail at once, it is more often the watcher that is wrong. So when the share of usable
instances among those wanted is below the service's threshold, the answer holds all of them.

*Fallback.* A caller who prefers something to nothing names what else would do, in order. It counts only for an
answer that would be empty.

Who was taken out on purpose, by maintenance or a drain, is in neither: it does not count in the share and never
comes back, not even where nothing else is left, for somebody decided so and may be working on it.

Source: Envoy, panic threshold (documentation): *below* the threshold, and 0 is off.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

import msgspec

from regista.catalog.maintenance import is_maintenance
from regista.catalog.own_checks import is_drain
from regista.catalog.queries import Instance, Lookup, find_instances
from regista.catalog.replica import Catalog
from regista.catalog.topics import config_topic
from regista.model import PASSING, WARNING, Check, Entry, setting

SERVICE_DEFAULTS = "service-defaults"
PANIC_THRESHOLD = "PanicThreshold"
"""The field of a service's `service-defaults`, in percent."""

FALLBACK_WARNING = "warning"
FALLBACK_ANY = "any"


@dataclasses.dataclass(frozen=True, slots=True)
class DegradingSettings:
    """What can be set of answers in bad times."""

    panic_threshold_percent: float = setting(
        0.0,
        "When fewer than this share of a service's wanted instances are passing, an answer that would leave out "
        "the others holds all of them and says so in `X-Regista-Degraded`. For services whose `service-defaults` "
        "have no `PanicThreshold`. Higher keeps the few healthy ones from being overrun sooner; 0 is off.",
        unit="percent",
        at_least=0,
        at_most=100,
    )
    settling_s: float = setting(
        90.0,
        "How long an agent that began with an empty store says of what it does not find that it is `unknown`, and "
        "not that there is none (`X-Regista-Answer`). Longer gives services more time to register again; shorter "
        "lets callers believe an empty list sooner. 0: never.",
        unit="s",
        at_least=0,
        at_most=3600,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """Why an answer holds others than were asked for; as text, an item of `X-Regista-Degraded`.

    Attributes:
        fallback: what was named by the caller, "" in a panic.
        service: whose panic it is, "" for that of the service that was asked for.
        usable, of: of how many wanted instances so many are usable.
        threshold: in percent.
    """

    fallback: str = ""
    service: str = ""
    usable: int = 0
    of: int = 0
    threshold: float = 0.0

    def __str__(self) -> str:
        if self.fallback:
            return f"fallback={quote(self.fallback, safe='')}"
        whose = f"; service={quote(self.service, safe='')}" if self.service else ""
        return f"panic; passing={self.usable}; of={self.of}; threshold={self.threshold:g}%{whose}"


@dataclasses.dataclass(frozen=True, slots=True)
class Available:
    """The instances that a caller gets.

    Attributes:
        findings: why they are not just what was asked for, in order; none as a rule.
    """

    instances: list[Instance]
    findings: tuple[Finding, ...] = ()


Keeps = Callable[[Instance], bool]


@dataclasses.dataclass(frozen=True, slots=True)
class Terms:
    """What a look-up rests on besides the look-up itself.

    Attributes:
        threshold_default: the panic threshold of services that have none of their own, in percent.
        fallbacks: what else would do, in order: `warning`, `any`, or the name of another service.
        keeps: whether an instance meets what else was asked for, except its health; None for all.
    """

    threshold_default: float = 0.0
    fallbacks: tuple[str, ...] = ()
    keeps: Keeps | None = None


def decide_panic(*, usable: int, of: int, threshold: float) -> bool:
    """Whether so few are usable that all are to be given out.

    Args:
        threshold: in percent; 0 is off.
    """
    return 100 * usable < threshold * of


def panic_threshold(catalog: Catalog, service: str, *, default: float) -> float:
    """The threshold of a service, in percent."""
    entry = catalog.config_entries.find(SERVICE_DEFAULTS, service)
    own = entry.record.fields.get(PANIC_THRESHOLD) if entry else None
    # Entries that were written before the field had a meaning may hold anything.
    return float(own) if isinstance(own, int | float) else default


def is_withdrawn(checks: Iterable[Entry[Check]]) -> bool:
    """Whether an instance was taken out on purpose."""
    return any(is_maintenance(each.record) or is_drain(each.record) for each in checks)


def find_available(
    catalog: Catalog, service: str, terms: Terms, *, lookups_for: Callable[[str], Sequence[Lookup]]
) -> Available:
    """The instances of a service that are wanted, or what there is instead.

    Args:
        lookups_for: the look-ups that find what is wanted of this service, or of another; what the first finds
            comes first.
    """
    lookups = lookups_for(service)
    found = _find_all(catalog, lookups, terms, service)
    if found.instances:
        return found
    for fallback in terms.fallbacks:
        if fallback in (FALLBACK_WARNING, FALLBACK_ANY):
            instead = Available(_find_failing(catalog, lookups, terms, any_status=fallback == FALLBACK_ANY))
        else:
            instead = _find_all(catalog, lookups_for(fallback), terms, service)
        if instead.instances:
            return Available(instead.instances, (Finding(fallback=fallback), *instead.findings))
    return found


def elsewhere_of(lookup: Lookup, service: str) -> Lookup:
    """The same look-up for another service, without what only the first one's own instances have."""
    return msgspec.structs.replace(lookup, name=service, tags=(), meta=(), version=None)


def degrading_topics(services: Iterable[str]) -> tuple[str, ...]:
    """What answers about these services depend on besides the services."""
    return tuple(config_topic(SERVICE_DEFAULTS, each) for each in services)


def share_out(
    wanted: Sequence[Instance], is_usable: Keeps, *, threshold: float, withdrawn: Keeps, service: str = ""
) -> Available:
    """Of the instances wanted the usable ones, or in a panic all but those taken out on purpose.

    Args:
        threshold: in percent; 0 is off.
        service: whose name the finding bears; "" for that of the service asked for.
    """
    usable = [each for each in wanted if is_usable(each)]
    if len(usable) == len(wanted) or not threshold:
        return Available(usable)
    all_of_them = [each for each in wanted if is_usable(each) or not withdrawn(each)]
    if not decide_panic(usable=len(usable), of=len(all_of_them), threshold=threshold):
        return Available(usable)
    finding = Finding(service=service, usable=len(usable), of=len(all_of_them), threshold=threshold)
    return Available(all_of_them, (finding,))


def _find_all(catalog: Catalog, lookups: Sequence[Lookup], terms: Terms, asked: str) -> Available:
    instances: list[Instance] = []
    findings: list[Finding] = []
    for lookup in lookups:
        found = _find(catalog, lookup, terms, service="" if lookup.name == asked else lookup.name)
        instances += found.instances
        findings += found.findings
    return Available(instances, tuple(findings))


def _find(catalog: Catalog, lookup: Lookup, terms: Terms, *, service: str) -> Available:
    threshold = 0.0
    if lookup.passing_only:
        threshold = panic_threshold(catalog, lookup.name, default=terms.threshold_default)
    if not threshold:
        return Available(_wanted(catalog, lookup, terms))
    wanted = _wanted(catalog, msgspec.structs.replace(lookup, passing_only=False), terms)
    return share_out(
        wanted,
        lambda each: each.is_passing,
        threshold=threshold,
        withdrawn=lambda each: is_withdrawn(each.checks),
        service=service,
    )


def _find_failing(
    catalog: Catalog, lookups: Sequence[Lookup], terms: Terms, *, any_status: bool
) -> list[Instance]:
    """Those that the look-ups leave out for their health: all, or those that are no worse than warning."""
    found = []
    for lookup in lookups:
        for each in _wanted(catalog, msgspec.structs.replace(lookup, passing_only=False), terms):
            is_fit = any_status or all(check.record.status in (PASSING, WARNING) for check in each.checks)
            if is_fit and not is_withdrawn(each.checks):
                found.append(each)
    return found


def _wanted(catalog: Catalog, lookup: Lookup, terms: Terms) -> list[Instance]:
    found = find_instances(catalog, lookup)
    return found if terms.keeps is None else [each for each in found if terms.keeps(each)]
