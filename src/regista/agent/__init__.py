"""The composition root: configuration, wiring, lifecycle. The only room that knows every room."""

from __future__ import annotations

import random
import sys
import time
import uuid
from collections.abc import Callable

import uvloop

from regista.agent.agent import Agent
from regista.agent.config import AgentConfig, load_config
from regista.agent.config_file import find_definitions, read_file
from regista.agent.keys import FLAGS, Flag, Kind
from regista.agent.logs import set_up_logs
from regista.model import RegistaError

__all__ = ["FLAGS", "AgentConfig", "Flag", "Kind", "find_definitions", "load_config", "read_file", "run"]


def run(config: AgentConfig, *, reload: Callable[[], AgentConfig]) -> int:
    """Runs an agent until it is told to stop; the exit status.

    Args:
        reload: reads the configuration again, on SIGHUP.
    """
    set_up_logs(config.log_level, as_json=config.log_json)
    agent = Agent(
        config,
        reload=reload,
        clock=time.monotonic,
        wall_clock=time.time,
        rng=random.Random(),  # noqa: S311 - spreads work in time; guards nothing
        new_id=lambda: str(uuid.uuid4()),
    )
    try:
        uvloop.run(agent.run())
    except RegistaError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - for whoever started the agent
        return 1
    return 0
