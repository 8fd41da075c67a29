"""What there is to count about health: probes, what is made of their results, and what silence ends."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from regista.agent.metric_shapes import counter, counters, counters_by_two, gauge, gauges, histogram
from regista.balance import OUTCOMES, RULES
from regista.catalog import STATES, Catalog, Tallies, add_counts
from regista.health import PROBED_KINDS, Scheduler
from regista.model import STATUSES
from regista.protocols.consul import Metric

_OTHER = "other"


class HealthMetrics:
    """Reads the scheduler's counters, and counts instances by how they are.

    Args:
        threshold_default: the panic threshold of services that have none of their own, in percent.
    """

    def __init__(self, catalog: Catalog, scheduler: Scheduler, *, threshold_default: float) -> None:
        self._catalog = catalog
        self._scheduler = scheduler
        self._tallies = Tallies(catalog, threshold_default=threshold_default)

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        yield from self._instances()
        yield from self._probes()
        yield from self._judgements()
        yield from self._silence()
        yield from self._reports()

    def _instances(self) -> Iterable[Metric]:
        catalog, health = self._catalog, self._scheduler.counters
        tallies = self._tallies.services().values()
        counts = add_counts(*(tally.instances for tally in tallies))
        states: dict[str, float] = {**dict(zip(STATES, counts, strict=True))}
        yield gauges("instances", "Instances by the worst that their checks say.", "state", states)
        panicking = sum(tally.is_panicking for tally in tallies)
        yield gauge("services_panicking", "Services with fewer passing instances than their threshold.", panicking)
        by_status = catalog.check_indexes.by_status
        checks = _bounded({status: len(by_status[status]) for status in by_status})
        yield gauges("catalog_checks", "Registered checks, by status.", "status", checks, (*STATUSES, _OTHER))
        text = "Changes of a check's status, by the new one."
        yield counters("transitions", text, "status", health.transitions, STATUSES)
        text = "Instances removed by this agent, by why."
        reasons = ("critical", "drain", "lease")
        yield counters("deregistrations", text, "reason", health.deregistrations, reasons)

    def _probes(self) -> Iterable[Metric]:
        health, listening = self._scheduler.counters, self._scheduler.listening
        yield counters_by_two(
            "probes",
            "Results of probes, by kind of check and status.",
            ("kind", "status"),
            health.probes,
            (PROBED_KINDS, STATUSES),
        )
        text = "How long after its moment each probe started."
        yield histogram("probe_lateness_seconds", text, health.lateness)
        yield counter("probes_late", "Probes that started over a second late.", health.late_starts)
        text = "Probes left out: the one before took too long, or the agent was away for an interval."
        yield counter("probe_slots_missed", text, health.slots_missed)
        yield counter("probes_ignored", "Failures found while the agent stalled.", health.probes_ignored)
        text = "Failures for want of something on this machine, such as open files."
        yield counter("probes_own_faults", text, health.own_faults)
        yield counter("stalls", "Times at which the agent came late to its work.", listening.stalls)
        text = "Time in which the agent was deaf, and which no service is charged with."
        yield counter("stalled_seconds", text, listening.stalled_s)

    def _judgements(self) -> Iterable[Metric]:
        catalog, health = self._catalog, self._scheduler.counters
        text = "Results after which another status was shown than they deserved, by why."
        reasons = ("flapping", "network", "unconfirmed")
        yield counters("results_withheld", text, "reason", health.withheld, reasons)
        yield gauge("checks_flapping", "Checks that change too often.", len(catalog.marks.of("flapping")))
        yield counter("flaps_started", "Checks that began to flap.", health.flaps_started)
        yield counter("flaps_ended", "Checks that flapped, and settled.", health.flaps_ended)
        is_abstaining = bool(self._scheduler.abstention)
        yield gauge("abstaining", "1 while the agent doubts its own network, else 0.", int(is_abstaining))
        yield counter("abstentions", "Times at which it began to.", health.abstentions)

    def _silence(self) -> Iterable[Metric]:
        """What ends by silence, and what is not believed to."""
        catalog, scheduler, health = self._catalog, self._scheduler, self._scheduler.counters
        owners = ("check", "service", "session")
        yield counters("expiries", "TTLs that ran out, by what had them.", "of", health.expiries, owners)
        text = "Instances and TTL checks that silence is to end, by how far that is."
        yield gauges("endings", text, "state", scheduler.endings_counts())
        text = "How long endings waited for the expiry rates."
        yield histogram("ending_wait_seconds", text, health.ending_waits)
        yield gauge("protections", "Mass losses that are not believed just now.", len(scheduler.protections()))
        text = "1 while mass losses are held back, 0 once an operator switched that off."
        yield gauge("protection_enabled", text, int(scheduler.is_protection_enabled))
        yield counter("protections_begun", "Mass losses that were not believed.", health.protections)
        yield counter("endings_held", "Endings that were held in one.", health.endings_held)
        yield counter("endings_survived", "Held endings whose instance was heard again.", health.endings_survived)
        yield counter("endings_confirmed", "Endings that something confirmed.", health.endings_confirmed)
        found = ("answers", "closed", "given-up", "no-port", "replaced")
        yield counters("verifications", "Ports dialled, by what was found.", "found", health.verifications, found)
        yield gauge("instances_suspect", "Instances that are silent and kept.", len(catalog.marks.of("suspect")))
        text = "Time in which the store took no writes, and which no service is charged with."
        yield counter("store_away_seconds", text, scheduler.hearing.away_s)

    def _reports(self) -> Iterable[Metric]:
        """What callers report, and what comes of it."""
        scheduler, health = self._scheduler, self._scheduler.counters
        text = "Requests that callers reported, by how they went."
        yield counters("reported_requests", text, "outcome", health.outcomes, OUTCOMES)
        yield counter("reports_unknown", "Reports of instances that are not known.", health.outcomes_unknown)
        text = "Instances taken out by reports, by rule."
        yield counters("ejections", text, "rule", health.ejections, RULES)
        yield gauge("ejected", "Instances that are out by reports.", scheduler.passive.ejected_count)
        yield gauge("drains", "Instances that drain.", scheduler.drains_count)


def _bounded(by_status: Mapping[str, float]) -> Mapping[str, float]:
    """The checks by status; those that the catalog's writers made up count as one."""
    found: collections.Counter[str] = collections.Counter()
    for status, count in by_status.items():
        found[status if status in STATUSES else _OTHER] += int(count)
    return found
