"""What a worker is told at its start."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from regista.agent.config import AgentConfig


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrders:
    """All that a worker is told at its start.

    Attributes:
        number: from 1 on.
        main_pid: the main process.
        sockets: file descriptors to listen at, inherited.
        dns_sockets: those of UDP and TCP, for each address of DNS.
        page: that of the shared page, inherited.
        log_path, calls_path, control_path: sockets of the main process's.
        settles_s: until when, in monotonic seconds, others register again with an agent that began empty; 0 where
            that is over.
    """

    number: int
    main_pid: int
    config: AgentConfig
    sockets: tuple[int, ...]
    dns_sockets: tuple[tuple[int, int], ...]
    page: int
    log_path: Path
    calls_path: Path
    control_path: Path
    node_name: str
    node_id: str
    address: str
    server_address: str
    started_s: float
    settles_s: float
