"""Alerts: the rules that people write, what came of them, who is told, and who does not want to be."""

from __future__ import annotations

import hashlib
from typing import ClassVar

import msgspec

from regista.model.subscriptions import SET

HIDDEN = "***"
"""What shows of a part of a text that may be secret."""

Labels = dict[str, str]


class AlertRule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """When people are to be told of something; which fields a kind of rule takes is in `catalog.RULE_KINDS`.

    Attributes:
        rule_kind: what it looks at.
        service, node, check: names or patterns with `*` and `?`, in any case; "" for all.
        healthy_min: instances of a service that must be passing.
        share_min: the part of a service's instances that must be passing, from 0 to 1.
        file: of certificates (PEM), on the agent's machine.
        within_s: how long before its end a certificate is told of.
        for_s: for how long it must hold before it is told.
        annotations: texts for people, in which words in braces stand for what was found.
        group_by: alerts that agree in these labels are told together.
        channels: names of those who are told; empty for nobody.
    """

    kind: ClassVar[str] = "alert-rule"

    name: str
    rule_kind: str
    service: str = ""
    node: str = ""
    check: str = ""
    healthy_min: int | None = None
    share_min: float | None = None
    file: str = ""
    within_s: float = 0.0
    for_s: float = 0.0
    severity: str = "warning"
    labels: Labels | None = None
    annotations: dict[str, str] | None = None
    group_by: tuple[str, ...] = ("alertname",)
    channels: tuple[str, ...] = ()
    is_enabled: bool = True

    @property
    def key(self) -> str:
        """The record's key: the name, lower-cased."""
        return self.name.lower()


class Alert(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """That a rule held for something, from when it was told to its end; once more is another alert.

    Attributes:
        id: made by `alert_id`.
        rule: the rule's name.
        subject: what it held for, unique within the rule: a service, a check's key.
        sentence: what was found, when it fired.
        value: what the rule compares, when it fired.
        group_by, channels: the rule's, when it fired.
        since_s: when it began to hold; this and the next two in seconds since the epoch.
        fired_at_s: when it had held for as long as the rule says.
        resolved_at_s: when it held no more; 0 while it does.
        resolved_because: a sentence.
    """

    kind: ClassVar[str] = "alert"

    id: str
    rule: str
    subject: str
    labels: Labels
    annotations: dict[str, str] = {}
    sentence: str = ""
    value: float = 0.0
    group_by: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    since_s: float = 0.0
    fired_at_s: float = 0.0
    resolved_at_s: float = 0.0
    resolved_because: str = ""

    @property
    def key(self) -> str:
        """The record's key: the id."""
        return self.id

    @property
    def is_firing(self) -> bool:
        """Whether it has not been resolved."""
        return not self.resolved_at_s


def alert_id(rule: str, subject: str, fired_at_s: float) -> str:
    """The id of what began to fire then: 64 bits, so that it is short and in practice never given twice."""
    text = f"{rule.lower()}\n{subject}\n{fired_at_s:.3f}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class AlertNotice(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """What a channel was last told of a group of alerts.

    Attributes:
        group: the labels that its alerts agree in.
        told: the ids of alerts that it knows to fire.
        at_s: when, in seconds since the epoch.
    """

    kind: ClassVar[str] = "alert-notice"

    channel: str
    group: Labels
    told: tuple[str, ...] = ()
    at_s: float = 0.0

    @property
    def key(self) -> str:
        """The record's key, see `alert_group_key`."""
        return alert_group_key(self.channel, self.group)


def alert_group_key(channel: str, group: Labels) -> str:
    """The key of a channel's group: the channel, `/`, and a digest of the group's labels."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(group.items()))
    return f"{channel.lower()}/{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


class AlertMatcher(msgspec.Struct, frozen=True, gc=False):
    """A condition on one label.

    Attributes:
        operator: `=`, `!=`, `=~` or `!~`; the last two compare the whole value with a pattern.
    """

    label: str
    operator: str
    value: str


class AlertSilence(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """That nobody is to be told of alerts which meet all of these matchers, for a time.

    Attributes:
        starts_s, ends_s: in seconds since the epoch.
    """

    kind: ClassVar[str] = "alert-silence"

    id: str
    matchers: tuple[AlertMatcher, ...]
    starts_s: float
    ends_s: float
    author: str = ""
    comment: str = ""

    @property
    def key(self) -> str:
        """The record's key: the id."""
        return self.id


class AlertChannel(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A way of telling people.

    Attributes:
        channel_kind: `apprise`, `webhook` or `alertmanager`.
        url: as secret as a password where it is one of apprise's. Shown to nobody, see `shown_channel`.
        secret: what a webhook's deliveries are signed with.
        token: an Alertmanager's bearer token.
        tells_resolved: whether the end of an alert is told too.
    """

    kind: ClassVar[str] = "alert-channel"

    name: str
    channel_kind: str
    url: str
    secret: str = ""
    token: str = ""
    tells_resolved: bool = True

    @property
    def key(self) -> str:
        """The record's key: the name, lower-cased."""
        return self.name.lower()


def shown_channel(channel: AlertChannel) -> AlertChannel:
    """The channel as it may be shown, to anybody, in every place."""
    return msgspec.structs.replace(
        channel,
        url=shown_channel_url(channel),
        secret=SET if channel.secret else "",
        token=SET if channel.token else "",
    )


def shown_channel_url(channel: AlertChannel) -> str:
    """Of a URL, what is surely no secret.

    The parts of an Apprise URL are tokens, addresses and rooms in any order, and many webhooks have a token in the
    path.
    """
    scheme, slashes, rest = channel.url.partition("://")
    if not slashes:
        return HIDDEN
    if channel.channel_kind == "apprise":
        return f"{scheme}://{HIDDEN}"
    authority, slash, path = rest.partition("/")
    _, at_sign, host = authority.rpartition("@")
    shown = f"{scheme}://{HIDDEN + '@' if at_sign else ''}{host}"
    if channel.channel_kind == "alertmanager":
        return shown + slash + path.partition("?")[0]
    return f"{shown}/{HIDDEN}" if path else shown + slash


class AlertView(msgspec.Struct, frozen=True, gc=False):
    """An alert as it is now.

    Attributes:
        state: `pending`, `firing` or `resolved`.
        since_s, fired_at_s, resolved_at_s: in seconds since the epoch; 0 for not yet.
        silenced_by: ids of silences.
        is_written: whether the log has it as it is here; an alert about the store may have to wait for that.
    """

    id: str
    rule: str
    state: str
    labels: Labels
    annotations: dict[str, str]
    channels: tuple[str, ...]
    value: float
    sentence: str
    since_s: float
    fired_at_s: float
    resolved_at_s: float
    resolved_because: str
    silenced_by: tuple[str, ...]
    is_written: bool
