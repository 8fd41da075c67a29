"""`regista health protection`: mass losses that are not believed, and the switch."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table

_PATH = ("regista", "health", "protection")


@click.group(
    "protection", epilog="\b\nExamples:\n  regista health protection show\n  regista health protection off"
)
def protection() -> None:
    """Show what is kept though silent, and switch that off or on."""


@protection.command(
    epilog="\b\nExamples:\n  regista health protection show\n  regista health protection show --limit 1000 --json"
)
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=100, help="How many instances at the most. Default: 100."
)
@json_option
@agent_options
def show(client: AgentClient, *, limit: int, as_json: bool) -> None:
    """List the mass losses that are not believed. Says until when, and which instances are kept for it."""
    answer = client.get(_PATH, {"limit": str(limit)})
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    _print_state(found)
    if found["suspects"]:
        rows = [(each["id"], each["service"], each["node"], each["why"]) for each in found["suspects"]]
        click.echo(table(("Instance", "Service", "Node", "Why it is kept"), rows))
    left_out = found["suspects_count"] - len(found["suspects"])
    if left_out > 0:
        click.echo(f"There are {left_out} more: --limit {found['suspects_count']}", err=True)


@protection.command(epilog="\b\nExamples:\n  regista health protection off")
@agent_options
def off(client: AgentClient) -> None:
    """Let go of what is kept, at the rate that is set. Nothing more is kept until that is switched on."""
    _print_state(client.put(_PATH, parameters={"enabled": "false", "limit": "0"}).decode())


@protection.command(epilog="\b\nExamples:\n  regista health protection on")
@agent_options
def on(client: AgentClient) -> None:
    """Keep instances again that fall silent all at once."""
    _print_state(client.put(_PATH, parameters={"enabled": "true", "limit": "0"}).decode())


def _print_state(found: Any) -> None:
    if not found["enabled"]:
        click.echo("Protection is switched off: what falls silent goes, however many at once.")
    elif not found["protections"]:
        click.echo("Protection is on, and nothing is kept for it.")
    for each in found["protections"]:
        click.echo(one_line(each["sentence"]))
