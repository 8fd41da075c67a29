"""Balance: which of a service's hosts stand out, and are better left alone for a while.

Pure: no I/O, no clock, no randomness; moments and dice come in. Knows the model, and no other room, so that a
program that calls services uses the same rules as the server that it reports to.
"""

from regista.balance.hosts import RULES, Change, Ejection, Host, Release, Rule
from regista.balance.outcomes import (
    GATEWAY_FAILURES,
    LOCAL_ORIGIN,
    OUTCOMES,
    REPORT_COUNT_MAX,
    Code,
    Count,
    LatencyMs,
    Name,
    Outcome,
    OutcomeReport,
    outcome_of_code,
)
from regista.balance.outliers import OutlierDetector
from regista.balance.parameters import (
    ENVOY_DEFAULTS,
    PARAMETERS,
    OutlierParameters,
    ParameterDoc,
    check_bounds,
    with_parameters,
)

__all__ = [
    "ENVOY_DEFAULTS",
    "GATEWAY_FAILURES",
    "LOCAL_ORIGIN",
    "OUTCOMES",
    "PARAMETERS",
    "REPORT_COUNT_MAX",
    "RULES",
    "Change",
    "Code",
    "Count",
    "Ejection",
    "Host",
    "LatencyMs",
    "Name",
    "Outcome",
    "OutcomeReport",
    "OutlierDetector",
    "OutlierParameters",
    "ParameterDoc",
    "Release",
    "Rule",
    "check_bounds",
    "outcome_of_code",
    "with_parameters",
]
