"""What can be set of the running of checks."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class HealthSettings:
    """What can be set of the running of checks, see each field's text."""

    output_bytes_max: int = setting(
        4096,
        "How much of a check's output is kept. More shows more of a long error page; fewer saves memory, which "
        "every check with output takes. A check's own definition can lower it further.",
        unit="bytes",
        at_least=64,
        at_most=1024 * 1024,
    )
    interval_s_min: float = setting(
        1.0,
        "Probes of one check are at least so far apart, whatever its definition says. Longer protects the agent "
        "and the services from eager definitions; shorter notices failures sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    http_timeout_s: float = setting(
        10.0,
        "How long an HTTP check without a timeout of its own may take. Longer forgives slow services; shorter "
        "notices hanging ones sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    tcp_timeout_s: float = setting(
        10.0,
        "How long a TCP check without a timeout of its own may take. Longer forgives slow networks; shorter "
        "notices dead hosts sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    probes_at_once_max: int = setting(
        4096,
        "How many probes may be under way at once; those above it wait for their turn, and are counted as late. "
        "More needs more open files, one each; fewer delays checks while many targets hang.",
        at_least=1,
        at_most=100_000,
    )
    deregister_after_s_min: float = setting(
        1.0,
        "A service is deregistered after its check was critical for at least so long, whatever the check's "
        "definition says. Longer protects services from hasty definitions (Consul's own minimum is 60s); shorter "
        "removes dead ones sooner.",
        unit="s",
        at_least=1,
        at_most=86400,
    )
    stall_tolerance_s: float = setting(
        1.0,
        "The agent that comes to its work later than this (it was stopped, or starved) counts itself as deaf in "
        "the meantime, and gives every service that much more time to be heard. Longer tolerates less of a slow "
        "agent's own fault before services expire; shorter keeps dead services longer on a busy machine.",
        unit="s",
        at_least=0.05,
        at_most=60,
    )
