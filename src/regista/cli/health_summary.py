"""`regista health summary`: how everything is, in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table

_STATES = ("passing", "warning", "critical", "draining", "maintenance")


@click.command(
    "summary",
    epilog="\b\nExamples:\n  regista health summary\n  regista health summary --status critical\n"
    "  regista health summary --by node --json",
)
@click.option(
    "--by", type=click.Choice(("service", "node")), default="service", help="What is listed. Default: service."
)
@click.option("--service", default="", metavar="NAME", help="List this service only.")
@click.option("--status", type=click.Choice(_STATES), default=None, help="List those in this status only.")
@click.option("--after", default="", metavar="NAME", help="List what comes behind this name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, help="How many at the most. Default: 100.")
@json_option
@agent_options
def summary(
    client: AgentClient, *, by: str, service: str, status: str | None, after: str, limit: int, as_json: bool
) -> None:
    """Count nodes, services and instances by status. Lists the services, or the nodes."""
    asked = {"by": by, "service": service, "status": status or "", "after": after, "limit": str(limit)}
    answer = client.get(["regista", "health", "summary"], {key: value for key, value in asked.items() if value})
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    rows = [(what, *_counted(found[what])) for what in ("nodes", "services", "instances")]
    click.echo(table(("", "All", *(state.title() for state in _STATES)), rows))
    for line in _remarks(found):
        click.echo(line)
    if not found["list"]:
        return
    click.echo()
    head = (by.title(), "Status", "Instances", *(state.title() for state in _STATES), "Remarks")
    listed = [
        (each["name"], each["status"], *_counted(each["instances"]), _remark(each)) for each in found["list"]
    ]
    click.echo(table(head, listed))
    if found["next"] is not None:
        click.echo(f"There are more: --after {one_line(found['next'])}", err=True)


def _counted(counts: Mapping[str, int]) -> tuple[str, ...]:
    return (str(counts["all"]), *(str(counts[state] or "-") for state in _STATES))


_COUNTED = (
    (
        "panicking",
        "service gives out all its instances",
        "services give out all their instances",
        "as too few are passing",
    ),
    (
        "flapping",
        "check is held at its worse status",
        "checks are held at their worse status",
        "for changing too often",
    ),
    ("suspects", "instance is kept", "instances are kept", "though silent"),
    ("ejected", "instance is taken out", "instances are taken out", "for what callers report"),
)
"""Numbers of the summary: for one, for several, and why."""


def _remarks(found: Mapping[str, Any]) -> Iterator[str]:
    """What is out of the ordinary, in sentences."""
    if not found["store"]["writable"]:
        yield f"The store can't be written since {found['store']['unwritable_s']:g}s: answers are stale."
    if found["agent"]["abstains"]:
        yield one_line(found["agent"]["abstains"])
    if not found["agent"]["protection_enabled"]:
        yield "Mass-expiry protection is switched off; `regista health protection on` switches it on."
    for each in found["protections"]:
        yield one_line(each["sentence"])
    for what, one, several, because in _COUNTED:
        if count := found[what]:
            yield f"{count} {one if count == 1 else several}, {because}."


def _remark(listed: Mapping[str, Any]) -> str:
    words = [f"{listed[what]} {what}" for what in ("flapping", "suspects", "ejected") if listed[what]]
    if listed.get("panic", {}).get("is_on"):
        words.insert(0, "panic")
    return ", ".join(words)
