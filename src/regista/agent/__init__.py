"""The composition root: configuration, wiring, lifecycle. The only room that knows every room."""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Callable

import uvloop

from regista.agent.agent import Agent
from regista.agent.config import AgentConfig, Content, Reading, load_config
from regista.agent.config_file import find_definitions, read_file, read_text
from regista.agent.config_values import has_effect
from regista.agent.greeting import Ready, ready_text
from regista.agent.keys import FLAGS, Flag, Kind
from regista.agent.logs import set_up_logs
from regista.model import RegistaError

__all__ = [
    "FLAGS",
    "AgentConfig",
    "Content",
    "Flag",
    "Kind",
    "Reading",
    "Ready",
    "find_definitions",
    "has_effect",
    "load_config",
    "read_file",
    "read_text",
    "run",
]


_IDS_AT_ONCE = 256


class _Ids:
    """Fresh UUIDs (RFC 9562, version 4), their randomness fetched for many at once.

    Each fetch is a system call during which another thread takes the interpreter lock, and has to give it back.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []

    def new(self) -> str:
        """A UUID that was never given before."""
        if not self._ids:
            drawn = os.urandom(16 * _IDS_AT_ONCE)
            self._ids = [_uuid4_text(drawn[at : at + 16].hex()) for at in range(0, len(drawn), 16)]
        return self._ids.pop()


def _uuid4_text(drawn: str) -> str:
    """The UUID of version 4 with these 32 hex digits, but for version and variant."""
    variant = "89ab"[int(drawn[16], 16) & 3]
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"


def _tune_garbage_collection() -> None:
    """Looks for cycles less often: almost nothing here is part of one, and what lives, lives long.

    Measured with 64 writers: a fifth more registrations a second, and a 99th percentile of 14 instead of 69 ms.
    """
    gc.set_threshold(50_000, 20, 100)


def run(
    config: AgentConfig, *, reload: Callable[[], AgentConfig], greet: Callable[[Ready], str] = ready_text
) -> int:
    """Runs an agent until it is told to stop; the exit status.

    Args:
        reload: reads the configuration again, on SIGHUP.
        greet: what is printed once it answers.
    """
    set_up_logs(config.log_level, as_json=config.log_json)
    _tune_garbage_collection()
    agent = Agent(
        config,
        reload=reload,
        clock=time.monotonic,
        wall_clock=time.time,
        rng=random.Random(),  # noqa: S311 - spreads work in time; guards nothing
        new_id=_Ids().new,
        greet=greet,
    )
    try:
        uvloop.run(agent.run())
    except RegistaError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - for whoever started the agent
        return 1
    return 0
