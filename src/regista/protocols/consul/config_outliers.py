"""`OutlierDetection` of a service's defaults: what callers' reports must come to for an instance to be taken out.

Regista's own; Consul's `PassiveHealthCheck` is something that a caller's proxy does for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.balance import PARAMETERS, check_bounds
from regista.protocols.consul.config_fields import Field, Reader, duration, flag, integer, optional

FIELD = "OutlierDetection"


def _duration(value: Any, path: str) -> str:
    """A duration; none at all is one too."""
    return duration(value, path) or "0s"


_READERS: Mapping[str, Reader] = {"duration": _duration, "flag": flag, "integer": integer}

# 0 and false are not the same as nothing, for the agent may have other defaults.
OUTLIER_DETECTION = optional(
    {name: Field(_READERS[doc.kind], is_shown_if_given=True) for name, doc in PARAMETERS.items()}
)


def check_outliers(fields: Mapping[str, Any]) -> None:
    """Does nothing if all parameters are within their bounds.

    Raises:
        BadInput: one is not; naming it.
    """
    check_bounds(fields.get(FIELD) or {}, FIELD)
