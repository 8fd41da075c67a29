"""`regista alerts silence`: what people do not want to be told."""

from __future__ import annotations

import getpass

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table

_PATH = ("regista", "alerts", "silences")


@click.group(
    epilog="\b\nExamples:\n"
    "  regista alerts silence add --for 2h --comment 'new disks' node=db-1\n"
    "  regista alerts silence list"
)
def silence() -> None:
    """Say what nobody wants to be told for a time. It is shown all the same."""


@silence.command(
    epilog="\b\nExamples:\n"
    "  regista alerts silence add --for 2h --comment 'new disks' node=db-1\n"
    "  regista alerts silence add --for 30m 'service=~web-.*' severity=warning"
)
@click.argument("matchers", nargs=-1, required=True, metavar="MATCHER...")
@click.option("--for", "duration", required=True, metavar="DURATION", help="For how long: 30m, 2h.")
@click.option("--starts", default="", metavar="TIME", help="From when on, with its zone. Default: now.")
@click.option("--comment", default="", metavar="TEXT", help="Why.")
@click.option("--author", default="", metavar="TEXT", help="Who says so. Default: the name you are logged in by.")
@json_option
@agent_options
def add(
    client: AgentClient,
    matchers: tuple[str, ...],
    *,
    duration: str,
    starts: str,
    comment: str,
    author: str,
    as_json: bool,
) -> None:
    """Silence the alerts that meet all MATCHERs.

    A MATCHER is label=value, label!=value, label=~pattern or label!~pattern.
    """
    body = {
        "matchers": matchers,
        "duration": duration,
        "comment": comment,
        "author": author or _own_name(),
        **({"starts": starts} if starts else {}),
    }
    answer = client.post(_PATH, body)
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    click.echo(f"Silence {found['id']} lasts from {found['starts']} to {found['ends']}.")


@silence.command(
    "list", epilog="\b\nExamples:\n  regista alerts silence list\n  regista alerts silence list --json"
)
@json_option
@agent_options
def list_(client: AgentClient, *, as_json: bool) -> None:
    """List the silences."""
    answer = client.get(_PATH)
    if as_json:
        print_body(answer)
        return
    rows = [
        (each["id"], each["state"], ", ".join(each["matchers"]), each["ends"], each["author"], each["comment"])
        for each in answer.decode()
    ]
    if not rows:
        click.echo("There are no silences.", err=True)
        return
    click.echo(table(("ID", "State", "Matchers", "Ends", "Author", "Comment"), rows))


@silence.command(epilog="\b\nExample:\n  regista alerts silence delete 909df1b6-453a-5321-cfa6-f8eb793df910")
@click.argument("silence_id", metavar="ID")
@agent_options
def delete(client: AgentClient, silence_id: str) -> None:
    """End the silence ID now."""
    client.delete((*_PATH, silence_id))
    click.echo(f"Deleted silence {silence_id}.")


def _own_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""  # a container may have no such name
