"""`regista dns`: what a name is answered with over DNS, and why each instance is in that answer or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.options import agent_options, json_option
from regista.cli.tables import host_port, one_line, print_body, table


@click.command(
    epilog="\b\nExamples:\n  regista dns web\n  regista dns v1.web.service.consul --type SRV\n"
    "  regista dns 10.0.0.7 --type PTR"
)
@click.argument("name")
@click.option(
    "--type", "qtype", default="A", show_default=True, metavar="TYPE", help="The type of record: A, AAAA, SRV…"
)
@json_option
@agent_options
def dns(client: AgentClient, name: str, *, qtype: str, as_json: bool) -> None:
    """Show what NAME is answered with over DNS, and explain it.

    Each instance that the name could mean is listed with why it is in the answer, or is not. A NAME of one label
    is that of a service; with --type PTR, an address is one. The agent is asked over HTTP, so nothing between it
    and you has a say.
    """
    if not name.strip("."):
        raise click.UsageError(
            f'"{name}" is the name of nothing that an agent knows; give that of a service, or one such as '
            "web.service.consul."
        )
    answer = client.get(["regista", "dns", name], {"type": qtype})
    if as_json:
        print_body(answer)
        return
    click.echo("\n\n".join(_told(answer.decode())))


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    """The parts of what is shown."""
    asked = f"{found['name']} {found['type']}: {found['rcode']}"
    yield one_line(f"{asked} ({found['meaning']})")
    records = [
        (each["name"], str(each["ttl"]), each["type"], each["data"])
        for section in ("answer", "authority", "additional")
        for each in found[section]
    ]
    if records:
        yield table((), records)
    if found["because"]:
        yield "\n".join(one_line(sentence) for sentence in found["because"])
    instances = [
        (
            each["id"],
            each["node"],
            host_port(each["address"], each["port"]),
            "yes" if each["included"] else "no",
            each["because"],
        )
        for each in found["instances"]
    ]
    if instances:
        yield table(("Instance", "Node", "Address", "Answer", "Because"), instances)
