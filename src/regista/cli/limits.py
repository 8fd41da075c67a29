"""`regista limits`: every limit of an agent, how much is in use, and what was refused."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table


@click.command(epilog="\b\nExamples:\n  regista limits\n  regista limits --refused\n  regista limits --json")
@click.option("--refused", is_flag=True, help="List only limits for which something was refused.")
@json_option
@agent_options
def limits(client: AgentClient, *, refused: bool, as_json: bool) -> None:
    """List the limits, and how much of each is in use. Also says how often it was why something was refused."""
    answer = client.get(["regista", "limits"], {})
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    rows = [
        (each["name"], str(each["max"]), _told(each["used"]), str(each["refused"] or "-"))
        for each in found["limits"]
        if each["refused"] or not refused
    ]
    click.echo(table(("Limit", "Max", "Used", "Refused"), rows))
    load = found["overload"]
    shed = ", ".join(f"{count} {name}" for name, count in load["refused"].items() if count)
    if shed:
        click.echo(f"\nRefused because there was too much to do: {shed}.")
    if load["refused_classes"]:
        cause = load["cause"]
        click.echo(
            f"\nRefused now: {', '.join(load['refused_classes'])}, for "
            f"{one_line(cause['name'])} ({cause['used']} of {cause['max']})."
        )


def _told(used: int | None) -> str:
    return "-" if used is None else str(used)
