"""Rules, channels and silences as somebody writes them: what is wrong with them is told by the name of its field.

What they mean is checked by those who keep them; here it is only whether they have the form. What is shown besides
is ignored, so that an answer can be sent back.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from regista.catalog import SEVERITIES, parse_matcher
from regista.model import (
    SET,
    AlertChannel,
    AlertMatcher,
    AlertRule,
    AlertSilence,
    format_duration,
    parse_duration_s,
    parse_point,
)
from regista.protocols.native.bodies import decode_body, invalid

BODY_BYTES_MAX = 256 * 1024
"""A rule at all its limits takes less."""

_DURATION_S_MAX = 366 * 86400.0
_URL_CHARACTERS_MAX = 4096
_TEXT_CHARACTERS_MAX = 1024
_CHANNELS_MAX = 32
_SECRET_CHARACTERS = range(16, 257)
"""As many random letters and digits can't be guessed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_CHANNEL_KINDS = ("apprise", "webhook", "alertmanager")


class _Rule(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    service: str = ""
    node: str = ""
    check: str = ""
    healthy_min: int | None = None
    share_min: float | None = None
    file: str = ""
    within: str = ""
    for_: str = msgspec.field(default="", name="for")
    severity: str = "warning"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    group_by: tuple[str, ...] = ("alertname",)
    channels: tuple[str, ...] = ()
    enabled: bool = True
    # Shown, and ignored.
    name: Any = None
    origin: Any = None
    text: Any = None
    pending: Any = None
    firing: Any = None


class _Channel(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    url: str
    secret: str = ""
    token: str = ""
    tells_resolved: bool = True
    # Shown, and ignored.
    name: Any = None
    sent: Any = None
    failed: Any = None
    problem: Any = None
    told_at: Any = None


class _Silence(msgspec.Struct, forbid_unknown_fields=True):
    matchers: tuple[str, ...]
    starts: str = ""
    ends: str = ""
    duration: str = ""
    author: str = ""
    comment: str = ""
    # Shown, and ignored.
    id: Any = None
    state: Any = None


_decode_rule = msgspec.json.Decoder(_Rule).decode
_decode_channel = msgspec.json.Decoder(_Channel).decode
_decode_silence = msgspec.json.Decoder(_Silence).decode


def decode_rule(body: bytes, name: str) -> AlertRule:
    """The rule in a body.

    Raises:
        BadInput: it has not the form; names the field.
    """
    found = decode_body(body, _decode_rule)
    if found.severity not in SEVERITIES:
        raise invalid("severity", f"it is one of {', '.join(SEVERITIES)}")
    if len(found.channels) > _CHANNELS_MAX or len(found.group_by) > _CHANNELS_MAX:
        field = "channels" if len(found.channels) > _CHANNELS_MAX else "group_by"
        raise invalid(field, f"there are {_CHANNELS_MAX} at the most")
    return AlertRule(
        name=name,
        rule_kind=found.kind,
        service=found.service,
        node=found.node,
        check=found.check,
        healthy_min=found.healthy_min,
        share_min=found.share_min,
        file=found.file,
        within_s=_seconds(found.within, "within"),
        for_s=_seconds(found.for_, "for"),
        severity=found.severity,
        labels=found.labels or None,
        annotations=found.annotations or None,
        group_by=found.group_by,
        channels=found.channels,
        is_enabled=found.enabled,
    )


def decode_channel(body: bytes, name: str) -> AlertChannel:
    """The channel in a body.

    Raises:
        BadInput: it has not the form; names the field, and never repeats what is in it.
    """
    found = decode_body(body, _decode_channel)
    if not _NAME.fullmatch(name):
        raise invalid("name", "letters, digits and _ . - make a name, 128 of them at the most")
    if found.kind not in _CHANNEL_KINDS:
        raise invalid("kind", f"it is one of {', '.join(_CHANNEL_KINDS)}")
    if not 0 < len(found.url) <= _URL_CHARACTERS_MAX or not found.url.isprintable():
        raise invalid("url", f"it has from 1 to {_URL_CHARACTERS_MAX} characters, all printable")
    for field, kind in (("secret", "webhook"), ("token", "alertmanager")):
        value = getattr(found, field)
        if value and found.kind != kind:
            raise invalid(field, f"only channels of the kind {kind} have one")
        if not value.isascii() or not value.isprintable() or len(value) > _URL_CHARACTERS_MAX:
            raise invalid(field, "it is of printable ASCII characters")
    if found.secret not in ("", SET) and len(found.secret) not in _SECRET_CHARACTERS:
        raise invalid("secret", f"it has from {_SECRET_CHARACTERS[0]} to {_SECRET_CHARACTERS[-1]} characters")
    return AlertChannel(
        name=name,
        channel_kind=found.kind,
        url=found.url,
        secret=found.secret,
        token=found.token,
        tells_resolved=found.tells_resolved,
    )


def decode_silence(body: bytes, silence_id: str, *, now_s: float) -> AlertSilence:
    """The silence in a body.

    Args:
        now_s: seconds since the epoch; when it starts, unless it says so.

    Raises:
        BadInput: it has not the form; names the field.
    """
    found = decode_body(body, _decode_silence)
    if not _NAME.fullmatch(silence_id):
        raise invalid("id", "letters, digits and _ . - make an id, 128 of them at the most")
    if bool(found.ends) == bool(found.duration):
        raise invalid("ends", "give either that, or duration")
    starts_s = _moment_s(found.starts, "starts") if found.starts else now_s
    ends_s = _moment_s(found.ends, "ends") if found.ends else starts_s + _seconds(found.duration, "duration")
    for field in ("author", "comment"):
        if len(getattr(found, field)) > _TEXT_CHARACTERS_MAX:
            raise invalid(field, f"it has {_TEXT_CHARACTERS_MAX} characters at the most")
    return AlertSilence(
        id=silence_id,
        matchers=tuple(parse_matcher(text) for text in found.matchers),
        starts_s=starts_s,
        ends_s=ends_s,
        author=found.author,
        comment=found.comment,
    )


def matcher_text(matcher: AlertMatcher) -> str:
    """A matcher as `parse_matcher` reads it."""
    return f"{matcher.label}{matcher.operator}{matcher.value}"


def duration_text(seconds: float) -> str:
    """A duration as it is written; "" for none."""
    return format_duration(seconds) if seconds else ""


def _seconds(text: str, field: str) -> float:
    if not text:
        return 0.0
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise invalid(field, f"{error}; write it as 90s, 5m or 72h") from None
    if not 0 <= seconds <= _DURATION_S_MAX:
        raise invalid(field, "it is from 0s to 366 days (8784h)")
    return seconds


def _moment_s(text: str, field: str) -> float:
    moment = parse_point(text, field=field)
    if isinstance(moment, int):
        raise invalid(field, "write a time with its zone such as 2026-11-24T07:08:09Z")
    return moment
