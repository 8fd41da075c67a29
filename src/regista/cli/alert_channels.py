"""`regista alerts channels`: how people are told."""

from __future__ import annotations

import click

from regista.cli.alert_rules import read_json
from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table

_PATH = ("regista", "alerts", "channels")


@click.group(epilog="\b\nExamples:\n  regista alerts channels list\n  regista alerts channels test ops-mail")
def channels() -> None:
    """Say how people are told."""


@channels.command(
    "list", epilog="\b\nExamples:\n  regista alerts channels list\n  regista alerts channels list --json"
)
@json_option
@agent_options
def list_(client: AgentClient, *, as_json: bool) -> None:
    """List the channels and how they are getting on. What may be a secret is struck out."""
    answer = client.get(_PATH)
    if as_json:
        print_body(answer)
        return
    rows = [
        (each["name"], each["kind"], each["url"], str(each["sent"]), str(each["failed"]), each["problem"] or "-")
        for each in answer.decode()
    ]
    if not rows:
        click.echo("There are no channels.", err=True)
        return
    click.echo(table(("Name", "Kind", "URL", "Sent", "Failed", "Problem"), rows))


@channels.command(
    epilog="\b\nExamples:\n"
    "  regista alerts channels write ops-mail @channel.json\n"
    '  regista alerts channels write am \'{"kind": "alertmanager", "url": "http://localhost:9093"}\''
)
@click.argument("name")
@click.argument("definition")
@json_option
@agent_options
def write(client: AgentClient, name: str, definition: str, *, as_json: bool) -> None:
    """Keep DEFINITION, JSON, as the channel NAME. @FILE and - stand for a file and standard input."""
    answer = client.put((*_PATH, name), read_json(definition))
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Wrote channel {name}; `regista alerts channels test {name}` tries it.")


@channels.command(epilog="\b\nExample:\n  regista alerts channels test ops-mail")
@click.argument("name")
@agent_options
def test(client: AgentClient, name: str) -> None:
    """Send a message to the channel NAME that says it is a test."""
    found = client.post((*_PATH, name, "test"), {}).decode()
    if not found["sent"]:
        raise Failed(f"The message was not sent: {found['problem']}.")
    click.echo(f"Channel {name} took the message.")


@channels.command(epilog="\b\nExample:\n  regista alerts channels delete ops-mail")
@click.argument("name")
@agent_options
def delete(client: AgentClient, name: str) -> None:
    """Delete the channel NAME, which no rule may name any more."""
    client.delete((*_PATH, name))
    click.echo(f"Deleted channel {name}.")
