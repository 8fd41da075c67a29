"""`regista health`: how the instances of a service are."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.instances import decode_instances
from regista.cli.options import agent_options
from regista.cli.tables import print_body, table


@click.command(epilog="\b\nExamples:\n  regista health web\n  regista health web --passing --json")
@click.argument("name")
@click.option("--passing", is_flag=True, help="Only instances whose every check is passing.")
@click.option("--json", "as_json", is_flag=True, help="Print what the server said.")
@agent_options
def health(client: AgentClient, name: str, *, passing: bool, as_json: bool) -> None:
    """Show the health of the instances of service NAME."""
    answer = client.get(["health", "service", name], {"passing": "1"} if passing else None)
    if as_json:
        print_body(answer)
        return
    found = decode_instances(answer.decode())
    if not found:
        click.echo(f"No {'passing ' if passing else ''}instances of {name}.", err=True)
        return
    rows = [(item.id, item.address, item.node, item.status, item.output) for item in found]
    click.echo(table(("Instance", "Address", "Node", "Status", "Failing checks"), rows))
