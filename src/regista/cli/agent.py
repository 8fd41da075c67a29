"""`regista agent`: starts one. Its flags come from the table in `agent/keys.py`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Protocol

import click

from regista.agent import FLAGS, AgentConfig, Flag, Kind, load_config, run
from regista.model import ConfigError

EPILOG = """\b
Examples:
  regista agent --dev
  regista agent --data-dir /var/lib/regista
  regista agent --config-file /etc/regista --http-port 8501

\b
Each flag also has a name in the environment: REGISTA_HTTP_PORT for --http-port.
docs/reference/configuration.md lists what else files can set."""

_METAVARS: dict[Kind, str] = {"text": "TEXT", "path": "PATH", "texts": "TEXT", "port": "PORT", "integer": "N"}


class Run(Protocol):
    """Runs an agent until it is told to stop."""

    def __call__(self, config: AgentConfig, *, reload: Callable[[], AgentConfig]) -> int:
        """The process's exit code."""


def flag_option(flag: Flag) -> click.Option:
    """The click option for a flag of the table; absent flags are None, so that other sources can speak."""
    if flag.kind == "boolean":
        return click.Option([f"--{flag.name}"], is_flag=True, default=None, help=flag.text)
    return click.Option(
        [f"--{flag.name}"],
        type=int if flag.kind in ("port", "integer") else str,
        multiple=flag.kind == "texts",
        metavar=flag.metavar or _METAVARS[flag.kind],
        help=flag.text,
    )


def agent_command(run_agent: Run) -> click.Command:
    """The command, which hands its configuration to `run_agent`."""

    def start(**flags: Any) -> None:
        def load() -> AgentConfig:
            return load_config(flags=flags, environ=os.environ, hostname=socket.gethostname())

        try:
            config = load()
        except ConfigError as error:
            raise click.ClickException(str(error)) from error
        sys.exit(run_agent(config, reload=load))

    return click.Command(
        "agent",
        callback=start,
        params=[flag_option(flag) for flag in FLAGS],
        help="Start an agent. It is the server that services register with and programs ask.",
        epilog=EPILOG,
    )


agent = agent_command(run)
