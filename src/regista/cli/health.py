"""`regista health`: how the instances of a service are, and with `summary` how everything is."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.health_protection import protection
from regista.cli.health_summary import summary
from regista.cli.instances import decode_instances
from regista.cli.options import agent_options
from regista.cli.tables import print_body, table

_OF_SERVICE = "of"


class _Health(click.Group):
    """A group whose command is `of` wherever the first word is none of the others: `regista health web`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the command in front that is left out as a rule."""
        if args and args[0] not in (*self.commands, *self.get_help_option_names(ctx)):
            args = [_OF_SERVICE, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Health,
    epilog="\b\nExamples:\n  regista health web\n  regista health web --passing --json\n  regista health summary",
)
def health() -> None:
    """Show how one service is, or all. `regista health NAME` is short for `regista health of NAME`."""


@health.command(_OF_SERVICE, epilog="\b\nExamples:\n  regista health web\n  regista health of summary --passing")
@click.argument("name")
@click.option("--passing", is_flag=True, help="Only instances whose every check is passing.")
@click.option("--json", "as_json", is_flag=True, help="Print what the server said.")
@agent_options
def of_service(client: AgentClient, name: str, *, passing: bool, as_json: bool) -> None:
    """Show the health of the instances of service NAME. `of` is needed for one called as a command is."""
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


health.add_command(summary)
health.add_command(protection)
