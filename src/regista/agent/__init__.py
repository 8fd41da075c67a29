"""The composition root: configuration, wiring, lifecycle. The only room that knows every room."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

import uvloop

from regista.agent.agent import Agent
from regista.agent.config import AgentConfig, Content, Reading, load_config
from regista.agent.config_file import find_definitions, read_file, read_text
from regista.agent.config_values import has_effect
from regista.agent.definitions import check_definitions
from regista.agent.greeting import Ready, ready_text
from regista.agent.ids import Ids
from regista.agent.keys import FLAGS, Flag, Kind
from regista.agent.logs import set_up_logs
from regista.agent.pages import write_page
from regista.agent.process import tune_garbage_collection
from regista.model import RegistaError

__all__ = [
    "FLAGS",
    "AgentConfig",
    "Content",
    "Flag",
    "Kind",
    "Reading",
    "Ready",
    "check_definitions",
    "find_definitions",
    "has_effect",
    "load_config",
    "read_file",
    "read_text",
    "run",
    "write_page",
]


def run(
    config: AgentConfig, *, reload: Callable[[], AgentConfig], greet: Callable[[Ready], str] = ready_text
) -> int:
    """Runs an agent until it is told to stop; the exit status.

    Args:
        reload: reads the configuration again, on SIGHUP.
        greet: what is printed once it answers.
    """
    set_up_logs(config.log_level, as_json=config.log_json)
    tune_garbage_collection()
    agent = Agent(
        config,
        reload=reload,
        clock=time.monotonic,
        wall_clock=time.time,
        rng=random.Random(),  # noqa: S311 - spreads work in time; guards nothing
        new_id=Ids().new,
        greet=greet,
    )
    try:
        uvloop.run(agent.run())
    except RegistaError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - for whoever started the agent
        return 1
    return 0
