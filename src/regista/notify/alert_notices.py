"""Who is to be told what, and when. Pure: the facts are alerts, and what each channel was told last.

Theory of operation. For each channel, alerts that agree in the labels of their `group_by` are a *group*, and are
told
together: a machine that dies with a thousand instances is one message. A channel's group is due

    | it knows of                | and there is              | at                                      |
    | -------------------------- | ------------------------- | --------------------------------------- |
    | nothing that fires         | an alert that fires       | the first one's firing + `wait_s`       |
    | alerts that fire           | another one, or one ended | the last message + `interval_s`         |
    | alerts that fire           | nothing new               | the last message + `repeat_s`           |

All of it follows from records, so a restart loses and repeats nothing but what was sent and could not be noted.

Silenced alerts are left out of messages. The end of one that was told before it was silenced is told all the same,
for somebody may be at work on it.

Source: Alertmanager 0.25, routing (behaviour).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import msgspec

from regista.model import Alert, AlertChannel, AlertNotice, Labels, alert_group_key


class Timing(msgspec.Struct, frozen=True):
    """How long a channel's groups wait, see the table at the top."""

    wait_s: float
    interval_s: float
    repeat_s: float


class Group(msgspec.Struct, frozen=True):
    """A channel's group of alerts, and what there is to tell of it.

    Attributes:
        labels: those that its alerts agree in.
        firing: all that fire and are not silenced, oldest first.
        ended: those that the channel knows to fire, and that do no more, or are told to others now.
        quiet: ids that the channel knows to fire, and that still do but are silenced.
        last_s: when it was told last; 0 for never.
        due_s: when it is to be told, in seconds since the epoch; infinite for never.
    """

    channel: AlertChannel
    labels: Labels
    firing: tuple[Alert, ...]
    ended: tuple[Alert, ...]
    quiet: tuple[str, ...]
    last_s: float
    due_s: float

    @property
    def key(self) -> str:
        """See `alert_group_key`."""
        return alert_group_key(self.channel.name, self.labels)

    @property
    def is_worth_telling(self) -> bool:
        """Whether a message is to be sent; if not, it is only to be noted that alerts ended."""
        return bool(self.firing) or (bool(self.ended) and self.channel.tells_resolved)


def decide_groups(
    alerts: Iterable[Alert],
    notices: Mapping[str, AlertNotice],
    channels: Mapping[str, AlertChannel],
    *,
    is_silenced: Callable[[Alert], bool],
    timing_of: Callable[[AlertChannel], Timing],
) -> dict[str, Group]:
    """The groups of all channels, by key.

    Args:
        alerts: all that fire, and of those that ended at least the ones that notices name.
        notices: by key.
        channels: by key.
    """
    drafts: dict[str, _Draft] = {}
    by_id: dict[str, Alert] = {}
    for alert in alerts:
        by_id[alert.id] = alert
        if not alert.is_firing:
            continue
        for name in alert.channels:
            channel = channels.get(name.lower())
            if channel is not None:
                labels = group_labels(channel, alert)
                key = alert_group_key(channel.name, labels)
                drafts.setdefault(key, _Draft(channel, labels)).alerts.append(alert)
    for key, notice in notices.items():
        channel = channels.get(notice.channel.lower())
        if channel is not None:
            drafts.setdefault(key, _Draft(channel, notice.group)).notice = notice
    return {
        key: draft.group(by_id, is_silenced=is_silenced, timing=timing_of(draft.channel))
        for key, draft in drafts.items()
    }


def group_labels(channel: AlertChannel, alert: Alert) -> Labels:
    """What an alert's group agrees in. An Alertmanager groups by itself, so all of its alerts are one."""
    if channel.channel_kind == "alertmanager":
        return {}
    return {name: alert.labels.get(name, "") for name in alert.group_by}


def noted(group: Group, *, at_s: float) -> AlertNotice:
    """What the channel knows once it was told; of nothing that fires if `told` is empty.

    Args:
        at_s: when, in seconds since the epoch.
    """
    told = (*(alert.id for alert in group.firing), *group.quiet)
    return AlertNotice(channel=group.channel.name, group=group.labels, told=told, at_s=at_s)


class _Draft:
    """A group in the making."""

    def __init__(self, channel: AlertChannel, labels: Labels) -> None:
        self.channel = channel
        self.labels = labels
        self.alerts: list[Alert] = []
        self.notice: AlertNotice | None = None

    def group(self, by_id: Mapping[str, Alert], *, is_silenced: Callable[[Alert], bool], timing: Timing) -> Group:
        told = frozenset(self.notice.told) if self.notice else frozenset()
        firing, quiet = [], []
        for alert in self.alerts:
            if not is_silenced(alert):
                firing.append(alert)
            elif alert.id in told:
                quiet.append(alert.id)
        firing.sort(key=_age)
        ended, is_lost = [], False
        for alert_id in told.difference(alert.id for alert in self.alerts):
            known = by_id.get(alert_id)
            if known is None:
                is_lost = True  # One that is not known any more can't be told of.
            elif not self._is_in_another_group(known):
                ended.append(known)  # One that is told to another channel now has ended here.
            elif is_silenced(known):
                quiet.append(alert_id)  # Its other group was not told of it, so its end is to be told here.
            else:
                is_lost = True  # Its other group tells of it; that it was resolved would be a lie.
        ended.sort(key=_age)
        is_news = bool(ended) or is_lost or any(alert.id not in told for alert in firing)
        at_s = self.notice.at_s if self.notice else 0.0
        if not told:
            due_s = min((alert.fired_at_s for alert in firing), default=math.inf) + timing.wait_s
        elif is_news:
            due_s = at_s + timing.interval_s
        else:
            due_s = at_s + timing.repeat_s if firing else math.inf
        return Group(self.channel, self.labels, tuple(firing), tuple(ended), tuple(quiet), at_s, due_s)

    def _is_in_another_group(self, alert: Alert) -> bool:
        """Whether an alert that is not of this group fires, and this channel is told of it all the same."""
        return alert.is_firing and self.channel.key in (name.lower() for name in alert.channels)


def _age(alert: Alert) -> tuple[float, str]:
    return alert.fired_at_s, alert.id
