"""Health: running the checks and leases of this agent's node, and deciding what their results mean.

What a result means is decided in `decide`, without clock or sockets; `probes` look at targets; the scheduler
brings both together with the catalog. The room must not know the doors through which services report, nor the
store: what it decides goes to a `Writer`, which the agent provides.
"""

from regista.health.counters import Counters
from regista.health.observation import Observation, Probe
from regista.health.outbox import Writer
from regista.health.probes import open_probes
from regista.health.scheduler import Scheduler
from regista.health.settings import HealthSettings

__all__ = [
    "Counters",
    "HealthSettings",
    "Observation",
    "Probe",
    "Scheduler",
    "Writer",
    "open_probes",
]
