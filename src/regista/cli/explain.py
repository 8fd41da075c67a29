"""`regista explain`: why an instance is in an answer or not, what would remove it, and why it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table


@click.group(epilog="\b\nExamples:\n  regista explain instance web-1\n  regista explain service web --passing")
def explain() -> None:
    """Ask why an instance is in an answer or not, or is gone."""


@explain.command(
    epilog="\b\nExamples:\n  regista explain service web --passing\n  regista explain service web --version '^1.2'"
)
@click.argument("name")
@click.option("--passing", is_flag=True, help="As if only passing instances were asked for.")
@click.option("--tag", multiple=True, metavar="TAG", help="As if this tag were. May be repeated.")
@click.option("--meta", multiple=True, metavar="KEY:VALUE", help="As if this metadata were. May be repeated.")
@click.option("--version", default="", metavar="RANGE", help="As if versions in this range were.")
@click.option("--filter", "expression", default="", metavar="EXPRESSION", help="As if this filter were given.")
@click.option("--at", default="", metavar="POINT", help="As of then: an index, or a time in RFC 3339.")
@json_option
@agent_options
def service(
    client: AgentClient,
    name: str,
    *,
    passing: bool,
    tag: tuple[str, ...],
    meta: tuple[str, ...],
    version: str,
    expression: str,
    at: str,
    as_json: bool,
) -> None:
    """Say why instances of service NAME are in an answer or not."""
    asked: dict[str, Any] = {"tag": tag, "meta": meta, "version": version, "filter": expression, "at": at}
    parameters = {key: value for key, value in asked.items() if value} | ({"passing": "1"} if passing else {})
    answer = client.get(["regista", "explain", "service", name], parameters)
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    rows = [(each["id"], each["node"], _in_or_not(each), _because(each)) for each in found["instances"]]
    rows += [(each["id"], each["node"], "gone", f"{each['reason']}, {each['time']}") for each in found["gone"]]
    if not rows:
        click.echo(f"No instances of {name} are known.", err=True)
        return
    click.echo(table(("Instance", "Node", "Answer", "Because"), rows))


@explain.command(epilog="\b\nExamples:\n  regista explain instance web-1\n  regista explain instance db --node n2")
@click.argument("instance_id", metavar="ID")
@click.option("--node", default="", metavar="NAME", help="The instance's node, if several have that id.")
@json_option
@agent_options
def instance(client: AgentClient, instance_id: str, *, node: str, as_json: bool) -> None:
    """Tell the life of the instance ID. Says who registered it, what would remove it, or why it is gone."""
    answer = client.get(["regista", "explain", "instance", instance_id], {"node": node} if node else None)
    if as_json:
        print_body(answer)
        return
    click.echo("\n".join(one_line(sentence) for sentence in answer.decode()["chain"]))


def _in_or_not(judged: Mapping[str, Any]) -> str:
    return "yes" if judged["included"] else "no"


def _because(judged: Mapping[str, Any]) -> str:
    """What decided: all that is missing, or all that was found."""
    findings = [each for each in judged["findings"] if each["holds"] == judged["included"]]
    told = (f"{each['parameter']} {each['wanted']}: {each['because']}" for each in findings)
    return "; ".join(told) or "nothing else was asked for"
