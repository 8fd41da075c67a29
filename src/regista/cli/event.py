"""`regista event`: user events, fired and listed."""

from __future__ import annotations

import base64

import click

from regista.cli.client import AgentClient
from regista.cli.input import read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table

PAYLOAD_WIDTH_MAX = 60


@click.group(epilog="\b\nExamples:\n  regista event fire deploy v1.4\n  regista event list")
def event() -> None:
    """Fire events, and list the last ones."""


@event.command(
    epilog="\b\nExamples:\n  regista event fire deploy v1.4\n  regista event fire --service web restart"
)
@click.argument("name")
@click.argument("payload", default="")
@click.option("--node", default="", metavar="REGEX", help="Only for nodes whose name matches.")
@click.option("--service", default="", metavar="REGEX", help="Only for nodes with a service whose name matches.")
@click.option("--tag", default="", metavar="REGEX", help="Only for those with a tag that matches.")
@json_option
@agent_options
def fire(
    client: AgentClient, name: str, payload: str, *, node: str, service: str, tag: str, as_json: bool
) -> None:
    """Fire the event NAME with PAYLOAD. @FILE and - stand for a file and standard input."""
    filters = {"node": node, "service": service, "tag": tag}
    parameters = {key: value for key, value in filters.items() if value}
    answer = client.put_bytes(["event", "fire", name], read_input(payload), parameters)
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Event ID: {answer.decode()['ID']}")


@event.command("list", epilog="\b\nExamples:\n  regista event list\n  regista event list --name deploy --json")
@click.option("--name", default="", metavar="TEXT", help="Only those of this name.")
@json_option
@agent_options
def list_(client: AgentClient, *, name: str, as_json: bool) -> None:
    """List the last events, the oldest first."""
    answer = client.get(["event", "list"], {"name": name} if name else None)
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            item["ID"],
            item["Name"],
            str(item["LTime"]),
            base64.b64decode(item["Payload"] or "").decode("utf-8", "replace")[:PAYLOAD_WIDTH_MAX],
        )
        for item in answer.decode()
    ]
    if not rows:
        click.echo("No events were fired lately.", err=True)
        return
    click.echo(table(("ID", "Name", "LTime", "Payload"), rows))
