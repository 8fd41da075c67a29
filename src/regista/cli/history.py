"""`regista history`: what changed, by whom, and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table

_LIMIT = 100


@click.command(
    epilog="\b\nExamples:\n  regista history --service web\n  regista history --from 2026-11-24T07:00:00Z"
)
@click.option("--from", "from_point", default="", metavar="POINT", help="After this index or time. Default: all.")
@click.option("--to", "to_point", default="", metavar="POINT", help="Up to this index or time. Default: now.")
@click.option("--kind", default="", metavar="KIND", help="Only this kind of record: service, check, node, kv, …")
@click.option("--key", default="", metavar="KEY", help="Only this record, such as n1/web-1.")
@click.option("--service", default="", metavar="NAME", help="Only what belongs to this service.")
@click.option("--limit", default=_LIMIT, metavar="COUNT", help=f"How many changes at the most. Default: {_LIMIT}.")
@json_option
@agent_options
def history(
    client: AgentClient,
    *,
    from_point: str,
    to_point: str,
    kind: str,
    key: str,
    service: str,
    limit: int,
    as_json: bool,
) -> None:
    """List what changed, who brought it about, and why. The oldest comes first."""
    asked = {"from": from_point, "to": to_point, "kind": kind, "key": key, "service": service, "limit": str(limit)}
    answer = client.get(["regista", "history"], {name: value for name, value in asked.items() if value})
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    if found["changes"]:
        rows = [_row(change) for change in found["changes"]]
        click.echo(table(("Index", "Time", "Change", "Kind", "Key", "By", "Why"), rows))
    else:
        click.echo("Nothing changed.", err=True)
    if found["next"]:
        click.echo(f"There is more: go on with --from {found['next']}", err=True)


def _row(change: Mapping[str, Any]) -> tuple[str, ...]:
    cause = change["cause"]
    by = f"{cause['source']} {cause['path']}".strip() if cause["kind"] == "request" else cause["kind"]
    return (
        str(change["index"]),
        change["time"],
        change["change"],
        change["kind"],
        change["key"],
        by or "request",
        cause["reason"],
    )
