"""What passive health knows of a service's instances, for people."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from regista.balance import RULES, OutlierDetector, OutlierParameters
from regista.catalog import Catalog


@dataclasses.dataclass(frozen=True, slots=True)
class HostState:
    """What is known of one instance.

    Attributes:
        ejected_until_s: in seconds since the epoch; None if it is not out.
        rule: which took it out the last time; "" for none that is remembered.
        ejections: how often in a row it was taken out; less one for each interval without.
        in_a_row: failures since the last success, by rule.
        requests, failures: in this interval.
        latency_ms: the mean of the successes in this interval; None if it is not known.
    """

    node: str
    id: str
    ejected_until_s: float | None
    rule: str
    ejections: int
    in_a_row: Mapping[str, int]
    requests: int
    failures: int
    latency_ms: float | None


@dataclasses.dataclass(frozen=True, slots=True)
class PassiveState:
    """What is known of a service.

    Attributes:
        service: its name in small letters.
        instances: how many there are.
        ejected, ejected_max: how many are out, and how many may be.
        interval_left_s: until the present interval is judged.
        detected: how often each rule found an instance, since the service was first reported.
        withheld: how often that did not take it out, by why.
        hosts: those of which something is known; those that are out first, then by node and id.
    """

    service: str
    instances: int
    ejected: int
    ejected_max: int
    interval_left_s: float
    parameters: OutlierParameters
    detected: Mapping[str, int]
    withheld: Mapping[str, int]
    hosts: tuple[HostState, ...]


def show_state(
    catalog: Catalog, name: str, detector: OutlierDetector, *, now_s: float, wall_now_s: float
) -> PassiveState:
    """What a detector knows, whose hosts are keys of instances."""
    hosts = []
    for key, host in detector.hosts.items():
        entry = catalog.services.get(key)
        if entry is None:
            continue
        state = HostState(
            node=entry.record.node,
            id=entry.record.id,
            ejected_until_s=None if host.until_s is None else wall_now_s + max(0.0, host.until_s - now_s),
            rule=host.rule,
            ejections=host.ejections,
            in_a_row={
                "consecutive_5xx": host.consecutive_5xx,
                "consecutive_gateway_failure": host.consecutive_gateway_failure,
                "consecutive_local_origin_failure": host.consecutive_local_origin_failure,
            },
            requests=host.attempts,
            failures=host.attempts - host.successes,
            latency_ms=host.latency_ms / host.timed if host.timed else None,
        )
        hosts.append(state)
    hosts.sort(key=lambda each: (each.ejected_until_s is None, each.node.lower(), each.id.lower()))
    return PassiveState(
        service=name,
        instances=detector.host_count,
        ejected=detector.ejected_count,
        ejected_max=detector.ejected_max,
        interval_left_s=max(0.0, (detector.interval_end_s or now_s) - now_s),
        parameters=detector.parameters,
        detected={rule: detector.detected[rule] for rule in RULES if rule in detector.detected},
        withheld=dict(detector.withheld),
        hosts=tuple(hosts),
    )
