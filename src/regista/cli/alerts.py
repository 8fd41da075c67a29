"""`regista alerts`: what is wrong just now, and with further words the rules, channels and silences."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.alert_channels import channels
from regista.cli.alert_rules import rules
from regista.cli.alert_silences import silence
from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table

_LIST = "list"


class _Alerts(click.Group):
    """A group whose command is `list` where no word says otherwise: `regista alerts --history`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Puts the command in front that is left out as a rule."""
        if not args or (args[0].startswith("-") and args[0] not in self.get_help_option_names(ctx)):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Alerts,
    epilog="\b\nExamples:\n"
    "  regista alerts\n"
    "  regista alerts --history --rule web-down\n"
    "  regista alerts rules write web-down @web-down.json\n"
    "  regista alerts silence add --for 2h --comment 'new disks' node=db-1",
)
def alerts() -> None:
    """Show what is wrong, and say who is told of it. `regista alerts` is short for `regista alerts list`."""


@alerts.command(_LIST, epilog="\b\nExamples:\n  regista alerts\n  regista alerts list --state firing --json")
@click.option(
    "--state",
    type=click.Choice(("pending", "firing", "resolved")),
    help="Only alerts in this state.",
)
@click.option("--rule", default="", metavar="NAME", help="Only alerts of this rule.")
@click.option("--history", is_flag=True, help="Also alerts that have ended.")
@click.option(
    "--limit", type=click.IntRange(0, 100_000), default=1000, help="How many at the most. Default: 1000."
)
@json_option
@agent_options
def list_(client: AgentClient, *, state: str | None, rule: str, history: bool, limit: int, as_json: bool) -> None:
    """List the alerts, those that fire first."""
    parameters = {"limit": str(limit)}
    parameters |= {"state": state} if state else {}
    parameters |= {"rule": rule} if rule else {}
    parameters |= {"history": "true"} if history else {}
    answer = client.get(("regista", "alerts"), parameters)
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    if found["alerts"]:
        head = ("State", "Severity", "Rule", "Since", "Until", "What")
        click.echo(table(head, [_row(each) for each in found["alerts"]]))
    else:
        click.echo("There are no alerts.", err=True)
    if found["alerts_left_out"]:
        click.echo(
            f"There are {found['alerts_left_out']} more: --limit {limit + found['alerts_left_out']}", err=True
        )
    if found["not_followed"]:
        click.echo("More is wrong than is followed; see alerts.active_max.", err=True)


def _row(each: Any) -> tuple[str, ...]:
    state = each["state"] + (" (silenced)" if each["silenced_by"] else "")
    what = one_line(each["annotations"].get("summary") or each["sentence"], width_max=100)
    return state, each["severity"], each["rule"], each["since"] or "", each["resolved_at"] or "", what


alerts.add_command(rules)
alerts.add_command(channels)
alerts.add_command(silence)
