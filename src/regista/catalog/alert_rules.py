"""The kinds of alert rules: the fields that each takes, the labels of its alerts, the words for its texts.

A new kind is an entry here, and what looks for it (`notify.alert_watchers`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from regista.catalog.alert_templates import check_template
from regista.model import AlertRule, BadInput

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
"""Of rules and channels: what stands in a path and in a label without quotes."""

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}")
"""Source: Prometheus, label names."""

SEVERITIES = ("info", "warning", "critical")

LABELS_MAX = 32
TEXT_CHARACTERS_MAX = 2048
"""Of a label's value or a template; enough for a paragraph."""

_COMMON_WORDS = ("rule", "severity", "value", "sentence", "since")


class RuleKind(msgspec.Struct, frozen=True):
    """What a kind of rule looks at.

    Attributes:
        text: when it holds, in a line.
        required: fields that must be given.
        optional: fields that may be.
        labels: those that its alerts get besides `alertname`, `severity` and the rule's own.
        words: those that texts may use, besides those that all know.
    """

    text: str
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    words: tuple[str, ...] = ()

    @property
    def all_words(self) -> tuple[str, ...]:
        """The words that texts may use."""
        return (*_COMMON_WORDS, *self.words)


_OF_CHECK = ("service", "instance", "node", "check")

RULE_KINDS: Mapping[str, RuleKind] = MappingProxyType(
    {
        "service_healthy_below": RuleKind(
            "a service has fewer passing instances than it should",
            required=("service",),
            optional=("healthy_min", "share_min"),
            labels=("service",),
            words=("service", "healthy", "of", "share", "wanted"),
        ),
        "check_critical_for": RuleKind(
            "a check is critical",
            required=("for",),
            optional=("service", "node", "check"),
            labels=_OF_CHECK,
            words=(*_OF_CHECK, "name", "output"),
        ),
        "flapping": RuleKind(
            "a check changes too often",
            optional=("service", "node", "check"),
            labels=_OF_CHECK,
            words=(*_OF_CHECK, "name", "why"),
        ),
        "protection_on": RuleKind(
            "instances that fell silent together are kept",
            optional=("service",),
            labels=("service",),
            words=("service", "held", "of", "share", "limit", "command"),
        ),
        "store_unreachable": RuleKind("the agent can't write to its store", words=("seconds",)),
        "certificate_expires_within": RuleKind(
            "a certificate in a file ends soon, has ended, or can't be read",
            required=("file", "within"),
            labels=("file",),
            words=("file", "days", "expires"),
        ),
    }
)

DEFAULT_RULES = (
    AlertRule(
        name="regista-protection",
        rule_kind="protection_on",
        severity="warning",
        annotations={"summary": "{held} of {of} silent instances are kept"},
    ),
    AlertRule(
        name="regista-store",
        rule_kind="store_unreachable",
        severity="critical",
        annotations={"summary": "The registry could write nothing for {seconds} s"},
    ),
)
"""What every agent has without being told; their alerts go to nobody until somebody writes them with channels."""

FIELD_OF = MappingProxyType({"for": "for_s", "within": "within_s"})
"""Fields that are called otherwise in the record."""


def check_rule(rule: AlertRule) -> None:
    """Makes sure that a rule makes sense by itself.

    Raises:
        BadInput: it does not; the field is as in `RULE_KINDS`.
    """
    kind = RULE_KINDS.get(rule.rule_kind)
    if kind is None:
        raise _bad("kind", f"it is one of {', '.join(RULE_KINDS)}")
    if not NAME.fullmatch(rule.name):
        raise _bad(
            "name", "letters, digits and _ . - make a name, 128 of them at the most, a letter or digit first"
        )
    if rule.severity not in SEVERITIES:
        raise _bad("severity", f"it is one of {', '.join(SEVERITIES)}")
    _check_fields(rule, kind)
    _check_labels(rule, kind)
    for name, text in (rule.annotations or {}).items():
        field = f"annotations.{name}"
        if not LABEL.fullmatch(name):
            raise _bad("annotations", "their names are of letters, digits and _, a digit not first")
        _check_text(text, field)
        check_template(text, kind.all_words, field=field)
    known = {"alertname", "severity", *kind.labels, *(rule.labels or {})}
    for label in rule.group_by:
        if label not in known:
            raise _bad("group_by", f"alerts of this rule have the labels {', '.join(sorted(known))}")


def _check_fields(rule: AlertRule, kind: RuleKind) -> None:
    for name in ("service", "node", "check", "healthy_min", "share_min", "file", "within", "for"):
        field = FIELD_OF.get(name, name)
        value, default = getattr(rule, field), _DEFAULTS[field]
        if name in kind.required and value == default:
            raise _bad(name, f"a rule of the kind {rule.rule_kind} needs it")
        if value != default and name not in (*kind.required, *kind.optional, "for"):
            raise _bad(name, f"a rule of the kind {rule.rule_kind} has no such field")
        if isinstance(value, str):
            _check_text(value, name)
    if rule.rule_kind == "service_healthy_below":
        if (rule.healthy_min is None) == (rule.share_min is None):
            raise _bad("healthy_min", "give either that, or share_min")
        if rule.healthy_min is not None and rule.healthy_min < 1:
            raise _bad("healthy_min", "it is 1 at the least")
        if rule.share_min is not None and not 0 < rule.share_min <= 1:
            raise _bad("share_min", "it is above 0, and 1 at the most")


_DEFAULTS = {
    field.encode_name: field.default
    for field in msgspec.structs.fields(AlertRule)
    if field.default is not msgspec.NODEFAULT
}


def _check_labels(rule: AlertRule, kind: RuleKind) -> None:
    labels = rule.labels or {}
    if len(labels) > LABELS_MAX or len(rule.annotations or {}) > LABELS_MAX:
        raise _bad("labels" if len(labels) > LABELS_MAX else "annotations", f"there are {LABELS_MAX} at the most")
    for name, value in labels.items():
        if not LABEL.fullmatch(name):
            raise _bad("labels", "their names are of letters, digits and _, a digit not first")
        if name in ("alertname", "severity", *kind.labels):
            raise _bad(f"labels.{name}", "every alert of this kind gets it by itself")
        _check_text(value, f"labels.{name}")


def _check_text(text: str, field: str) -> None:
    if len(text) > TEXT_CHARACTERS_MAX:
        raise _bad(field, f"it has {len(text)} characters; {TEXT_CHARACTERS_MAX} are the most")
    if not text.isprintable() and not field.startswith("annotations."):
        raise _bad(field, "it has control characters")


def _bad(field: str, problem: str) -> BadInput:
    return BadInput(f"Invalid {field}: {problem}", field=field)
