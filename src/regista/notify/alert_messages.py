"""What people and programs are sent of a group of alerts. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from regista.catalog import cloud_event, cut
from regista.model import Alert, format_time
from regista.notify.alert_notices import Group

ALERTS = "regista.alerts"
"""The type of a webhook's messages."""

POSTED_MAX = 500
"""Alerts in one request to an Alertmanager, some 300 KB; it takes several."""


def message_id(group: Group) -> str:
    """The same for each attempt to tell the same, and another once it was told."""
    parts = [
        group.key,
        f"{group.last_s:.3f}",
        *(each.id for each in group.firing),
        "",
        *(each.id for each in group.ended),
    ]
    return "alerts." + hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def title(group: Group) -> str:
    """What happened, in a line."""
    if group.firing:
        word, alerts = "FIRING", group.firing
        rest = f", {len(group.ended)} resolved" if group.ended and group.channel.tells_resolved else ""
    else:
        word, alerts, rest = "RESOLVED", group.ended, ""
    names = sorted({alert.rule for alert in alerts})
    shown = ", ".join(names[:3]) + ("…" if len(names) > 3 else "")
    of = " ".join(f"{name}={value}" for name, value in group.labels.items() if name != "alertname" and value)
    return _one_line(f"[{word}:{len(alerts)}] {shown}{' ' + of if of else ''}{rest}")


def text(group: Group, *, listed_max: int, link: str) -> str:
    """The alerts as lines."""
    lines = _lines("Firing", group.firing, listed_max)
    if group.channel.tells_resolved:
        lines += _lines("Resolved", group.ended, listed_max)
    return "\n".join((*lines, "", link)) if link else "\n".join(lines)


def webhook_body(group: Group, *, at_s: float, source: str, listed_max: int, link: str) -> bytes:
    """The alerts as a CloudEvent."""
    ended = group.ended if group.channel.tells_resolved else ()
    data = {
        "status": "firing" if group.firing else "resolved",
        "title": title(group),
        "channel": group.channel.name,
        "group": group.labels,
        "firing": [alert_object(each) for each in group.firing[:listed_max]],
        "resolved": [alert_object(each) for each in ended[:listed_max]],
        "left_out": max(0, len(group.firing) - listed_max) + max(0, len(ended) - listed_max),
        "url": link,
    }
    return cloud_event(message_id(group), ALERTS, data, at_s=at_s, source=source)


def alertmanager_bodies(group: Group, *, now_s: float, lasts_s: float, link: str) -> Sequence[bytes]:
    """The alerts as requests to an Alertmanager.

    Args:
        lasts_s: after how long it is to take those that fire for ended, unless it is told again.

    Source: Alertmanager 0.25, API v2; Prometheus, its sender of alerts (behaviour).
    """
    ended = group.ended if group.channel.tells_resolved else ()
    alerts = [
        {
            "labels": {name: value for name, value in alert.labels.items() if value},
            "annotations": alert.annotations,
            "startsAt": format_time(alert.fired_at_s),
            "endsAt": format_time(
                now_s + lasts_s if alert.is_firing else max(alert.resolved_at_s, alert.fired_at_s)
            ),
            "generatorURL": link,
        }
        for alert in (*group.firing, *ended)
    ]
    pieces = (alerts[first : first + POSTED_MAX] for first in range(0, len(alerts), POSTED_MAX))
    return [msgspec.json.encode(piece) for piece in pieces]


def alert_object(alert: Alert) -> dict[str, Any]:
    """An alert as JSON values."""
    return {
        "id": alert.id,
        "rule": alert.rule,
        "state": "firing" if alert.is_firing else "resolved",
        "labels": alert.labels,
        "annotations": alert.annotations,
        "value": alert.value,
        "sentence": alert.sentence,
        "since": format_time(alert.since_s),
        "fired_at": format_time(alert.fired_at_s),
        "resolved_at": None if alert.is_firing else format_time(alert.resolved_at_s),
    }


def _lines(head: str, alerts: Sequence[Alert], listed_max: int) -> list[str]:
    if not alerts:
        return []
    lines = [f"{head} ({len(alerts)}):"]
    lines += [f"- [{each.labels.get('severity', '')}] {_summary(each)}" for each in alerts[:listed_max]]
    if len(alerts) > listed_max:
        lines.append(f"… and {len(alerts) - listed_max} more")
    return lines


def _summary(alert: Alert) -> str:
    return _one_line(alert.annotations.get("summary") or alert.sentence)


def _one_line(words: str) -> str:
    return cut(" ".join(words.split()))


def listed(alerts: Iterable[Alert]) -> str:
    """The first of some alerts, and how many more there are, for the log."""
    first, *more = alerts
    return f"{_summary(first)} (and {len(more)} more)" if more else _summary(first)
