"""`regista`: the list of commands. A command's module is loaded when it is asked for, so that each starts fast."""

from __future__ import annotations

import importlib

import click

from regista import __version__

COMMANDS: dict[str, str] = {
    "agent": "regista.cli.agent:agent",
    "services": "regista.cli.services:services",
    "catalog": "regista.cli.catalog:catalog",
    "health": "regista.cli.health:health",
    "watch": "regista.cli.watch:watch",
    "version": "regista.cli.version:version",
}
"""Each command, and where it is: module and name."""


class LazyGroup(click.Group):
    """A group that loads its commands from `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command, loaded; None for an unknown name, which click reports."""
        if cmd_name not in COMMANDS:
            return None
        module_name, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module_name), name)
        assert isinstance(command, click.Command)
        return command


EPILOG = """\b
Examples:
  regista agent --dev
  regista services register --name web --port 8080
  regista health web"""


@click.group("regista", cls=LazyGroup, epilog=EPILOG)
@click.version_option(__version__, message="Regista v%(version)s")
def main() -> None:
    """Regista: a service registry with health checks and discovery."""
