"""What becomes of an alert. Pure: facts and moments come in as arguments, `alert_engine` applies what comes out.

Theory of operation. A *rule* looks at *subjects* (services, checks, files), and *finds* something of each for
which it holds. What is found has to last for the rule's time:

    | state    | it holds                          | it does not hold     | the rule is gone, or off |
    | -------- | --------------------------------- | -------------------- | ------------------------ |
    | inactive | pending; firing if `for` is 0     |                      |                          |
    | pending  | firing once it held for `for`     | inactive             | inactive                 |
    | firing   |                                   | inactive: resolved   | inactive: resolved       |

Each way into and out of firing is a *transition*: an alert with its `fired_at_s`, and the same one with its
`resolved_at_s`. So an alert that fired is resolved once, and what holds again afterwards is another alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import msgspec

from regista.catalog import cut, fill_template
from regista.model import Alert, AlertRule, Labels, alert_id, format_time
from regista.notify.redaction import redact

Key: TypeAlias = tuple[str, str]
"""The key of a rule, and a subject."""


class Finding(msgspec.Struct, frozen=True, gc=False):
    """What a rule found of a subject for which it holds.

    Attributes:
        labels: those of the rule's kind.
        value: what the rule compares.
        words: for texts; those of the rule's kind.
        sentence: the same for people, whatever texts the rule has.
    """

    labels: Labels
    value: float
    words: dict[str, str]
    sentence: str


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of a subject for which a rule holds.

    Attributes:
        since_s: when it began to hold, by the monotonic clock.
        since_at_s: the same in seconds since the epoch, for people.
        finding: the latest.
        alert: as it fired; None while it is pending.
    """

    since_s: float
    since_at_s: float
    finding: Finding
    alert: Alert | None = None


class Decision(msgspec.Struct, frozen=True):
    """What changes.

    Attributes:
        standings: the new ones; None for subjects to be forgotten.
        transitions: alerts that began to fire, that ended, or whose rule sends them elsewhere now.
    """

    standings: dict[Key, Standing | None]
    transitions: list[Alert]


def decide_alerts(
    rules: Mapping[str, AlertRule],
    facts: Mapping[Key, Finding | None],
    standings: Mapping[Key, Standing],
    *,
    now_s: float,
    at_s: float,
) -> Decision:
    """What becomes of the subjects that there is news of.

    Args:
        rules: those in force, by key.
        facts: what was found now; None where the rule does not hold. Subjects that are missing stay as they are.
        now_s: by the monotonic clock.
        at_s: in seconds since the epoch.
    """
    changed: dict[Key, Standing | None] = {}
    transitions: list[Alert] = []
    for key, finding in facts.items():
        before = standings.get(key)
        after, transition = _decide(rules.get(key[0]), key[1], before, finding, now_s=now_s, at_s=at_s)
        if after is not before:
            changed[key] = after
        if transition is not None:
            transitions.append(transition)
    return Decision(changed, transitions)


def due_s(rules: Mapping[str, AlertRule], standings: Iterable[tuple[Key, Standing]]) -> float:
    """When the first of these will fire if nothing changes, by the monotonic clock; infinite for never."""
    found = (
        standing.since_s + rules[key[0]].for_s
        for key, standing in standings
        if standing.alert is None and key[0] in rules
    )
    return min(found, default=float("inf"))


def adopt(alert: Alert, *, now_s: float) -> Standing:
    """What is remembered of an alert that fired before the agent started."""
    return Standing(now_s, alert.since_s, Finding(alert.labels, alert.value, {}, alert.sentence), alert)


def _decide(
    rule: AlertRule | None,
    subject: str,
    before: Standing | None,
    finding: Finding | None,
    *,
    now_s: float,
    at_s: float,
) -> tuple[Standing | None, Alert | None]:
    """One cell of the table at the top."""
    if rule is None or not rule.is_enabled or finding is None:
        if before is None or before.alert is None:
            return None, None
        because = "the rule is gone or off" if rule is None or not rule.is_enabled else "it holds no more"
        return None, msgspec.structs.replace(before.alert, resolved_at_s=at_s, resolved_because=because)
    if before is None:
        standing = Standing(now_s, at_s, finding)
    elif before.finding == finding:
        standing = before
    else:
        standing = msgspec.structs.replace(before, finding=finding)
    if standing.alert is not None:
        return _follow_rule(rule, standing)
    if now_s - standing.since_s < rule.for_s:
        return standing, None
    alert = _fire(rule, subject, standing, at_s)
    return msgspec.structs.replace(standing, alert=alert), alert


def _follow_rule(rule: AlertRule, standing: Standing) -> tuple[Standing, Alert | None]:
    """A firing alert, sent where the rule says now."""
    alert = standing.alert
    assert alert is not None
    if alert.channels == rule.channels and alert.group_by == rule.group_by:
        return standing, None
    moved = msgspec.structs.replace(alert, channels=rule.channels, group_by=rule.group_by)
    return msgspec.structs.replace(standing, alert=moved), moved


def _fire(rule: AlertRule, subject: str, standing: Standing, at_s: float) -> Alert:
    finding = standing.finding
    return Alert(
        id=alert_id(rule.name, subject, at_s),
        rule=rule.name,
        subject=subject,
        labels=rule_labels(rule, finding),
        annotations=rule_annotations(rule, finding, since_at_s=standing.since_at_s),
        sentence=told(finding),
        value=finding.value,
        group_by=rule.group_by,
        channels=rule.channels,
        since_s=standing.since_at_s,
        fired_at_s=at_s,
    )


def rule_labels(rule: AlertRule, finding: Finding) -> Labels:
    """The labels of an alert."""
    return {"alertname": rule.name, "severity": rule.severity, **(rule.labels or {}), **finding.labels}


def rule_annotations(rule: AlertRule, finding: Finding, *, since_at_s: float) -> dict[str, str]:
    """The texts of an alert, with a `summary` in any case. One that can't be filled in is the plain sentence."""
    words = {
        **finding.words,
        "rule": rule.name,
        "severity": rule.severity,
        "value": f"{finding.value:g}",
        "sentence": finding.sentence,
        "since": format_time(since_at_s),
    }
    found = {}
    for name, text in {"summary": "{sentence}", **(rule.annotations or {})}.items():
        try:
            found[name] = redact(fill_template(text, words))
        except KeyError:
            # The rule was checked when it was written, but by a version that knew other words.
            found[name] = told(finding)
    return found


def told(finding: Finding) -> str:
    """The plain sentence."""
    return cut(redact(finding.sentence))
