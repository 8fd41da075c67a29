"""`regista members`: the agents that know each other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.options import agent_options, json_option
from regista.cli.tables import host_port, print_body, table

STATUSES = ("none", "alive", "leaving", "left", "failed")
"""By number. Source: Serf."""

NO_MATCH_CODE = 2
"""The exit code when no member matches. Source: Consul 1.9."""


@click.command(epilog="\b\nExamples:\n  regista members\n  regista members --detailed --status alive")
@click.option("--detailed", is_flag=True, help="Show every tag.")
@click.option("--status", "pattern", default=".*", metavar="REGEX", help="Only those whose status matches.")
@click.option("--wan", is_flag=True, help="The servers of all datacenters.")
@click.option("--segment", default="", metavar="TEXT", help="Only those of this network segment.")
@json_option
@agent_options
def members(client: AgentClient, *, detailed: bool, pattern: str, wan: bool, segment: str, as_json: bool) -> None:
    """List the agents, with their addresses and states. Exit code 2 if there is none that matches."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise click.UsageError(f"Failed to compile status regexp: {error}") from error
    parameters = {"wan": "1"} if wan else {}
    answer = client.get(["agent", "members"], {**parameters, **({"segment": segment} if segment else {})})
    if as_json:
        print_body(answer)
        return
    found = [item for item in answer.decode() if wanted.fullmatch(_status(item))]
    if not found:
        raise Failed("No members match.", code=NO_MATCH_CODE)
    found.sort(key=lambda item: (item["Tags"].get("dc", ""), item["Name"]))
    click.echo(_detailed(found) if detailed else _standard(found))


def _standard(found: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for item in found:
        tags = item["Tags"]
        is_server = tags.get("role") == "consul"
        rows.append(
            (
                item["Name"],
                host_port(item["Addr"], item["Port"]),
                _status(item),
                "server" if is_server else "client",
                tags.get("build", "").partition(":")[0] or "< 0.3",
                tags.get("vsn", ""),
                tags.get("dc", ""),
                tags.get("segment") or ("<all>" if is_server else "<default>"),
            )
        )
    return table(("Node", "Address", "Status", "Type", "Build", "Protocol", "DC", "Segment"), rows)


def _detailed(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            item["Name"],
            host_port(item["Addr"], item["Port"]),
            _status(item),
            ",".join(f"{name}={value}" for name, value in sorted(item["Tags"].items())),
        )
        for item in found
    ]
    return table(("Node", "Address", "Status", "Tags"), rows)


def _status(item: Mapping[str, Any]) -> str:
    number = item["Status"]
    return STATUSES[number] if 0 <= number < len(STATUSES) else "unknown"
