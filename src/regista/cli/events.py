"""`regista events`: what changed and what changes, as lines for people or as JSON."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from regista.cli.client import AgentClient
from regista.cli.event_stream import REREAD, Heard, follow_events, past_events
from regista.cli.follow import Lost
from regista.cli.options import agent_options
from regista.cli.tables import one_line

_OUTPUT_WIDTH_MAX = 160
"""What a check said may be a page; with --json it is all there."""


@click.command(
    epilog="\b\nExamples:\n"
    "  regista events --follow\n"
    "  regista events --service web --type service.health_changed\n"
    "  regista events --status critical --follow --json | ./on-critical\n"
    "  regista events --after 1042 --type kv --key web/"
)
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option(
    "--after",
    default="",
    metavar="ID",
    help="Only what came after this event, or index. Default: all that the log has, with --follow what comes.",
)
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Only this type, or all of a kind: kv.created, service. May be repeated, as all that follow.",
)
@click.option("--service", multiple=True, metavar="NAME", help="Only of this service.")
@click.option("--tag", multiple=True, metavar="TAG", help="Only of instances with this tag.")
@click.option("--status", multiple=True, metavar="STATUS", help="Only changes of health to this status.")
@click.option("--node", multiple=True, metavar="NAME", help="Only of this node.")
@click.option("--key", default="", metavar="PREFIX", help="Only of keys that begin with this.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print each event as a line of JSON, in the CloudEvents form."
)
@agent_options
def events(client: AgentClient, *, follows: bool, after: str, as_json: bool, **wanted: Any) -> None:
    """List what changed, or --follow it as it happens. Oldest first, with who brought it about and why.

    An agent that goes away is waited for, and nothing is missed or told twice. Where the log does not reach back
    as far as was asked, that is said on standard error, and with --json as an event of the type regista.reread.
    """
    words = {"type": wanted["types"], **{name: wanted[name] for name in ("service", "tag", "status", "node")}}
    parameters = {name: ",".join(values) for name, values in words.items() if values}
    parameters |= {name: text for name, text in (("key", wanted["key"]), ("after", after)) if text}
    try:
        if follows:
            show_events(client, parameters, as_json=as_json, sleep=time.sleep)
        else:
            list_events(client, parameters, as_json=as_json)
    except KeyboardInterrupt:
        click.echo(err=True)


def show_events(
    client: AgentClient, parameters: Mapping[str, str], *, as_json: bool, sleep: Callable[[float], None]
) -> None:
    """Prints the events as they come, for ever.

    Raises:
        AgentUnreachable, AgentRefused: see `follow_events`.
    """
    for said in follow_events(client, parameters, sleep=sleep):
        if isinstance(said, Lost):
            click.echo(f"{time.strftime('%H:%M:%S')} {said.problem} Trying again.", err=True)
        elif isinstance(said, Heard):
            _print_event(said, as_json=as_json)


def list_events(client: AgentClient, parameters: Mapping[str, str], *, as_json: bool) -> None:
    """Prints the events up to now.

    Raises:
        AgentUnreachable, AgentRefused: see there.
    """
    is_empty = True
    for said in _kept_events(client, parameters):
        if said.type != REREAD:
            is_empty = False
        elif "after" not in parameters:
            # Nobody asked for more than the log has.
            click.echo(f"The log begins after index {said.content['data']['kept_after']}.", err=True)
            continue
        _print_event(said, as_json=as_json)
    if is_empty:
        click.echo("No such events.", err=True)


def _kept_events(client: AgentClient, parameters: Mapping[str, str]) -> Iterator[Heard]:
    """The events up to now; where some are no longer in the log, a word of it and then all that are."""
    after: str | None = parameters.get("after", "0")
    while after is not None:
        asked, after = {**parameters, "after": after}, None
        for said in past_events(client, asked):
            yield said
            if said.type == REREAD:
                # The stream would go on from now; but what is left of the log is wanted.
                kept_after = said.content["data"]["kept_after"]
                after = None if kept_after is None else str(kept_after)
                break


def _print_event(said: Heard, *, as_json: bool) -> None:
    if said.type == REREAD:
        click.echo(_gap_text(said.content["data"]), err=True)
    if as_json:
        click.echo(said.text)
    elif said.type != REREAD:
        click.echo(event_text(said.content))


def _gap_text(gap: Mapping[str, Any]) -> str:
    if gap["kept_after"] is None:
        return f"This log has come to index {gap['index']} only, not {gap['after']}. Read anew what you need."
    return (
        f"What happened between the indexes {gap['after']} and {gap['kept_after']} is no longer in the log. Read "
        "anew what you need."
    )


# ---- words ----


def event_text(event: Mapping[str, Any]) -> str:
    """One line: when, what, of whom, how it is now, and who brought it about."""
    data = event["data"]
    parts = [_local_time(event["time"]), event["type"], event.get("subject", "")]
    return one_line(
        f"{' '.join(parts)}{_change_text(event['type'], data)} ({_cause_text(data.get('cause') or {})})"
    )


def _change_text(event_type: str, data: Mapping[str, Any]) -> str:
    kind, _, word = event_type.partition(".")
    if word == "health_changed":
        was, status = data["was"] or "new", data["status"] or "gone"
        output = one_line(data["output"], width_max=_OUTPUT_WIDTH_MAX)
        return f" {data['name'] or data['check']}: {was} → {status}" + (f": {output}" if output else "")
    if kind == "service":
        return _instance_text(data)
    if kind == "node" and data["address"]:
        return f" {data['address']}"
    if kind == "kv" and word != "deleted":
        held = f", held by session {data['session']}" if data["session"] else ""
        return f" {data['value_bytes']} {'byte' if data['value_bytes'] == 1 else 'bytes'}{held}"
    return ""


def _instance_text(data: Mapping[str, Any]) -> str:
    host = f"[{data['address']}]" if ":" in data["address"] else data["address"]
    address = f"{host}:{data['port']}" if data["port"] else host
    tags = ",".join(data["tags"])
    checks = ", ".join(f"{check['id']} {check['status']}" for check in data["checks"])
    return "".join(f" {text}" for text in (address, f"[{tags}]" if tags else "", checks) if text)


def _cause_text(cause: Mapping[str, str]) -> str:
    """Who did it and why."""
    if cause.get("kind", "unknown") == "request":
        parts = [cause.get("path", "") or "a request", f"from {cause['source']}" if cause.get("source") else ""]
    else:
        parts = [cause.get("kind", "unknown"), cause.get("source", "")]
    who = " ".join(part for part in parts if part)
    return f"{who}: {cause['reason']}" if cause.get("reason") else who


def _local_time(text: str) -> str:
    """The time where this program runs."""
    return dt.datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
