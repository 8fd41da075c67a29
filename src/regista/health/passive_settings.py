"""What can be set of passive health: when callers' reports take an instance out."""

from __future__ import annotations

import dataclasses

from regista.balance import OutlierParameters
from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class PassiveSettings(OutlierParameters):
    """Passive health: what callers report takes an instance out. A service's defaults may say otherwise for it."""

    enabled: bool = setting(
        True,
        "Whether reports are taken at all; if not, they get 403. An instance is only ever judged if somebody "
        "reports it.",
    )
    reports_max: int = setting(
        1000,
        "How many reports one request may hold. Each costs some microseconds; more make requests rarer.",
        at_least=1,
        at_most=100_000,
    )
    report_bytes_max: int = setting(
        262_144,
        "How large the body of a report may be, unpacked too.",
        unit="bytes",
        at_least=1024,
        at_most=64 * 1024 * 1024,
    )
