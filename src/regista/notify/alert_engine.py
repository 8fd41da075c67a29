"""Alerts: looks whether rules hold, remembers for how long, writes what comes of it, and has it told.

What is decided is decided in `alert_decide` and `alert_notices`; this applies it, at a steady beat. Between two
beats it only remembers what the log's batches touched. Alerts that fire are records; how long something has been
pending is remembered by this process alone, so after a restart it has to hold for the rule's whole time again.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import logging
from collections.abc import Callable, Iterable

import msgspec

from regista.catalog import Catalog, forget_alerts, silenced_by
from regista.model import (
    Alert,
    AlertChannel,
    AlertNotice,
    AlertRule,
    AlertSilence,
    AlertView,
    Batch,
    Delete,
    RegistaError,
    caused_by,
)
from regista.notify.alert_channels import AlertSender
from regista.notify.alert_decide import (
    Finding,
    Key,
    Standing,
    adopt,
    decide_alerts,
    rule_annotations,
    rule_labels,
    told,
)
from regista.notify.alert_facts import Touched
from regista.notify.alert_log import AlertLog, Writer
from regista.notify.alert_messages import listed
from regista.notify.alert_rulebook import Rulebook, rules_in_force
from regista.notify.alert_settings import AlertSettings
from regista.notify.alert_teller import AlertTeller
from regista.notify.alert_watchers import Findings, Sources
from regista.notify.retries import RetryPolicy

logger = logging.getLogger(__name__)

_WRITE_PATIENCE_S = 5.0
"""An alert is told once the log has it, so that one that was told is never lost; if the store does not take it for
so long, it is told all the same."""

_HOUSEKEEPING_S = 60.0

_LEFT_OUT_MAX = 100_000
"""Of how much of one rule it is known that it is not followed: how much more there is changes nothing."""

_TELLING_KINDS = (AlertChannel.kind, AlertSilence.kind)


class AlertEngine:
    """The alerts of one agent.

    Args:
        sources: where rules look.
        listening: monotonic seconds in which the agent could listen; what is pending counts by them.
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.
        jitter: from 0 to 1, at random.

    Attributes:
        teller: tells channels what there is to tell.
    """

    def __init__(
        self,
        writer: Writer,
        sender: AlertSender,
        settings: AlertSettings,
        retry: RetryPolicy,
        sources: Sources,
        *,
        listening: Callable[[], float],
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._catalog: Catalog = sources.catalog
        self._writer = writer
        self._settings = settings
        self._listening = listening
        self._wall_clock = sources.wall_clock
        self._standings: dict[Key, Standing] = {}
        self._subjects: collections.defaultdict[str, set[str]] = collections.defaultdict(set)
        self._pending: set[Key] = set()
        self._ended: dict[str, Alert] = {}
        # What was found that there was no room for, by rule; and how much room is left in this beat.
        self._starved: dict[str, set[str]] = {}
        self._room = 0
        self._are_rules_new = True
        self._are_records_new = True
        self._rulebook = Rulebook(sources, certificates_s=settings.certificates_s)
        self._log = AlertLog(writer, clock=clock, on_written=self._on_written)
        self.teller = AlertTeller(
            self._catalog,
            self._log,
            sender,
            settings,
            retry,
            clock=clock,
            wall_clock=sources.wall_clock,
            jitter=jitter,
        )
        self._tasks: list[asyncio.Task[None]] = []

    # ---- life ----

    def start(self) -> None:
        """Takes over what the log knows, and begins; from the running loop."""
        self.load()
        self._catalog.subscribe(self._on_batch)
        chores = (
            self._keep_looking(),
            self._log.keep_writing(),
            self._rulebook.certificates.keep_reading(),
            self._keep_house(),
        )
        self._tasks = [asyncio.create_task(chore) for chore in chores]

    async def stop(self) -> None:
        """Ends; what is not written or told yet, is found again by whoever starts next."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.teller.stop()

    def load(self) -> None:
        """Takes over what the log knows."""
        self.teller.start()
        self._load_ended()

    def _load_ended(self) -> None:
        """Remembers those that the log knows to have ended, and some channel does not."""
        named = self.teller.named
        for entry in self._catalog.alerting.alerts.values():
            if not entry.record.is_firing and entry.record.id in named:
                self._ended[entry.record.id] = entry.record

    async def _keep_looking(self) -> None:
        while True:
            try:
                self.tick()
            except Exception:
                # One beat with a mistake of ours in it must not be the end of all alerting.
                logger.exception("alerts could not be looked at; they will be again")
            await asyncio.sleep(self._settings.interval_s)

    async def _keep_house(self) -> None:
        """Forgets old alerts, again and again."""
        while True:
            await asyncio.sleep(_HOUSEKEEPING_S)
            before_s = self._wall_clock() - self._settings.history_s
            plan = functools.partial(forget_alerts, before_s=before_s, keep_max=self._settings.history_max)
            try:
                await self._writer.write(plan, cause=caused_by("server", reason="forgets old alerts"))
            except RegistaError as error:
                logger.warning("old alerts are kept for now: %s", error)

    # ---- looking ----

    def tick(self) -> None:
        """One beat: looks, decides, has written and told what is due."""
        now_s, at_s = self._listening(), self._wall_clock()
        if self._are_records_new:
            self._adopt_records(now_s)
        facts: dict[Key, Finding | None] = {}
        if self._are_rules_new:
            self._are_rules_new = False
            rules = rules_in_force(self._catalog, has_defaults=self._settings.default_rules)
            gone = self._rulebook.replace(rules)
            for key in gone:
                self._starved.pop(key, None)
            for key in {*gone, *(self._subjects.keys() - self._rulebook.rules.keys())}:
                facts.update({(key, subject): None for subject in self._subjects.get(key, ())})
        if self._starved and len(self._standings) < self._settings.active_max:
            self._rulebook.look_at_all(self._starved)
            self._starved = {}
        self._room = self._settings.active_max - len(self._standings)
        for key, findings, is_whole in self._rulebook.look():
            self._gather(facts, key, findings, is_whole=is_whole)
        for pending in self._pending:
            facts.setdefault(pending, self._standings[pending].finding)
        decision = decide_alerts(self._rulebook.rules, facts, self._standings, now_s=now_s, at_s=at_s)
        for each, standing in decision.standings.items():
            self._keep(each, standing)
        if decision.transitions:
            self._announce(decision.transitions)
        waiting_s = self._log.waiting_s
        if waiting_s is None or waiting_s > _WRITE_PATIENCE_S:
            self.teller.tick(self._told_alerts)

    def _gather(self, facts: dict[Key, Finding | None], key: str, findings: Findings, *, is_whole: bool) -> None:
        """Adds what a rule found, as far as there is room for it."""
        starved = self._starved.pop(key, set())
        if is_whole:
            starved = set()
        for subject, finding in findings.items():
            starved.discard(subject)
            if (key, subject) not in self._standings:
                if finding is None:
                    continue
                if self._room <= 0:
                    if len(starved) < _LEFT_OUT_MAX:
                        starved.add(subject)
                    continue
                self._room -= 1
            facts[key, subject] = finding
        if starved:
            self._starved[key] = starved
        if is_whole:
            for subject in self._subjects[key] - findings.keys():
                facts[key, subject] = None

    def _keep(self, key: Key, standing: Standing | None) -> None:
        rule, subject = key
        self._pending.discard(key)
        if standing is None:
            self._standings.pop(key, None)
            self._subjects[rule].discard(subject)
            return
        self._standings[key] = standing
        self._subjects[rule].add(subject)
        if standing.alert is None:
            self._pending.add(key)

    def _announce(self, transitions: list[Alert]) -> None:
        known = {alert.id for alert in transitions if self._is_known(alert)}
        self._log.put(transitions)
        self.teller.look_again()
        named = self.teller.named
        self._ended = {key: alert for key, alert in self._ended.items() if key in named}
        self._ended.update((alert.id, alert) for alert in transitions if not alert.is_firing)
        by_rule: collections.defaultdict[tuple[str, bool, bool], list[Alert]] = collections.defaultdict(list)
        for alert in transitions:
            by_rule[alert.rule, alert.is_firing, alert.id in known].append(alert)
        for (rule, is_firing, is_known), alerts in by_rule.items():
            if not is_firing:
                logger.info("alert %s: %d resolved: %s", rule, len(alerts), listed(alerts))
            elif is_known:
                logger.info("alert %s: %d that fire are told as the rule says now", rule, len(alerts))
            else:
                logger.warning("alert %s: %d fire: %s", rule, len(alerts), listed(alerts))

    def _is_known(self, alert: Alert) -> bool:
        """Whether it was announced before: the log has it, or is about to."""
        return alert.key in self._catalog.alerting.alerts or not self._log.is_written(alert)

    def _adopt_records(self, now_s: float) -> None:
        """Takes over alerts that fire in the log and are not known here: from before the start, or restored."""
        self._are_records_new = False
        self._load_ended()
        known = {standing.alert.id for standing in self._standings.values() if standing.alert is not None}
        for entry in self._catalog.alerting.alerts.values():
            alert = entry.record
            if not alert.is_firing or alert.id in known or not self._log.is_written(alert):
                continue
            if alert.id in self._ended:
                # Restored as it was before its end, which nobody would write once more.
                self._log.put([self._ended[alert.id]])
                continue
            key = alert.rule.lower(), alert.subject
            held = self._standings.get(key)
            if held is not None and held.alert is not None:
                # Two of one subject can only come from a restored state; the one that is known here goes on.
                at_s, because = self._wall_clock(), "it was restored, and another fires"
                self._announce([msgspec.structs.replace(alert, resolved_at_s=at_s, resolved_because=because)])
                continue
            self._keep(key, adopt(alert, now_s=now_s))
            self._rulebook.look_at_all([key[0]])

    def _told_alerts(self) -> Iterable[Alert]:
        firing = [standing.alert for standing in self._standings.values() if standing.alert is not None]
        return (*firing, *self._ended.values())

    def _on_written(self) -> None:
        self.teller.look_again()

    def _on_batch(self, batch: Batch) -> None:
        self._rulebook.note(lambda touched: self._note(touched, batch))
        for change in batch.changes:
            kind = change.record.kind
            if kind == AlertRule.kind:
                self._are_rules_new = True
            elif kind == Alert.kind:
                self._are_records_new = True
            elif isinstance(change.record, AlertNotice):
                if self.teller.take_over(change.record, is_gone=isinstance(change, Delete)):
                    self._are_records_new = True
            elif kind in _TELLING_KINDS:
                self.teller.look_again()

    def _note(self, touched: Touched, batch: Batch) -> None:
        touched.note(self._catalog, batch)

    # ---- for who asks ----

    @property
    def left_out(self) -> int:
        """How much was found that is so, and is not followed for want of room."""
        return sum(len(subjects) for subjects in self._starved.values())

    def views(self) -> list[AlertView]:
        """The alerts that are pending or fire, as they are now."""
        at_s, silences = self._wall_clock(), self.teller.silences()
        return [
            self._view(key, standing, silences, at_s)
            for key, standing in self._standings.items()
            if key[0] in self._rulebook.rules or standing.alert is not None
        ]

    def _view(self, key: Key, standing: Standing, silences: list[AlertSilence], at_s: float) -> AlertView:
        alert, finding = standing.alert, standing.finding
        if alert is None:
            rule = self._rulebook.rules[key[0]]
            labels = rule_labels(rule, finding)
            annotations = rule_annotations(rule, finding, since_at_s=standing.since_at_s)
            name, channels = rule.name, rule.channels
        else:
            labels, annotations, name, channels = alert.labels, alert.annotations, alert.rule, alert.channels
        return AlertView(
            id=alert.id if alert else "",
            rule=name,
            state="firing" if alert else "pending",
            labels=labels,
            annotations=annotations,
            channels=channels,
            value=finding.value,
            sentence=told(finding),
            since_s=standing.since_at_s,
            fired_at_s=alert.fired_at_s if alert else 0.0,
            resolved_at_s=0.0,
            resolved_because="",
            silenced_by=silenced_by(labels, silences, at_s),
            is_written=alert is None or self._log.is_written(alert),
        )

    def counts(self) -> dict[str, int]:
        """How many alerts are pending and firing."""
        pending = len(self._pending)
        return {"firing": len(self._standings) - pending, "pending": pending}
