"""`regista alerts rules`: when people are told."""

from __future__ import annotations

import json
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.input import read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table

_PATH = ("regista", "alerts", "rules")


@click.group(epilog="\b\nExamples:\n  regista alerts rules list\n  regista alerts rules write web-down @rule.json")
def rules() -> None:
    """Say when people are told."""


@rules.command("list", epilog="\b\nExamples:\n  regista alerts rules list\n  regista alerts rules list --json")
@json_option
@agent_options
def list_(client: AgentClient, *, as_json: bool) -> None:
    """List the rules. Those of the house are there without being written."""
    answer = client.get(_PATH)
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            each["name"],
            each["kind"],
            each["for"] or "0s",
            each["severity"],
            ",".join(each["channels"]) or "-",
            f"{each['pending']} pending, {each['firing']} firing" if each["enabled"] else "off",
        )
        for each in answer.decode()
    ]
    if not rows:
        click.echo("There are no rules.", err=True)
        return
    click.echo(table(("Name", "Kind", "For", "Severity", "Channels", "Now"), rows))


@rules.command(epilog="\b\nExample:\n  regista alerts rules read web-down > rule.json")
@click.argument("name")
@agent_options
def read(client: AgentClient, name: str) -> None:
    """Print the rule NAME as JSON, which `write` takes."""
    click.echo(json.dumps(client.get((*_PATH, name)).decode(), indent=4, ensure_ascii=False))


@rules.command(
    epilog="\b\nExamples:\n"
    '  regista alerts rules write web-down \'{"kind": "flapping", "service": "web"}\'\n'
    "  regista alerts rules write web-down @rule.json"
)
@click.argument("name")
@click.argument("definition")
@json_option
@agent_options
def write(client: AgentClient, name: str, definition: str, *, as_json: bool) -> None:
    """Keep DEFINITION, JSON, as the rule NAME. @FILE and - stand for a file and standard input."""
    answer = client.put((*_PATH, name), read_json(definition))
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Wrote rule {name}: it {answer.decode()['text']}.")


@rules.command(epilog="\b\nExample:\n  regista alerts rules delete web-down")
@click.argument("name")
@agent_options
def delete(client: AgentClient, name: str) -> None:
    """Delete the rule NAME; what fires of it is resolved."""
    client.delete((*_PATH, name))
    click.echo(f"Deleted rule {name}.")


def read_json(text: str) -> Any:
    """The JSON value that an argument means.

    Raises:
        Failed: it is none.
    """
    try:
        return json.loads(read_input(text))
    except ValueError as error:
        raise Failed(f"The definition is not valid JSON: {error}") from error
