"""Telling channels of alerts: applies what `alert_notices` decides, and tries again what failed.

Each channel is sent one message at a time, in a task of its own, so one that hangs holds up no other.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from regista.catalog import Catalog, silenced_by
from regista.model import Alert, AlertChannel, AlertNotice, AlertSilence
from regista.notify.alert_channels import AlertSender
from regista.notify.alert_log import AlertLog
from regista.notify.alert_notices import Group, Timing, decide_groups, noted
from regista.notify.alert_settings import AlertSettings
from regista.notify.retries import Outcome, RetryPolicy, Tries, decide_retry

logger = logging.getLogger(__name__)


class ChannelState(msgspec.Struct):
    """How a channel is getting on.

    Attributes:
        sent, failed: messages since the start.
        problem: what went wrong the last time; "" if nothing did.
        told_at_s: when it was last told something, in seconds since the epoch; 0 for not since the start.
    """

    sent: int = 0
    failed: int = 0
    problem: str = ""
    told_at_s: float = 0.0


class _Failures(NamedTuple):
    """What was tried in vain with a group, and when it is to be tried again.

    Attributes:
        channel: as it was then.
    """

    channel: AlertChannel
    tries: Tries
    retry_s: float


class AlertTeller:
    """Who is told what.

    Args:
        retry: how patient to be; nothing is ever given up while there is something to tell.
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.
        jitter: from 0 to 1, at random.

    Attributes:
        states: by the channel's key.
    """

    def __init__(
        self,
        catalog: Catalog,
        log: AlertLog,
        sender: AlertSender,
        settings: AlertSettings,
        retry: RetryPolicy,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.states: collections.defaultdict[str, ChannelState] = collections.defaultdict(ChannelState)
        self._catalog = catalog
        self._log = log
        self._sender = sender
        self._retry = retry
        self._clock = clock
        self._wall_clock = wall_clock
        self._jitter = jitter
        self._usual = Timing(settings.group_wait_s, settings.group_interval_s, settings.repeat_interval_s)
        self._resending = Timing(0.0, 0.0, settings.resend_s)
        self._notices: dict[str, AlertNotice] = {}
        self._failures: dict[str, _Failures] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._is_dirty = True
        self._due_at_s = -math.inf
        self._retry_at_s = math.inf

    def start(self) -> None:
        """Takes over what the log knows of who was told what."""
        self._notices = {key: entry.record for key, entry in self._catalog.alerting.notices.items()}

    def take_over(self, notice: AlertNotice, *, is_gone: bool) -> bool:
        """Goes by what the log knows now of who was told what: a saved state may have been restored.

        Args:
            is_gone: whether the log knows it no more.

        Returns:
            Whether that is news; not where the log was only told what is known here.
        """
        if self._log.is_waiting(notice.key):
            return False
        if is_gone:
            self._notices.pop(notice.key, None)
        else:
            self._notices[notice.key] = notice
        self._is_dirty = True
        return True

    async def stop(self) -> None:
        """Sends no more; what is under way is sent again by whoever starts next."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def named(self) -> frozenset[str]:
        """The ids of alerts that some channel knows to fire."""
        return frozenset(each for notice in self._notices.values() for each in notice.told)

    def look_again(self) -> None:
        """Says that alerts, channels or silences changed."""
        self._is_dirty = True

    def tick(self, alerts: Callable[[], Iterable[Alert]]) -> None:
        """Starts to tell what is due.

        Args:
            alerts: all that fire, and those of `named` that ended.
        """
        at_s = self._wall_clock()
        if not self._is_dirty and at_s < self._due_at_s and self._clock() < self._retry_at_s:
            return
        self._is_dirty = False
        channels = {key: entry.record for key, entry in self._catalog.alerting.channels.items()}
        for key in [key for key, each in self._notices.items() if each.channel.lower() not in channels]:
            del self._notices[key]  # The record went with the channel.
        silences = self.silences()
        groups = decide_groups(
            alerts(),
            self._notices,
            channels,
            is_silenced=lambda alert: bool(silenced_by(alert.labels, silences, at_s)),
            timing_of=self._timing_of,
        )
        self._failures = {key: failures for key, failures in self._failures.items() if key in groups}
        self._due_at_s = next_change_s(silences, at_s)
        self._retry_at_s = math.inf
        for group in sorted(groups.values(), key=_due):
            self._consider(group, at_s)

    def silences(self) -> list[AlertSilence]:
        """Those there are, over or not."""
        return [entry.record for entry in self._catalog.alerting.silences.values()]

    async def test(self, group: Group) -> Outcome:
        """What comes of telling a channel of alerts that there are not; nothing of it is remembered."""
        return await self._sender.send(group, attempt=1)

    def _timing_of(self, channel: AlertChannel) -> Timing:
        return self._resending if channel.channel_kind == "alertmanager" else self._usual

    def _consider(self, group: Group, at_s: float) -> None:
        if group.channel.key in self._tasks:
            return  # When it is done, all is looked at again.
        if group.due_s > at_s:
            self._due_at_s = min(self._due_at_s, group.due_s)
            return
        tries, retry_s = self._tries_of(group)
        if retry_s > self._clock():
            self._retry_at_s = min(self._retry_at_s, retry_s)
            return
        task = asyncio.get_running_loop().create_task(self._tell(group, tries))
        self._tasks[group.channel.key] = task
        task.add_done_callback(lambda _: self._tasks.pop(group.channel.key))

    def _tries_of(self, group: Group) -> tuple[Tries, float]:
        """What was tried in vain, and when it is to be tried again; nothing where the channel is another now."""
        failures = self._failures.get(group.key)
        if failures is None or failures.channel != group.channel:
            return Tries(), -math.inf
        return failures.tries, failures.retry_s

    async def _tell(self, group: Group, tries: Tries) -> None:
        try:
            outcome = Outcome()
            if group.is_worth_telling:
                began_s = self._clock()
                outcome = await self._sender.send(group, attempt=tries.attempts + 1)
                self._count(group.channel, outcome)
                tries = tries.after(outcome, began_s=began_s)
            if outcome.is_delivered:
                self._note(group)
            else:
                self._put_off(group, tries, outcome)
        finally:
            self._is_dirty = True

    def _note(self, group: Group) -> None:
        self._failures.pop(group.key, None)
        notice = noted(group, at_s=self._wall_clock() if group.is_worth_telling else group.last_s)
        if notice.told:
            self._notices[group.key] = notice
            self._log.put_notice(group.key, notice)
        else:
            self._notices.pop(group.key, None)
            self._log.put_notice(group.key, None)

    def _put_off(self, group: Group, tries: Tries, outcome: Outcome) -> None:
        verdict = decide_retry(outcome, tries, now_s=self._clock(), jitter=self._jitter(), policy=self._retry)
        after_s = verdict.after_s if verdict.word == "again" else self._retry.most_s
        self._failures[group.key] = _Failures(group.channel, tries, self._clock() + after_s)

    def _count(self, channel: AlertChannel, outcome: Outcome) -> None:
        state = self.states[channel.key]
        if outcome.is_delivered:
            if state.problem:
                logger.info("alert channel %s takes messages again", channel.name)
            state.sent += 1
            state.told_at_s = self._wall_clock()
        else:
            if state.problem != outcome.problem:
                logger.warning(
                    "alert channel %s was not told, and will be again: %s", channel.name, outcome.problem
                )
            state.failed += 1
        state.problem = outcome.problem


def next_change_s(silences: Iterable[AlertSilence], at_s: float) -> float:
    """When the next silence begins or ends, in seconds since the epoch; infinite for never."""
    moments = (moment for each in silences for moment in (each.starts_s, each.ends_s) if moment > at_s)
    return min(moments, default=math.inf)


def _due(group: Group) -> float:
    return group.due_s
