"""`regista maint`: maintenance, in which a node or an instance is given to nobody."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body

NODE_CHECK = "_node_maintenance"
SERVICE_CHECK_PREFIX = "_service_maintenance:"


@click.command(
    epilog="\b\nExamples:\n"
    "  regista maint --enable --reason 'new disk'\n"
    "  regista maint --enable --service web-1\n"
    "  regista maint --disable\n"
    "  regista maint"
)
@click.option("--enable", is_flag=True, help="Begin maintenance.")
@click.option("--disable", is_flag=True, help="End it.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who look at the check.")
@click.option("--service", default="", metavar="ID", help="One instance of this agent, instead of its node.")
@json_option
@agent_options
def maint(client: AgentClient, *, enable: bool, disable: bool, reason: str, service: str, as_json: bool) -> None:
    """Begin or end maintenance of the node or an instance. Without flags, list what is in it."""
    if enable and disable:
        raise click.UsageError("Only one of -enable or -disable may be provided")
    if reason and not enable:
        raise click.UsageError("Reason may only be provided with -enable")
    if service and not (enable or disable):
        raise click.UsageError("Service requires either -enable or -disable")
    if not (enable or disable):
        _list(client, as_json=as_json)
        return
    parameters = {"enable": "true" if enable else "false", **({"reason": reason} if reason else {})}
    state = "enabled" if enable else "disabled"
    if service:
        client.put(["agent", "service", "maintenance", service], parameters=parameters)
        click.echo(f'Service maintenance is now {state} for "{service}"')
    else:
        client.put(["agent", "maintenance"], parameters=parameters)
        click.echo(f"Node maintenance is now {state}")


def _list(client: AgentClient, *, as_json: bool) -> None:
    answer = client.get(["agent", "checks"])
    if as_json:
        print_body(answer)
        return
    for check_id, check in sorted(answer.decode().items()):
        if check_id == NODE_CHECK:
            click.echo(f"Node:\n  Name:   {check['Node']}\n  Reason: {one_line(check['Notes'])}\n")
        elif check_id.startswith(SERVICE_CHECK_PREFIX):
            click.echo(f"Service:\n  ID:     {check['ServiceID']}\n  Reason: {one_line(check['Notes'])}\n")
