"""Who lives in a world: programs of all kinds, with definitions drawn from the world's dice."""

from __future__ import annotations

from tests.simulation.clients import Clients
from tests.simulation.processes import PORT, Kind, Process
from tests.simulation.world import World

from regista.model import CheckDefinition

_KINDS: tuple[Kind, ...] = ("lease", "ttl", "http", "tcp", "both")


def populate(
    world: World, clients: Clients, *, count: int, services: int, unit_s: float, kinds: tuple[Kind, ...] = _KINDS
) -> None:
    """Starts `count` programs within `unit_s`, which is the interval of probes, and a third of every TTL."""
    for number in range(count):
        kind = kinds[number % len(kinds)]
        service = f"s{number % services}"
        host = f"10.1.{number // 250}.{1 + number % 250}"
        process = _process(world, f"{service}-{number}", kind, service=service, host=host, unit_s=unit_s)
        world.add(process)
        world.agenda.after(world.rng.random() * unit_s, clients.start, process)


def _process(world: World, process_id: str, kind: Kind, *, service: str, host: str, unit_s: float) -> Process:
    rng = world.rng
    after_s = rng.choice((0.0, 0.0, 3 * unit_s, 12 * unit_s))
    definition = None
    if kind == "ttl":
        definition = CheckDefinition(ttl_s=3 * unit_s, deregister_critical_service_after_s=after_s)
    elif kind != "lease":
        critical_after = rng.choice((0, 1, 2, 3))
        target = {"tcp": f"{host}:{PORT}"} if kind == "tcp" else {"http": f"http://{host}:{PORT}/health"}
        definition = CheckDefinition(
            **target,
            interval_s=unit_s,
            timeout_s=unit_s * rng.choice((0.1, 0.3, 0.5, 1.3)),
            success_before_passing=rng.choice((0, 1, 2)),
            failures_before_critical=critical_after,
            failures_before_warning=rng.randint(0, critical_after) if rng.random() < 0.3 else 0,
            deregister_critical_service_after_s=after_s,
        )
    return Process(
        id=process_id,
        service=service,
        host=host,
        kind=kind,
        definition=definition,
        ttl_s=3 * unit_s if kind in ("lease", "ttl", "both") else 0.0,
        says_every_s=unit_s,
    )
