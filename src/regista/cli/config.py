"""`regista config`: configuration entries, kept in the registry for all agents and proxies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from regista.cli.agent_room import agent_room
from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.input import read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body
from regista.model import ConfigError


@click.group(epilog="\b\nExample:\n  regista config list service-defaults")
def config() -> None:
    """Read and write the entries of the central configuration."""


@config.command(epilog="\b\nExample:\n  regista config read service-defaults web")
@click.argument("kind")
@click.argument("name")
@agent_options
def read(client: AgentClient, kind: str, name: str) -> None:
    """Print the entry NAME of KIND as JSON."""
    entry = client.get(["config", kind, name]).decode()
    click.echo(json.dumps(entry, indent=4, ensure_ascii=False))


@config.command(
    epilog="\b\nExamples:\n  regista config write web.hcl\n"
    '  echo \'{"Kind": "service-defaults", "Name": "web", "Protocol": "http"}\' | regista config write -'
)
@click.argument("file")
@click.option("--cas", is_flag=True, help="Only if the entry was last changed at --modify-index; 0: if it is new.")
@click.option("--modify-index", type=click.IntRange(0), default=0, metavar="INDEX", help="The index for --cas.")
@agent_options
def write(client: AgentClient, file: str, *, cas: bool, modify_index: int) -> None:
    """Write the entry in FILE, .json or .hcl, or - for standard input."""
    entry = _read_entry(file)
    found = {name.lower(): value for name, value in entry.items()}
    label = f"{found.get('kind', '')}/{found.get('name', '')}"
    answer = client.put(["config"], entry, {"cas": str(modify_index)} if cas else None)
    if answer.decode() is False:
        raise Failed(f"Config entry not updated: {label}")
    click.echo(f"Config entry written: {label}")


@config.command(
    "list",
    epilog="\b\nExamples:\n  regista config list service-defaults\n  regista config list proxy-defaults --json",
)
@click.argument("kind")
@json_option
@agent_options
def list_(client: AgentClient, kind: str, *, as_json: bool) -> None:
    """List the names of the entries of KIND."""
    answer = client.get(["config", kind])
    if as_json:
        print_body(answer)
        return
    for entry in answer.decode():
        click.echo(entry["Name"])


@config.command(epilog="\b\nExample:\n  regista config delete service-defaults web")
@click.argument("kind")
@click.argument("name")
@agent_options
def delete(client: AgentClient, kind: str, name: str) -> None:
    """Delete the entry NAME of KIND. One that is not there is deleted already."""
    client.delete(["config", kind, name])
    click.echo(f"Config entry deleted: {kind}/{name}")


def _read_entry(file: str) -> Mapping[str, Any]:
    try:
        if file == "-":
            content = agent_room().read_text(read_input("-").decode("utf-8", "replace"))
        else:
            content = agent_room().read_file(Path(file)).content
    except ConfigError as error:
        raise Failed(str(error)) from error
    assert isinstance(content, Mapping)
    return content
