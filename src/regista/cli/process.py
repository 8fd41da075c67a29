"""`regista info`, `reload` and `leave`: the agent's process itself."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body


@click.command(epilog="\b\nExamples:\n  regista info\n  regista info --json")
@json_option
@agent_options
def info(client: AgentClient, *, as_json: bool) -> None:
    """Show the agent's numbers, in groups."""
    answer = client.get(["agent", "self"])
    if as_json:
        print_body(answer)
        return
    for group, numbers in sorted((answer.decode().get("Stats") or {}).items()):
        click.echo(f"{group}:")
        for name, value in sorted(numbers.items()):
            click.echo(f"\t{name} = {one_line(str(value))}")


@click.command(epilog="\b\nExample:\n  regista reload")
@agent_options
def reload(client: AgentClient) -> None:
    """Let the agent read its configuration files again."""
    client.put(["agent", "reload"])
    click.echo("Configuration reload triggered")


@click.command(epilog="\b\nExample:\n  regista leave")
@agent_options
def leave(client: AgentClient) -> None:
    """Let the agent leave the cluster and end."""
    client.put(["agent", "leave"])
    click.echo("Graceful leave complete")
