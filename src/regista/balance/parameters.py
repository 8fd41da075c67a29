"""What an outlier is, and how long it stays out: Envoy's parameters by Envoy's names, with Envoy's defaults.

Envoy has no rule for latency; the `latency_…` parameters are Regista's own, named in the same way.

Source: Envoy 1.3x, outlier detection (documented behaviour).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from regista.model import BadInput, format_duration, parse_duration_s, setting, setting_doc

_OFF = "0 switches the rule off: it only counts what it would have done."


def _enforcing(percent: int, rule: str) -> Any:
    return setting(
        percent, f"How often, in percent, {rule} takes an instance out. {_OFF}", at_least=0, at_most=100
    )


@dataclasses.dataclass(frozen=True, slots=True)
class OutlierParameters:
    """When what callers report takes an instance out, and for how long; see each field's text."""

    consecutive_5xx: int = setting(
        5,
        "So many failures in a row, of any kind, make an outlier. Fewer react sooner, also to chance.",
        at_least=1,
        at_most=1_000_000,
    )
    consecutive_gateway_failure: int = setting(
        5,
        "So many gateway failures (502, 503, 504, and failures to reach the instance) in a row make an outlier.",
        at_least=1,
        at_most=1_000_000,
    )
    consecutive_local_origin_failure: int = setting(
        5,
        "So many failures to reach the instance (`connect`, `reset`, `timeout`) in a row make an outlier; only "
        "with `split_external_local_origin_errors`.",
        at_least=1,
        at_most=1_000_000,
    )
    interval_s: float = setting(
        10.0,
        "The rules that look at shares and latencies judge what was reported within so long. Longer gathers more "
        "to judge by; shorter judges sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    base_ejection_time_s: float = setting(
        30.0,
        "How long an outlier stays out the first time; each further time in a row adds as much again.",
        unit="s",
        at_least=0.1,
        at_most=86400,
    )
    max_ejection_time_s: float = setting(
        300.0,
        "The longest that an outlier stays out, however often it was; `base_ejection_time` if that is longer.",
        unit="s",
        at_least=0.1,
        at_most=86400,
    )
    max_ejection_time_jitter_s: float = setting(
        0.0,
        "Up to so much more, by chance, so that those taken out together do not all come back at once.",
        unit="s",
        at_least=0,
        at_most=3600,
    )
    max_ejection_percent: int = setting(
        10,
        "The most of a service's instances that may be out at once, in percent, the next one counted in: at 10, "
        "none of fewer than ten. More takes more broken ones out; fewer leaves more that can carry the load.",
        at_least=0,
        at_most=100,
    )
    always_eject_one_host: bool = setting(
        False,
        "Lets one instance be taken out whatever `max_ejection_percent` says, also the only one.",
    )
    enforcing_consecutive_5xx: int = _enforcing(100, "`consecutive_5xx`")
    enforcing_consecutive_gateway_failure: int = _enforcing(0, "`consecutive_gateway_failure`")
    enforcing_consecutive_local_origin_failure: int = _enforcing(100, "`consecutive_local_origin_failure`")
    enforcing_success_rate: int = _enforcing(100, "the success rate")
    enforcing_local_origin_success_rate: int = _enforcing(100, "the rate of being reached")
    success_rate_minimum_hosts: int = setting(
        5,
        "Success rates are compared among no fewer instances with enough requests; of few, none is unusual.",
        at_least=1,
        at_most=1_000_000,
    )
    success_rate_request_volume: int = setting(
        100,
        "An instance's success rate counts in an interval with at least so many requests.",
        at_least=1,
        at_most=1_000_000_000,
    )
    success_rate_stdev_factor: int = setting(
        1900,
        "A success rate is an outlier's if it is below the mean by more than a thousandth of this times the "
        "standard deviation. Higher spares more.",
        at_least=0,
        at_most=1_000_000,
    )
    enforcing_failure_percentage: int = _enforcing(0, "the share of failures")
    enforcing_failure_percentage_local_origin: int = _enforcing(0, "the share of failures to reach it")
    failure_percentage_threshold: int = setting(
        85,
        "An instance with at least this share of failures in an interval, in percent, is an outlier.",
        at_least=0,
        at_most=100,
    )
    failure_percentage_minimum_hosts: int = setting(
        5,
        "Shares of failures are judged where no fewer instances have enough requests.",
        at_least=1,
        at_most=1_000_000,
    )
    failure_percentage_request_volume: int = setting(
        50,
        "An instance's share of failures counts in an interval with at least so many requests.",
        at_least=1,
        at_most=1_000_000_000,
    )
    split_external_local_origin_errors: bool = setting(
        False,
        "Counts failures to reach an instance apart from what it answers. Off, all are failures alike.",
    )
    successful_active_health_check_uneject_host: bool = setting(
        True,
        "Takes an instance back as soon as a probe finds it passing. Off, only time does.",
    )
    # Off by default, for a caller measures the way to an instance along with it: one that is merely further from
    # its callers than others, or has the larger share of the data, must not be lost to everybody.
    enforcing_latency: int = _enforcing(0, "the latency")
    latency_factor: int = setting(
        3000,
        "An instance whose mean latency in an interval is above a thousandth of this times the median of all "
        "instances' is an outlier. Higher spares more.",
        at_least=1000,
        at_most=1_000_000,
    )
    latency_minimum_s: float = setting(
        0.1,
        "A mean latency up to this is nobody's trouble, whatever the others' are.",
        unit="s",
        at_least=0,
        at_most=3600,
    )
    latency_minimum_hosts: int = setting(
        5,
        "Latencies are compared among no fewer instances with enough requests.",
        at_least=2,
        at_most=1_000_000,
    )
    latency_request_volume: int = setting(
        100,
        "An instance's latency counts in an interval with at least so many successful requests that tell theirs.",
        at_least=1,
        at_most=1_000_000_000,
    )


ENVOY_DEFAULTS = OutlierParameters()


@dataclasses.dataclass(frozen=True, slots=True)
class ParameterDoc:
    """How a parameter is written in a service's configuration entry.

    Attributes:
        field: its name in `OutlierParameters`.
        kind: `duration`, `flag` or `integer`.
    """

    field: str
    kind: str
    at_least: float | None
    at_most: float | None


def _documented() -> dict[str, ParameterDoc]:
    found = {}
    for field in dataclasses.fields(OutlierParameters):
        doc = setting_doc(field)
        kind = "duration" if doc.unit == "s" else "flag" if isinstance(field.default, bool) else "integer"
        name = "".join(word[:1].upper() + word[1:] for word in re.sub(r"_s$", "", field.name).split("_"))
        found[name] = ParameterDoc(field.name, kind, doc.at_least, doc.at_most)
    return found


PARAMETERS: Mapping[str, ParameterDoc] = _documented()
"""Every parameter by its name in a configuration entry: `ConsecutiveGatewayFailure`, `BaseEjectionTime`."""


def check_bounds(given: Mapping[str, Any], path: str) -> None:
    """Does nothing if all values, by the names of `PARAMETERS`, are within their bounds; durations are text.

    Raises:
        BadInput: one is not; naming it.
    """
    for name, value in given.items():
        doc = PARAMETERS[name]
        is_duration = doc.kind == "duration"
        number = parse_duration_s(value) if is_duration else value
        show = format_duration if is_duration else str
        if (doc.at_least is not None and number < doc.at_least) or (
            doc.at_most is not None and number > doc.at_most
        ):
            bounds = f"from {show(doc.at_least or 0)} to {show(doc.at_most or 0)}"
            raise BadInput(f"{path}.{name} must be {bounds}, not {value}", field=f"{path}.{name}")


def with_parameters(defaults: OutlierParameters, given: Mapping[str, Any]) -> OutlierParameters:
    """The parameters where a service's entry, checked before, says something else than the defaults.

    Names that this version does not know are passed over: a later one may have written them.
    """
    found = {
        PARAMETERS[name].field: parse_duration_s(value) if PARAMETERS[name].kind == "duration" else value
        for name, value in given.items()
        if name in PARAMETERS
    }
    own = {field.name: getattr(defaults, field.name) for field in dataclasses.fields(OutlierParameters)}
    return OutlierParameters(**{**own, **found})
