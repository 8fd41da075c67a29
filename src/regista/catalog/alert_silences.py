"""Which alerts nobody wants to be told of."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable

from regista.catalog.filter_patterns import PATTERN_CHARACTERS_MAX, compile_search
from regista.model import AlertMatcher, AlertSilence, BadInput, Labels

OPERATORS = ("=~", "!~", "!=", "=")
MATCHERS_MAX = 32

_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""As rules may have them, so that a slip such as `service~=web` is no silence that never meets anything."""


def check_silence(silence: AlertSilence) -> None:
    """Makes sure that a silence makes sense.

    Raises:
        BadInput: it does not; the field is named.
    """
    if not silence.matchers:
        raise BadInput("Invalid matchers: give at least one; alertname=~.+ is for all alerts", field="matchers")
    if len(silence.matchers) > MATCHERS_MAX:
        raise BadInput(f"Invalid matchers: there are {MATCHERS_MAX} at the most", field="matchers")
    if silence.ends_s <= silence.starts_s:
        raise BadInput("Invalid ends: it is not after starts", field="ends")
    for matcher in silence.matchers:
        if matcher.operator in ("=~", "!~"):
            if len(matcher.value) > PATTERN_CHARACTERS_MAX:
                raise BadInput(
                    f"Invalid matchers: a pattern has {PATTERN_CHARACTERS_MAX} characters at the most",
                    field="matchers",
                )
            try:
                _whole(matcher.value)
            except ValueError as error:
                raise BadInput(f"Invalid matchers: {matcher.label}: {error}", field="matchers") from None
    if all(_meets({}, matcher) for matcher in silence.matchers):
        # A slip in a label's name would silence everything. Source: Alertmanager 0.25 (behaviour).
        raise BadInput(
            "Invalid matchers: an alert without any of these labels meets them all, and so nearly every one does; "
            "add one that a value has to meet, as alertname=~.+",
            field="matchers",
        )


def parse_matcher(text: str) -> AlertMatcher:
    """A matcher such as `service=web` or `node=~db-.*`; quotes around the value may be there.

    Raises:
        BadInput: it is none.
    """
    found = [(text.find(operator), operator) for operator in OPERATORS if operator in text]
    at, operator = min(found, default=(0, ""), key=lambda each: (each[0], -len(each[1])))
    label, value = text[:at].strip(), text[at + len(operator) :].strip()
    if not operator or not _LABEL.fullmatch(label):
        raise BadInput(
            f'Invalid matchers: "{text[:64]}" is none; write label=value, label!=value, label=~pattern or '
            "label!~pattern; a label is of letters, digits and _, a digit not first",
            field="matchers",
        )
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    return AlertMatcher(label, operator, value)


def silenced_by(labels: Labels, silences: Iterable[AlertSilence], now_s: float) -> tuple[str, ...]:
    """The ids of the silences that an alert with these labels falls under now."""
    return tuple(
        silence.id
        for silence in silences
        if silence.starts_s <= now_s < silence.ends_s
        and all(_meets(labels, matcher) for matcher in silence.matchers)
    )


def _meets(labels: Labels, matcher: AlertMatcher) -> bool:
    value = labels.get(matcher.label, "")  # one that is missing is empty. Source: Alertmanager 0.25 (behaviour).
    if matcher.operator == "=":
        return value == matcher.value
    if matcher.operator == "!=":
        return value != matcher.value
    return _whole(matcher.value)(value) == (matcher.operator == "=~")


@functools.lru_cache(maxsize=256)  # as many patterns as people write silences with, not as there are alerts
def _whole(pattern: str) -> Callable[[str], bool]:
    return compile_search(f"^(?:{pattern})$")
