"""What an agent says of itself on standard output once it answers. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An agent that answers, in facts.

    Attributes:
        data_dir: None where all is kept in memory.
        listeners: `host:port` by what is spoken there.
        instances: how many are registered, the agent's own apart.
    """

    version: str
    node_name: str
    node_id: str
    datacenter: str
    advertise_addr: str
    data_dir: Path | None
    listeners: Mapping[str, str]
    instances: int
    index: int


def ready_text(ready: Ready) -> str:
    """The greeting for people."""
    where = ready.data_dir or "memory only; all is lost at the end (give --data-dir to keep it)"
    lines = [
        f"Regista {ready.version} is ready.",
        f"  node        {ready.node_name} in datacenter {ready.datacenter}",
        *(f"  {name:<11} {address}" for name, address in ready.listeners.items()),
        f"  data        {where}",
        f"  registered  {ready.instances} instance{'' if ready.instances == 1 else 's'}, index {ready.index}",
    ]
    if "http" in ready.listeners:
        lines.append(f"Try: curl http://{ready.listeners['http']}/v1/catalog/services")
    return "\n".join(lines)
