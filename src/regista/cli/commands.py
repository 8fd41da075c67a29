"""`regista`: the list of commands. A command's module is loaded when it is asked for, so that each starts fast."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from regista import __version__

COMMANDS: dict[str, str] = {
    "agent": "regista.cli.agent:agent",
    "services": "regista.cli.services:services",
    "catalog": "regista.cli.catalog:catalog",
    "health": "regista.cli.health:health",
    "report": "regista.cli.report:report",
    "kv": "regista.cli.kv:kv",
    "session": "regista.cli.session:session",
    "lock": "regista.cli.lock:lock",
    "explain": "regista.cli.explain:explain",
    "dns": "regista.cli.dns:dns",
    "history": "regista.cli.history:history",
    "watch": "regista.cli.watch:watch",
    "events": "regista.cli.events:events",
    "event": "regista.cli.event:event",
    "subscriptions": "regista.cli.subscriptions:subscriptions",
    "alerts": "regista.cli.alerts:alerts",
    "query": "regista.cli.query:query",
    "config": "regista.cli.config:config",
    "maint": "regista.cli.maint:maint",
    "members": "regista.cli.members:members",
    "limits": "regista.cli.limits:limits",
    "info": "regista.cli.process:info",
    "reload": "regista.cli.process:reload",
    "leave": "regista.cli.process:leave",
    "snapshot": "regista.cli.snapshot:snapshot",
    "validate": "regista.cli.validate:validate",
    "consul": "regista.cli.consul_program:consul",
    "version": "regista.cli.version:version",
}
"""Each command, and where it is: module and name."""


DROP_IN_NAME = "consul"

_CANT_WRITE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
"""What a full disk answers to a command whose output goes to a file; a closed pipe is click's to meet."""


class LazyGroup(click.Group):
    """A group that loads its commands from `COMMANDS`; under the name `consul`, the program is another one."""

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        """Runs the program."""
        try:
            if args is None and os.path.basename(sys.argv[0]) == DROP_IN_NAME:  # noqa: PTH119 - pathlib costs 10 ms
                sys.exit(importlib.import_module("regista.cli.consul_program").main(sys.argv[1:]))
            return super().main(args, *more, **options)
        except OSError as error:
            if error.errno not in _CANT_WRITE:
                raise
            sys.stderr.write(f"Error: the output can't be written: {error.strerror}.\n")
            # What is left of it would be tried once more at the exit, and fail with a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Says where a command's option stands that came before the command."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if error.possibilities:
                raise
            hint = "An option of a command stands behind it: regista health web --json."
            raise click.UsageError(f"{error.format_message()} {hint}", ctx) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """The command, loaded; None for an unknown name, which `resolve_command` reports."""
        if cmd_name not in COMMANDS:
            return None
        module_name, _, name = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module_name), name)
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names, and the words behind it.

        Raises:
            click.UsageError: it names none. Its text says which may have been meant.
        """
        name, *rest = args
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        if name == "help":
            meant = [" ".join(("regista", *(word for word in rest if not word.startswith("-")), "--help"))]
        else:
            meant = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f" Did you mean '{meant[0]}'?" if meant else ""
        raise click.UsageError(f"No such command '{name}'.{hint}", ctx)


EPILOG = """\b
Examples:
  regista agent --dev
  regista services register --name web --port 8080
  regista health web
  regista kv put web/limit 10

\b
Commands that speak to an agent take --ca-file, --ca-path, --client-cert, --client-key and
--tls-server-name for one that speaks TLS; docs/reference/cli.md describes them."""


@click.group("regista", cls=LazyGroup, epilog=EPILOG)
@click.version_option(__version__, message="Regista v%(version)s")
def main() -> None:
    """Regista: a service registry with health checks and discovery."""
