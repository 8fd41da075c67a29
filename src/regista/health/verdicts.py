"""From what was found to what is published: thresholds first, then damping; and what people are told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.decide import KEEP, Hysteresis, Verdict, decide_status, has_thresholds
from regista.health.flapping import Flaps, decide_flaps, told_flapping, told_unconfirmed
from regista.health.observation import Observation
from regista.health.reaper import Reaper
from regista.health.settings import HealthSettings
from regista.health.statuses import Statuses, WatchedCheck, told
from regista.model import CRITICAL, Status, caused_by

logger = logging.getLogger(__name__)


class Verdicts:
    """Judges results of probes, and reports of services."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        statuses: Statuses,
        reaper: Reaper,
        counters: Counters,
        settings: HealthSettings,
        now_s: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self._catalog = catalog
        self._statuses = statuses
        self._reaper = reaper
        self._counters = counters
        self._settings = settings
        self._now_s = now_s
        self._wall_clock = wall_clock

    def judge(self, watched: WatchedCheck, observation: Observation) -> None:
        """Publishes what a probe's result comes to."""
        observed = observation.status
        watched.hysteresis, verdict = decide_status(watched.hysteresis, watched.definition, observed)
        before = watched.flaps = self._as_published(watched)
        self._note_flaps(watched, observed, verdict, is_held=True)
        flaps = watched.flaps
        if self._settings.flap_damping:
            if flaps.deserved != CRITICAL:
                # Held or not: a check that recovers between was not critical all the time.
                self._reaper.restart(watched.key, self._now_s())
            if verdict is KEEP and not (flaps.is_flapping or before.is_flapping):
                return
            verdict = flaps.shown
        elif verdict is KEEP:
            return
        elif verdict != CRITICAL:
            self._reaper.restart(watched.key, self._now_s())
        reason = f"its {watched.kind} probe found {observed}"
        if before.is_flapping and not flaps.is_flapping:
            reason = f"it flaps no more, and {reason}"
        cause = caused_by("check", source=watched.key, reason=reason)
        self._statuses.publish(watched, verdict, self._explained(flaps, observation.output), cause=cause)

    def judge_report(self, watched: WatchedCheck, reported: Status) -> Status | Literal[Verdict.KEEP]:
        """The status that a service's word for itself comes to: what it says, unless thresholds are set."""
        verdict: Status | Literal[Verdict.KEEP] = reported
        if has_thresholds(watched.definition):
            watched.hysteresis, verdict = decide_status(watched.hysteresis, watched.definition, reported)
        self._note_flaps(watched, reported, verdict, is_held=False)
        if verdict is not KEEP and verdict != CRITICAL:
            self._reaper.restart(watched.key, self._now_s())
        return verdict

    def note_silence(self, watched: WatchedCheck) -> None:
        """Counts the end of a TTL as a failure that needs no others beside it."""
        watched.hysteresis = Hysteresis(0, max(1, watched.definition.failures_before_critical))
        self._note_flaps(watched, CRITICAL, CRITICAL, is_held=False)

    def forget(self, watched: WatchedCheck) -> None:
        """Takes back what was said of a check that is watched no more, or anew."""
        if watched.flaps.is_flapping:
            self._mark(watched, "")

    def told_hold(self, watched: WatchedCheck) -> str:
        """Why another status than the last result's is shown, or a flapping check is watched; "" if neither."""
        flaps = watched.flaps
        if flaps.is_flapping:
            return self._told_flapping(watched)
        return told_unconfirmed(flaps) if flaps.is_held else ""

    def _as_published(self, watched: WatchedCheck) -> Flaps:
        """What is remembered of the check, with the status that the replica shows.

        A status that the store refused was never shown, and is no reason to hold a check.
        """
        flaps = watched.flaps
        entry = watched.entry_in(self._catalog)
        if (
            not self._settings.flap_damping
            or entry is None
            or entry.record.status == flaps.shown
            or self._statuses.is_flying(watched.key)
        ):
            return flaps
        return msgspec.structs.replace(flaps, shown=entry.record.status)

    def _explained(self, flaps: Flaps, output: str) -> str:
        """The output, after a line that says why something else is shown than it."""
        if flaps.is_flapping:
            return f"{self._told_probed(flaps)}\n{output}"
        return f"{told_unconfirmed(flaps)}\n{output}" if flaps.is_held else output

    def _note_flaps(
        self,
        watched: WatchedCheck,
        observed: Status,
        verdict: Status | Literal[Verdict.KEEP],
        *,
        is_held: bool,
    ) -> None:
        if not self._settings.flap_damping:
            return
        before = watched.flaps
        flaps = watched.flaps = decide_flaps(
            before,
            observed,
            verdict,
            is_held=is_held,
            high_percent=self._settings.flap_high_percent,
            low_percent=self._settings.flap_low_percent,
            now_s=self._wall_clock(),
        )
        if flaps.is_held:
            self._counters.withheld["flapping" if flaps.is_flapping else "unconfirmed"] += 1
        if flaps.is_flapping:
            self._mark(watched, self._told_flapping(watched))
        if flaps.is_flapping == before.is_flapping:
            return
        entry = watched.entry_in(self._catalog)
        name = told(entry.record) if entry is not None else watched.key
        if flaps.is_flapping:
            self._counters.flaps_started += 1
            logger.warning("%s: %s", name, self._told_flapping(watched))
        else:
            self._counters.flaps_ended += 1
            self._mark(watched, "")
            logger.info("%s flaps no more; it is %s", name, flaps.shown)

    def _mark(self, watched: WatchedCheck, sentence: str) -> None:
        entry = watched.entry_in(self._catalog)
        if entry is not None:
            self._catalog.set_mark("flapping", entry.record, sentence)

    def _told_flapping(self, watched: WatchedCheck) -> str:
        if watched.kind != "ttl":
            return self._told_probed(watched.flaps)
        return told_flapping(
            watched.flaps, what="reports", is_held=False, low_percent=self._settings.flap_low_percent
        )

    def _told_probed(self, flaps: Flaps) -> str:
        return told_flapping(flaps, what="results", is_held=True, low_percent=self._settings.flap_low_percent)
