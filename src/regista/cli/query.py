"""`regista query`: prepared queries, which name a search so that programs can run it."""

from __future__ import annotations

import json
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.input import read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import host_port, print_body, table


@click.group(epilog="\b\nExample:\n  regista query execute nearest-web")
def query() -> None:
    """Define searches, and run them."""


@query.command(
    epilog="\b\nExamples:\n"
    '  regista query create \'{"Name": "web", "Service": {"Service": "web"}}\'\n'
    "  regista query create @web-query.json"
)
@click.argument("definition")
@json_option
@agent_options
def create(client: AgentClient, definition: str, *, as_json: bool) -> None:
    """Define the query in DEFINITION, JSON, and print its id. @FILE and - stand for a file and standard input."""
    answer = client.post(["query"], _read_definition(definition))
    if as_json:
        print_body(answer)
    else:
        click.echo(answer.decode()["ID"])


@query.command(epilog="\b\nExample:\n  regista query update 909df1b6-453a-5321-cfa6-f8eb793df910 @web-query.json")
@click.argument("query_id", metavar="ID")
@click.argument("definition")
@agent_options
def update(client: AgentClient, query_id: str, definition: str) -> None:
    """Replace the query ID by DEFINITION. @FILE and - stand for a file and standard input."""
    client.put(["query", query_id], _read_definition(definition))
    click.echo(f"Updated query: {query_id}")


@query.command("list", epilog="\b\nExamples:\n  regista query list\n  regista query list --json")
@json_option
@agent_options
def list_(client: AgentClient, *, as_json: bool) -> None:
    """List the queries."""
    answer = client.get(["query"])
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            item["ID"],
            item["Name"],
            item["Service"]["Service"],
            ",".join(item["Service"].get("Tags") or ()),
            "yes" if item["Service"].get("OnlyPassing") else "no",
        )
        for item in answer.decode()
    ]
    if not rows:
        click.echo("There are no queries.", err=True)
        return
    click.echo(table(("ID", "Name", "Service", "Tags", "Only passing"), rows))


@query.command(epilog="\b\nExample:\n  regista query read 909df1b6-453a-5321-cfa6-f8eb793df910")
@click.argument("query_id", metavar="ID")
@agent_options
def read(client: AgentClient, query_id: str) -> None:
    """Print the definition of the query ID as JSON."""
    found = client.get(["query", query_id]).decode()
    click.echo(json.dumps(found[0] if isinstance(found, list) and found else found, indent=4, ensure_ascii=False))


@query.command(epilog="\b\nExample:\n  regista query delete 909df1b6-453a-5321-cfa6-f8eb793df910")
@click.argument("query_id", metavar="ID")
@agent_options
def delete(client: AgentClient, query_id: str) -> None:
    """Delete the query ID."""
    client.delete(["query", query_id])
    click.echo(f"Deleted query: {query_id}")


@query.command(epilog="\b\nExamples:\n  regista query execute web\n  regista query execute --limit 1 --json web")
@click.argument("name", metavar="NAME|ID")
@click.option("--limit", type=click.IntRange(1), metavar="NUMBER", help="At most so many instances.")
@click.option("--near", default="", metavar="NODE", help="Nearest to this node first; _agent is the agent's own.")
@json_option
@agent_options
def execute(client: AgentClient, name: str, *, limit: int | None, near: str, as_json: bool) -> None:
    """Run the query NAME or ID, and list the instances it finds."""
    parameters = ({"limit": str(limit)} if limit else {}) | ({"near": near} if near else {})
    answer = client.get(["query", name, "execute"], parameters)
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            item["Service"]["ID"],
            host_port(item["Service"]["Address"] or item["Node"]["Address"], item["Service"]["Port"]),
            item["Node"]["Node"],
        )
        for item in answer.decode()["Nodes"] or ()
    ]
    if not rows:
        click.echo("The query finds no instances.", err=True)
        return
    click.echo(table(("Instance", "Address", "Node"), rows))


def _read_definition(text: str) -> Any:
    try:
        return json.loads(read_input(text))
    except ValueError as error:
        raise Failed(f"The definition is not valid JSON: {error}") from error
