"""Health: running the checks and leases of this agent's node, and deciding what their results mean.

What a result means is decided in `decide`, without clock or sockets; `probes` look at targets; the scheduler
brings both together with the catalog. The room must not know the doors through which services report, nor the
store: what it decides goes to a `Writer`, which the agent provides.
"""

from regista.health.counters import Counters
from regista.health.dialling import Verifier
from regista.health.histogram import Histogram
from regista.health.kind_rule import KindRule
from regista.health.observation import Observation, Probe
from regista.health.outbox import Writer
from regista.health.passive_settings import PassiveSettings
from regista.health.passive_state import HostState, PassiveState
from regista.health.probes import PROBED_KINDS, open_probes, os_services_problem
from regista.health.protection import Protection
from regista.health.scheduler import Scheduler
from regista.health.settings import HealthSettings

__all__ = [
    "PROBED_KINDS",
    "Counters",
    "HealthSettings",
    "Histogram",
    "HostState",
    "KindRule",
    "Observation",
    "PassiveSettings",
    "PassiveState",
    "Probe",
    "Protection",
    "Scheduler",
    "Verifier",
    "Writer",
    "open_probes",
    "os_services_problem",
]
