"""`regista session`: sessions, which hold the locks of keys and end with the health of what they stand on."""

from __future__ import annotations

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body, table
from regista.model import format_duration

_NANOSECONDS = 1e9


@click.group(epilog="\b\nExample:\n  regista session create --name deploy --ttl 30s")
def session() -> None:
    """Create, renew and destroy sessions."""


@session.command(
    epilog="\b\nExamples:\n"
    "  regista session create --name deploy --ttl 30s\n"
    "  regista session create --ttl 1m --behavior delete --lock-delay 0s"
)
@click.option("--name", default="", metavar="TEXT", help="A name for people.")
@click.option("--ttl", default="", metavar="DURATION", help="It ends when it is not renewed for so long.")
@click.option("--lock-delay", default="", metavar="DURATION", help="How long its locks stay closed behind it.")
@click.option(
    "--behavior",
    type=click.Choice(["release", "delete"]),
    help="What becomes of its keys at its end. Default: release.",
)
@click.option("--node", default="", metavar="NAME", help="The node it stands on. Default: the agent's.")
@click.option("--check", "checks", multiple=True, metavar="ID", help="A check it needs. May be repeated.")
@json_option
@agent_options
def create(
    client: AgentClient,
    *,
    name: str,
    ttl: str,
    lock_delay: str,
    behavior: str | None,
    node: str,
    checks: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create a session, and print its id."""
    fields = {
        "Name": name,
        "TTL": ttl,
        "LockDelay": lock_delay,
        "Behavior": behavior or "",
        "Node": node,
        "Checks": list(checks),
    }
    answer = client.put(["session", "create"], {key: value for key, value in fields.items() if value})
    if as_json:
        print_body(answer)
    else:
        click.echo(answer.decode()["ID"])


@session.command("list", epilog="\b\nExamples:\n  regista session list\n  regista session list --node n1 --json")
@click.option("--node", default="", metavar="NAME", help="Only those of this node.")
@json_option
@agent_options
def list_(client: AgentClient, *, node: str, as_json: bool) -> None:
    """List the sessions."""
    answer = client.get(["session", "node", node] if node else ["session", "list"])
    if as_json:
        print_body(answer)
        return
    rows = [
        (item["ID"], item["Name"], item["Node"], item["TTL"] or "-", item["Behavior"]) for item in answer.decode()
    ]
    if not rows:
        click.echo("There are no sessions.", err=True)
        return
    click.echo(table(("ID", "Name", "Node", "TTL", "Behavior"), rows))


@session.command(epilog="\b\nExample:\n  regista session info 7e8a1c5a-7ad5-4ee5-b7a2-1c4a2f9f1d11")
@click.argument("session_id", metavar="ID")
@json_option
@agent_options
def info(client: AgentClient, session_id: str, *, as_json: bool) -> None:
    """Show one session."""
    answer = client.get(["session", "info", session_id])
    found = answer.decode()
    if as_json:
        print_body(answer)
    if not found:
        raise Failed(f"There is no session {session_id}.")
    if as_json:
        return
    item = found[0]
    rows = (
        ("ID", item["ID"]),
        ("Name", item["Name"] or "-"),
        ("Node", item["Node"]),
        ("TTL", item["TTL"] or "-"),
        ("Behavior", item["Behavior"]),
        ("LockDelay", format_duration(item["LockDelay"] / _NANOSECONDS)),
        ("Checks", ",".join(item.get("NodeChecks") or item.get("Checks") or ()) or "-"),
        ("CreateIndex", str(item["CreateIndex"])),
    )
    click.echo("\n".join(f"{name:<13}{value}" for name, value in rows))


@session.command(epilog="\b\nExample:\n  regista session renew 7e8a1c5a-7ad5-4ee5-b7a2-1c4a2f9f1d11")
@click.argument("session_id", metavar="ID")
@json_option
@agent_options
def renew(client: AgentClient, session_id: str, *, as_json: bool) -> None:
    """Begin the session's TTL anew."""
    answer = client.put(["session", "renew", session_id])
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Renewed session: {session_id}")


@session.command(epilog="\b\nExample:\n  regista session destroy 7e8a1c5a-7ad5-4ee5-b7a2-1c4a2f9f1d11")
@click.argument("session_id", metavar="ID")
@agent_options
def destroy(client: AgentClient, session_id: str) -> None:
    """End the session, and release or delete its keys."""
    client.put(["session", "destroy", session_id])
    click.echo(f"Destroyed session: {session_id}")
