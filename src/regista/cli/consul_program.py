"""The program `consul`: Consul's command line over our commands, for scripts that were written for it.

Started when this program's name is `consul`, and as `regista consul`. No command is implemented here: each is
translated to ours, and its outcome to Consul's exit codes: 0, 1 for any error, 127 for no or an unknown command.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from regista import CONSUL_VERSION
from regista.cli.client import AgentRefused, AgentUnreachable
from regista.cli.consul_flags import FlagError, HelpWanted
from regista.cli.consul_verbs import GROUPS, VERBS, load, translate
from regista.cli.failures import Failed

NO_COMMAND_CODE = 127

VERSION_TEXT = (
    f"Consul v{CONSUL_VERSION}\n"
    "Protocol 2 spoken by default, understands 2 to 3 (agent will automatically use protocol >2 when speaking to "
    "compatible agents)"
)
"""Source: Consul 1.9.0, `consul version`."""

_HELP = frozenset(("-h", "-help", "--help"))
_VERSION = frozenset(("-v", "-version", "--version"))
_OWN = {"agent": "Runs a Consul agent", "version": "Prints the Consul version"}


def main(words: Sequence[str]) -> int:
    """Runs what stands behind `consul`; the process's exit code."""
    rest = list(words)
    is_help = False
    while rest and rest[0] in _HELP | _VERSION:
        if rest.pop(0) in _VERSION:
            click.echo(VERSION_TEXT)
            return 0
        is_help = True
    if not rest:
        click.echo(usage_text(), err=not is_help)
        return 0 if is_help else NO_COMMAND_CODE
    name = " ".join(rest[:2]) if " ".join(rest[:2]) in VERBS else rest[0]
    behind = rest[len(name.split()) :]
    if name in VERBS:
        return _run(name, ["-help"] if is_help else behind)
    if name in GROUPS:
        wants_help = is_help or bool(behind and behind[0] in _HELP)
        click.echo(_group_text(name), err=not wants_help)
        return 0 if wants_help else 1
    if name == "version":
        click.echo(_version_help() if is_help else VERSION_TEXT)
        return 0
    if name == "agent":
        return _agent(["-help"] if is_help else behind)
    click.echo(usage_text(), err=True)
    return NO_COMMAND_CODE


def _agent(words: Sequence[str]) -> int:
    # Loaded only here: with it comes all of the agent, for which no other command should wait.
    consul_agent = importlib.import_module("regista.cli.consul_agent")
    try:
        return int(consul_agent.start(words))
    except HelpWanted:
        click.echo(consul_agent.help_text())
        return 0
    except FlagError as error:
        click.echo(f"{error}\n\n{consul_agent.help_text()}", err=True)
        return 1


def _run(name: str, words: Sequence[str]) -> int:
    verb = VERBS[name]
    command = load(verb.target)
    program = f"consul {name}"
    try:
        ours = translate(verb, command, words)
        code = command.main(ours, prog_name=program, standalone_mode=False)
    except HelpWanted:
        click.echo(_help(command, program))
        return 0
    except FlagError as error:
        click.echo(f"{error}\n\n{_help(command, program)}", err=True)
        return 1
    except AgentRefused as error:
        # Source: Consul's client, whose words scripts look for.
        click.echo(f"Error querying Consul agent: Unexpected response code: {error.code} ({error.text})", err=True)
        return 1
    except AgentUnreachable as error:
        click.echo(f"Error connecting to Consul agent: {error.message}", err=True)
        return 1
    except Failed as error:
        click.echo(error.message, err=True)
        return error.exit_code
    except click.ClickException as error:
        click.echo(error.format_message(), err=True)
        return 1
    except click.Abort:
        return 1
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 0
    return code if isinstance(code, int) else 0


def _help(command: click.Command, program: str) -> str:
    return click.Context(command, info_name=program).get_help()


def usage_text() -> str:
    """The list of commands."""
    first = {name.partition(" ")[0] for name in VERBS} | _OWN.keys()
    lines = ["Usage: consul [--version] [--help] <command> [<args>]", "", "Available commands are:"]
    for name in sorted(first):
        summary = _OWN.get(name) or (VERBS[name].summary if name in VERBS else _GROUP_SUMMARIES[name])
        lines.append(f"    {name:<14} {summary}")
    return "\n".join(lines)


_GROUP_SUMMARIES = {
    "catalog": "Interacts with the catalog",
    "config": "Interacts with the centralized configuration",
    "kv": "Interacts with the key-value store",
    "services": "Interacts with services",
    "snapshot": "Saves, restores and inspects snapshots",
}


def _group_text(group: str) -> str:
    lines = [f"Usage: consul {group} <subcommand> [options] [args]", "", "Subcommands:"]
    for name, verb in VERBS.items():
        if name.startswith(f"{group} "):
            lines.append(f"    {name.partition(' ')[2]:<14} {verb.summary}")
    return "\n".join(lines)


def _version_help() -> str:
    return "Usage: consul version [options]"


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="\b\nExamples:\n  regista consul kv get web/limit\n  ln -s $(command -v regista) ~/bin/consul",
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def consul(words: tuple[str, ...]) -> None:
    """Understand Consul's command line. So does the program under the name consul.

    docs/guides/drop-in-consul.md says what it understands.
    """
    sys.exit(main(words))
