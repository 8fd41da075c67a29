"""`regista services drain`: taking an instance out, and knowing when its callers have heard of it."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.client import TIMEOUT_S, AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table
from regista.model import parse_duration_s

_ASKS_WIDTH_MAX = 60
_PROGRAM_WIDTH_MAX = 30


@click.command(
    epilog="\b\nExamples:\n"
    "  regista services drain web-1 --wait 30s && kill $pid\n"
    "  regista services drain web-1 --for 5m --reason 'new disk'\n"
    "  regista services drain web-1 --cancel\n"
    "\b\n"
    "Ends with 0 if every watcher has passed, and with 1 if there are laggards; the\n"
    "instance drains in either case. Without --wait it is always 0."
)
@click.argument("service_id", metavar="ID")
@click.option("--for", "for_", default="", metavar="DURATION", help="Until it is deregistered. Default: 30s.")
@click.option("--wait", default="", metavar="DURATION", help="Wait so long for those who follow the service.")
@click.option("--cancel", is_flag=True, help="End the drain; the instance is as its other checks say.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who look at the check.")
@json_option
@agent_options
def drain(
    client: AgentClient, service_id: str, *, for_: str, wait: str, cancel: bool, reason: str, as_json: bool
) -> None:
    """Take the instance ID out, and deregister it after a while.

    Nobody is given it any more from now on. With --wait, those who follow the service with blocking queries are
    waited for, and those who do not ask again in time are listed: they may still call the instance.
    """
    path = ["agent", "service", "drain", service_id]
    if cancel:
        if for_ or wait:
            raise click.UsageError("--cancel ends a drain; --for and --wait have no meaning with it.")
        client.delete(path, {"reason": reason} if reason else None)
        click.echo(f"Drain cancelled: {service_id}")
        return
    parameters = {name: text for name, text in (("for", for_), ("wait", wait), ("reason", reason)) if text}
    answer = client.put(path, parameters=parameters, timeout_s=TIMEOUT_S + _seconds(wait, "--wait"))
    found = answer.decode()
    if as_json:
        print_body(answer)
    else:
        _show(found)
    if wait and found["Laggards"]:
        click.get_current_context().exit(1)


def _seconds(text: str, option: str) -> float:
    try:
        return max(0.0, parse_duration_s(text)) if text else 0.0
    except ValueError as error:
        raise click.UsageError(f'{option} "{text}" is not a duration; write it as 30s, 1m30s or 500ms.') from error


def _show(found: dict[str, Any]) -> None:
    click.echo(f"Draining service: {found['ID']}, deregistered at {found['Ends']}")
    count, passed = found["Watchers"], found["Passed"]
    click.echo(f"{passed} of {count} watchers of {found['Service']} have passed index {found['Index']}.")
    if not found["Complete"]:
        click.echo("There were more watchers than the agent keeps (http.watchers_max), so there may be others.")
    if found["Laggards"]:
        rows = [
            (
                each["Address"],
                one_line(each["UserAgent"], width_max=_PROGRAM_WIDTH_MAX) or "-",
                each["State"],
                each["Since"],
                one_line(each["Asks"], width_max=_ASKS_WIDTH_MAX),
            )
            for each in found["Laggards"]
        ]
        click.echo(table(("Laggard", "Program", "State", "Since", "Asks"), rows))
        left = count - passed - len(rows)
        if left:
            click.echo(f"and {left} more")
