"""`regista report`: what a caller of a service found."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body

OUTCOMES = ("success", "5xx", "gateway", "timeout", "connect", "reset")


@click.command(
    epilog="\b\nExamples:\n"
    "  regista report web web-1 --outcome connect\n"
    "  regista report web web-1 --outcome success --count 40 --latency-ms 12.5\n"
    "  regista report web web-1 --outcome 503"
)
@click.argument("service")
@click.argument("instance_id", metavar="ID")
@click.option(
    "--outcome",
    required=True,
    metavar="WORD",
    help=f"How the requests went: {', '.join(OUTCOMES)}, or the status code of an HTTP answer.",
)
@click.option("--count", default=1, metavar="N", type=click.IntRange(min=1), help="How many requests. Default: 1.")
@click.option("--latency-ms", type=float, metavar="MS", help="How long they took on average, in milliseconds.")
@click.option("--node", default="", metavar="NAME", help="The instance's node, if its id is on several.")
@json_option
@agent_options
def report(
    client: AgentClient,
    service: str,
    instance_id: str,
    *,
    outcome: str,
    count: int,
    latency_ms: float | None,
    node: str,
    as_json: bool,
) -> None:
    """Report how requests to the instance ID of SERVICE went."""
    if outcome not in OUTCOMES and not (outcome.isascii() and outcome.isdigit()):
        raise click.UsageError(f"--outcome is one of {', '.join(OUTCOMES)}, or the status code of an HTTP answer")
    fields = {
        "service": service,
        "id": instance_id,
        "outcome": int(outcome) if outcome.isdigit() else outcome,
        "count": count,
        **({"latency_ms": latency_ms} if latency_ms is not None else {}),
        **({"node": node} if node else {}),
    }
    answer = client.put(["regista", "report"], {"reports": [fields]})
    if as_json:
        print_body(answer)
    elif not answer.decode()["accepted"]:
        raise click.ClickException(
            f'no instance "{instance_id}" of service "{service}" is known, or several nodes have one; then name '
            "its --node"
        )
