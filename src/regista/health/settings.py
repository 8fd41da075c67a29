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
    udp_timeout_s: float = setting(
        10.0,
        "How long a UDP check without a timeout of its own waits for an answer, or to be told that nobody is "
        "there. Longer hears of it over slow networks; shorter is sooner done with services that never answer, "
        "which is passing.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    grpc_timeout_s: float = setting(
        10.0,
        "How long a gRPC check without a timeout of its own may take. Longer forgives slow services; shorter "
        "notices hanging ones sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    h2ping_timeout_s: float = setting(
        10.0,
        "How long an HTTP/2 ping without a timeout of its own may take. Longer forgives slow services; shorter "
        "notices hanging ones sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    script_timeout_s: float = setting(
        30.0,
        "How long a script, a command in a Docker container or a question to systemd may take, without a timeout "
        "of the check's own. A script that takes longer is killed with all that it started. Longer forgives slow "
        "scripts; shorter notices hanging ones sooner.",
        unit="s",
        at_least=0.1,
        at_most=3600,
    )
    scripts_at_once_max: int = setting(
        32,
        "How many scripts of checks may run on this machine at once; others wait for their turn, at most for "
        "their timeout. More takes processors and memory from what else runs here; fewer delays checks while "
        "scripts are slow.",
        at_least=1,
        at_most=256,
    )
    docker_host: str = setting(
        "",
        "Where the Docker engine listens, for Docker checks: `unix:///path/of/socket`, or `tcp://host:port` "
        "without TLS. Default: the variable `DOCKER_HOST`, or else `unix:///var/run/docker.sock`.",
    )
    probes_at_once_max: int = setting(
        4096,
        "How many probes may be under way at once; those above it wait for their turn, and are counted as late. "
        "More needs more open files, one each; fewer delays checks while many targets hang.",
        at_least=1,
        at_most=100_000,
    )
    flap_damping: bool = setting(
        True,
        "Whether a check that changes too often is held at its worse state until it settles, and one that failed "
        "a single time needs a second success before it is back. Off takes every result as Consul does: a service "
        "that blinks is in and out of answers at every probe, and wakes its callers each time.",
    )
    flap_high_percent: float = setting(
        18.0,
        "A check whose results change so often begins to flap: the share of the last 20 places between results at "
        "which they differ, the newest weighing 1.2 and the oldest 0.8. At 18 the fourth change within 21 results "
        "does it, so a check that fails and recovers twice, wherever these fall (four changes are 18.3% or more, "
        "three at most 17.7%). Higher lets checks blink more often; lower holds them sooner.",
        unit="%",
        at_least=4,
        at_most=100,
    )
    flap_low_percent: float = setting(
        8.0,
        "A check whose results change less than this flaps no more. At 8 at most one change is left among the "
        "last 21 results (two are 8.1% or more, one is at most 6%). Higher ends it sooner, and lets a check that "
        "fails now and then begin to flap anew each time; lower holds it up to 20 results longer. Above "
        "`flap_high_percent` it counts as that.",
        unit="%",
        at_least=1,
        at_most=100,
    )
    abstain_s: float = setting(
        30.0,
        "When targets on several other hosts that were just well all fall silent at once (5 checks on 3 hosts, at "
        "least 4 for each that still answers), the agent doubts its own network, and withholds such failures for "
        "so long, or until an answer comes. Longer spares services during longer outages of the agent's network; "
        "shorter, down to 0 for never, notices sooner when so many really fall silent together.",
        unit="s",
        at_least=0,
        at_most=3600,
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
    protection_share: float = setting(
        0.15,
        "When more than this part of the instances of a service, or of all services together, would expire or be "
        "removed within `health.protection_window` and nothing but silence speaks for it, none of them is. More "
        "lets larger real losses through at once; less holds smaller ones; 1 switches the protection off. One "
        "instance may always go.",
        at_least=0.01,
        at_most=1,
    )
    protection_window_s: float = setting(
        60.0,
        "Within which losses count together for `health.protection_share`. Longer counts slow losses as one, and "
        "lets fewer instances go in any hour; shorter notices only sudden ones.",
        unit="s",
        at_least=1,
        at_most=3600,
    )
    protection_service_instances_min: int = setting(
        6,
        "A service with fewer instances is not protected for itself, only with all the others. Fewer protects "
        "smaller services, in which one or two dead ones are a large part; more leaves larger ones alone.",
        at_least=1,
        at_most=1_000_000,
    )
    protection_instances_min: int = setting(
        10,
        "All services together are not protected while they have fewer instances that can expire. Fewer protects "
        "smaller installations; more leaves larger ones alone.",
        at_least=1,
        at_most=1_000_000,
    )
    protection_s_max: float = setting(
        600.0,
        "How long protection holds what was not heard; then the port of each such instance is dialled, and it "
        "goes if nobody answers there. Longer outlasts longer network failures; shorter gets rid of the really "
        "dead sooner.",
        unit="s",
        at_least=1,
        at_most=86400,
    )
    protection_silent_s_max: float = setting(
        3600.0,
        "How long an instance may go on being silent after that while its port answers; then it goes all the "
        "same. Longer keeps those whose heartbeat alone is broken; shorter gets rid of those that hang sooner.",
        unit="s",
        at_least=1,
        at_most=30 * 86400,
    )
    dials_at_once_max: int = setting(
        128,
        "How many ports are dialled at once to verify whether silent instances are there. More verifies thousands "
        "sooner (a dead one takes up to 2s); fewer needs fewer open files.",
        at_least=1,
        at_most=10_000,
    )
    expiries_per_s: float = setting(
        200.0,
        "How many instances and TTL checks may expire or be reaped each second, of all services together. More "
        "gets rid of many dead ones sooner; fewer wakes watchers less, and leaves more time for a renewal on its "
        "way.",
        at_least=1,
        at_most=100_000,
    )
    expiries_burst: float = setting(
        100.0,
        "How many of those may at once, after a time without any.",
        at_least=1,
        at_most=100_000,
    )
    expiries_service_share: float = setting(
        0.25,
        "Which part of one service's instances may expire or be reaped each second, so that even a whole service "
        "takes some seconds in which its callers can look elsewhere. More is faster; less is gentler.",
        at_least=0.001,
        at_most=100,
    )
    expiries_service_per_s_min: float = setting(
        5.0,
        "So many instances of one service may expire or be reaped each second, however small it is. More is "
        "faster for small services; less is gentler.",
        at_least=0.1,
        at_most=100_000,
    )
