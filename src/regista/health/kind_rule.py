"""Which kinds of checks this agent may make: programs are run for nobody unless the configuration says so.

Pure. Asked twice: at the door, so that the caller learns it at once, and before a check is run, because one that
is in the log was perhaps registered when more was allowed.
"""

from __future__ import annotations

import dataclasses

from regista.health.decide import decide_kind
from regista.model import Check, Manager

DISABLED = "disabled"
"""The kind of a check that is not run here, see `probes.disabled`."""

SCRIPT_KINDS = ("script", "docker")

SCRIPTS_DISABLED = (
    "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
)
_SCRIPTS_DISABLED_LOCALLY = (
    "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
    "'enable_local_script_checks' to true"
)


@dataclasses.dataclass(frozen=True, slots=True)
class KindRule:
    """What the configuration allows, and what is installed.

    Attributes:
        scripts: checks that run programs, whoever registers them.
        local_scripts: those that the agent's configuration files define.
        os_services_problem: why checks of system services can't be made; "" where they can.
    """

    scripts: bool = False
    local_scripts: bool = False
    os_services_problem: str = ""

    def refusal(self, kind: str, manager: Manager) -> str:
        """Why a check of this kind is not made for this manager, as a sentence; "" if it is.

        Source: Consul 1.9, `enable_script_checks` and `enable_local_script_checks` (behaviour and words).
        """
        if kind in SCRIPT_KINDS and not self.scripts:
            if manager != "config":
                return SCRIPTS_DISABLED
            return "" if self.local_scripts else _SCRIPTS_DISABLED_LOCALLY
        return self.os_services_problem if kind == "os_service" else ""

    def kind_to_run(self, check: Check) -> str:
        """The kind of probe that a check gets: its own, or `DISABLED`."""
        assert check.definition is not None
        kind = decide_kind(check.definition)
        return DISABLED if kind in SCRIPT_KINDS and self.refusal(kind, check.manager) else kind
