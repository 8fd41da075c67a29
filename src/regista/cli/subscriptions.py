"""`regista subscriptions`: webhooks, which have events sent to a URL."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.input import read_bytes, read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import one_line, print_body, table

F = TypeVar("F", bound=Callable[..., Any])

_PATH = ("regista", "subscriptions")

_SENDING_S = 45.0
"""A test takes as long as its receiver, and a replay at most half a minute."""

_SHOWN_ONLY = ("id", "previous_secret_until", "disabled_because", "created_index", "modify_index", "status")

_SECRET_BYTES = 32

_LISTS = (
    ("type", "types", "Only events of this type, or of all of a kind: kv. May be repeated, as all of these."),
    ("service", "services", "Only events of this service."),
    ("tag", "tags", "Only events of instances with this tag."),
    ("status", "statuses", "Only changes of health to this status."),
    ("node", "nodes", "Only events of this node."),
)
"""Option, field and meaning."""


def _wish_options(command: F) -> F:
    """The options that say what is wanted, and how it is sent."""
    command = click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        help="Send this header with each event; @FILE stands for a file's content.",
    )(command)
    command = click.option(
        "--secret-file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A file with the secret to sign with.",
    )(command)
    command = click.option("--key-prefix", metavar="TEXT", help="Only events of keys that begin with this.")(
        command
    )
    for option, field, text in reversed(_LISTS):
        command = click.option(f"--{option}", field, multiple=True, metavar="WORD", help=text)(command)
    return click.option("--name", metavar="TEXT", help="What it is called.")(command)


@click.group(epilog="\b\nExample:\n  regista subscriptions create https://example.com/hook --type service")
def subscriptions() -> None:
    """Have events sent to a URL, and see how that is getting on."""


@subscriptions.command(
    "list", epilog="\b\nExamples:\n  regista subscriptions list\n  regista subscriptions list --json"
)
@json_option
@agent_options
def list_(client: AgentClient, *, as_json: bool) -> None:
    """List the subscriptions, and how far behind each is."""
    answer = client.get(_PATH)
    if as_json:
        print_body(answer)
        return
    rows = [
        (
            each["id"],
            each["name"],
            each["url"],
            _state_word(each),
            f"{each['status']['behind_s']:.0f}s" if each["status"] else "",
            str(each["status"]["dead_letters"]) if each["status"] else "",
        )
        for each in answer.decode()
    ]
    if not rows:
        click.echo("There are no subscriptions.", err=True)
        return
    click.echo(table(("ID", "Name", "URL", "State", "Behind", "Dead letters"), rows))


@subscriptions.command(
    epilog="\b\nExamples:\n"
    "  regista subscriptions create https://example.com/hook --name deploys --type service --tag v2\n"
    "  regista subscriptions create http://10.0.0.5:8000/ --secret-file a.secret --header Authorization=@a.token"
)
@click.argument("url")
@_wish_options
@click.option("--after", "after_index", type=click.IntRange(0), metavar="INDEX", help="Begin after this index.")
@json_option
@agent_options
def create(
    client: AgentClient,
    url: str,
    *,
    after_index: int | None,
    secret_file: Path | None,
    as_json: bool,
    **wish: Any,
) -> None:
    """Have events sent to URL. Without --secret-file a secret is made, and printed this once."""
    secret = _read_secret(secret_file) if secret_file else secrets.token_urlsafe(_SECRET_BYTES)
    body = {"url": url, "secret": secret, **_said(wish)}
    if after_index is not None:
        body["after_index"] = after_index
    answer = client.post(_PATH, body)
    if as_json:
        print_body(answer)
    else:
        click.echo(answer.decode()["id"])
    if secret_file is None:
        click.echo(f"The secret, which is shown only now: {secret}", err=True)


@subscriptions.command(epilog="\b\nExample:\n  regista subscriptions show 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10")
@click.argument("subscription", metavar="ID")
@json_option
@agent_options
def show(client: AgentClient, subscription: str, *, as_json: bool) -> None:
    """Say all that is known of the subscription ID."""
    answer = client.get((*_PATH, subscription))
    if as_json:
        print_body(answer)
        return
    found = answer.decode()
    status = found.pop("status") or {}
    rows = [
        (name, _told(value))
        for name, value in (*found.items(), *status.items())
        if value not in (None, [], {}, "")
    ]
    click.echo(table((), rows))


@subscriptions.command(
    epilog="\b\nExamples:\n"
    "  regista subscriptions update 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10 --disable\n"
    "  regista subscriptions update 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10 --secret-file new.secret"
)
@click.argument("subscription", metavar="ID")
@click.option("--url", metavar="URL", help="Where to send to.")
@_wish_options
@click.option("--enable/--disable", "enabled", default=None, help="Send, or keep what is to be sent for later.")
@json_option
@agent_options
def update(
    client: AgentClient,
    subscription: str,
    *,
    url: str | None,
    enabled: bool | None,
    secret_file: Path | None,
    as_json: bool,
    **wish: Any,
) -> None:
    """Change the subscription ID in what the options say. A list takes the place of the one before."""
    body = client.get((*_PATH, subscription)).decode()
    for name in _SHOWN_ONLY:
        body.pop(name, None)
    said = _said(wish)
    body["headers"] = {**body["headers"], **said.pop("headers", {})}
    body.update(said)
    if url is not None:
        body["url"] = url
    if enabled is not None:
        body["enabled"] = enabled
    if secret_file is not None:
        body["secret"] = _read_secret(secret_file)
    answer = client.put((*_PATH, subscription), body)
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Updated subscription: {subscription}")


@subscriptions.command(epilog="\b\nExample:\n  regista subscriptions delete 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10")
@click.argument("subscription", metavar="ID")
@agent_options
def delete(client: AgentClient, subscription: str) -> None:
    """Delete the subscription ID, with its dead letters."""
    client.delete((*_PATH, subscription))
    click.echo(f"Deleted subscription: {subscription}")


@subscriptions.command(epilog="\b\nExample:\n  regista subscriptions test 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10")
@click.argument("subscription", metavar="ID")
@json_option
@agent_options
def test(client: AgentClient, subscription: str, *, as_json: bool) -> None:
    """Send a test event, and say what came of it. Exits with 2 if it was not delivered."""
    answer = client.post((*_PATH, subscription, "test"), {}, timeout_s=_SENDING_S)
    found = answer.decode()
    if as_json:
        print_body(answer)
    elif found["delivered"]:
        click.echo(f"Delivered {found['id']} in {found['took_ms']:g} ms: the receiver answered {found['status']}.")
    if not found["delivered"]:
        raise Failed(f"Not delivered: {found['error']}", code=2)


@subscriptions.command(
    "dead-letters",
    epilog="\b\nExamples:\n"
    "  regista subscriptions dead-letters 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10\n"
    "  regista subscriptions dead-letters 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10 --delete --event 42.0",
)
@click.argument("subscription", metavar="ID")
@click.option("--limit", type=click.IntRange(0, 100_000), default=100, help="At most so many. Default: 100.")
@click.option("--delete", "is_deleted", is_flag=True, help="Give them up, all or that of --event.")
@click.option("--event", default="", metavar="EVENT", help="With --delete: only that of this event.")
@json_option
@agent_options
def dead_letters(
    client: AgentClient, subscription: str, *, limit: int, is_deleted: bool, event: str, as_json: bool
) -> None:
    """List or delete the events that could not be delivered. They are those of the subscription ID."""
    path = (*_PATH, subscription, "dead-letters")
    if is_deleted:
        answer = client.delete(path, {"event": event} if event else None)
        click.echo(f"Deleted dead letters: {answer.decode()['deleted']}")
        return
    answer = client.get(path, {"limit": str(limit)})
    if as_json:
        print_body(answer)
        return
    rows = [
        (each["event"], each["type"], each["time"], str(each["attempts"]), each["error"])
        for each in answer.decode()
    ]
    if not rows:
        click.echo("There are no dead letters.", err=True)
        return
    click.echo(table(("Event", "Type", "Given up", "Attempts", "Why"), rows))


@subscriptions.command(
    epilog="\b\nExamples:\n"
    "  regista subscriptions replay 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10\n"
    "  regista subscriptions replay 2f0c6a1e-8d4b-4c8e-9d57-9f4c1c2b7a10 --event 42.0"
)
@click.argument("subscription", metavar="ID")
@click.option("--event", default="", metavar="EVENT", help="Only the dead letter of this event. Default: all.")
@json_option
@agent_options
def replay(client: AgentClient, subscription: str, *, event: str, as_json: bool) -> None:
    """Send dead letters again, oldest first. Stops at one that can't be delivered; exits with 2 then."""
    parameters = {"event": event} if event else None
    answer = client.post((*_PATH, subscription, "replay"), {}, parameters, timeout_s=_SENDING_S)
    found = answer.decode()
    if as_json:
        print_body(answer)
    else:
        click.echo(f"Delivered {found['delivered']}, left {found['left']}.")
    if found["error"]:
        raise Failed(f"Stopped: {found['error']}", code=2)


def _state_word(subscription: Any) -> str:
    if not subscription["enabled"]:
        return "disabled"
    return "failing" if (subscription["status"] or {}).get("failing") else "delivering"


def _told(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)


def _said(wish: dict[str, Any]) -> dict[str, Any]:
    """The fields that the options give."""
    said = {name: value for name, value in wish.items() if value not in (None, ()) and name != "headers"}
    if wish["headers"]:
        said["headers"] = dict(_read_header(each) for each in wish["headers"])
    return said


def _read_header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Failed(f'--header: "{one_line(name, width_max=40)}" has no value; write NAME=VALUE')
    return name.strip(), read_input(value.strip()).decode("utf-8", "replace").strip()


def _read_secret(file: Path) -> str:
    return read_bytes(file).decode("utf-8", "replace").strip()
