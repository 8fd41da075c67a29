"""`regista watch`: what changes, as it changes, as lines for people, as JSON, or as input of a program."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from regista.cli import watch_kinds
from regista.cli.client import AgentClient, Answer
from regista.cli.failures import Failed
from regista.cli.follow import Lost, follow
from regista.cli.instances import Instance, decode_instances
from regista.cli.options import agent_options
from regista.cli.tables import one_line, print_body
from regista.cli.watch_kinds import NOTHING_YET, Watched

Sleep = Callable[[float], None]

_EXAMPLE = "\b\nExamples:\n  regista watch {0}\n  regista watch {0} --once\n  regista watch {0} -- ./on-change"
_COMMAND_HELP = "A program to run at each change, with the JSON on its standard input."


@click.group(epilog="\b\nExamples:\n  regista watch service web\n  regista watch key web/limit -- ./on-change")
def watch() -> None:
    """Follow changes as they happen.

    Each kind prints what is there and then each change. A COMMAND behind it is run at each change instead, never
    twice at once, with the JSON on its standard input and the index in CONSUL_INDEX.
    """


# ---- showing ----


def results(client: AgentClient, watched: Watched, *, sleep: Sleep) -> Iterator[tuple[Answer, Any] | Lost]:
    """Each answer whose result is another than before, with that result; and when the agent goes away."""
    before: Any = None
    body: bytes | None = None
    for answer in follow(client, watched.path, watched.parameters, sleep=sleep, absent=watched.absent):
        if isinstance(answer, Lost):
            yield answer
            continue
        if answer.body == body:
            continue
        body = answer.body
        content = answer.decode()
        result = watched.pick(content, before)
        before = content
        if result is not NOTHING_YET:
            yield answer, result


def show(
    client: AgentClient,
    watched: Watched,
    *,
    command: Sequence[str],
    as_json: bool,
    once: bool,
    sleep: Sleep,
) -> None:
    """Shows each result in the way that was asked for, for ever, or the first alone with `once`.

    Raises:
        AgentUnreachable, AgentRefused: see `follow`.
        Failed: `command` can't be run.
    """
    for found in results(client, watched, sleep=sleep):
        now = time.strftime("%H:%M:%S")
        if isinstance(found, Lost):
            click.echo(f"{now} {found.problem} Trying again.", err=True)
            continue
        answer, result = found
        if command:
            run_command(command, result, index=answer.index, url=client.url)
        elif as_json:
            click.echo(json.dumps(result, indent=4, ensure_ascii=False))
        else:
            for line in watched.describe(result):
                click.echo(f"{now} {one_line(line)}")
        if once:
            return


def run_command(command: Sequence[str], result: Any, *, index: int, url: str) -> None:
    """Runs the program to its end; its failure is told, and watching goes on.

    Raises:
        Failed: there is no such program, or it may not be run.
    """
    environ = {**os.environ, "CONSUL_INDEX": str(index), "CONSUL_HTTP_ADDR": url}
    data = json.dumps(result, ensure_ascii=False).encode() + b"\n"
    try:
        done = subprocess.run(command, input=data, env=environ, check=False)  # noqa: S603 - the user's own program
    except OSError as error:
        raise Failed(f"{command[0]} can't be run: {error.strerror}.") from error
    if done.returncode:
        click.echo(f"{command[0]} ended with exit code {done.returncode}.", err=True)


def _show(client: AgentClient, watched: Watched, options: Mapping[str, Any]) -> None:
    try:
        show(
            client,
            watched,
            command=options["command"],
            as_json=options["as_json"],
            once=options["once"],
            sleep=time.sleep,
        )
    except KeyboardInterrupt:
        click.echo(err=True)


def _watch_options(function: Callable[..., None]) -> Callable[..., None]:
    function = click.argument("command", metavar="[COMMAND...]", nargs=-1, type=click.UNPROCESSED)(function)
    function = click.option("--once", is_flag=True, help="Show what is there now, and end.")(function)
    return click.option("--json", "as_json", is_flag=True, help="Print each result as JSON.")(function)


# ---- the kinds ----


@watch.command(epilog=_EXAMPLE.format("key web/limit"))
@click.argument("key")
@_watch_options
@agent_options
def key(client: AgentClient, key: str, **options: Any) -> None:
    """Watch the value of KEY. One that is not there is waited for."""
    _show(client, watch_kinds.key(key.removeprefix("/")), options)


@watch.command(epilog=_EXAMPLE.format("keyprefix web/"))
@click.argument("prefix")
@_watch_options
@agent_options
def keyprefix(client: AgentClient, prefix: str, **options: Any) -> None:
    """Watch every key that starts with PREFIX."""
    _show(client, watch_kinds.key_prefix(prefix.removeprefix("/")), options)


@watch.command(epilog=_EXAMPLE.format("services"))
@_watch_options
@agent_options
def services(client: AgentClient, **options: Any) -> None:
    """Watch the names and tags of all services."""
    _show(client, watch_kinds.services(), options)


@watch.command(epilog=_EXAMPLE.format("nodes"))
@_watch_options
@agent_options
def nodes(client: AgentClient, **options: Any) -> None:
    """Watch the nodes."""
    _show(client, watch_kinds.nodes(), options)


@watch.command(epilog=_EXAMPLE.format("checks --state critical"))
@click.option("--service", default="", metavar="NAME", help="Only those of the service's instances.")
@click.option("--state", default="any", show_default=True, metavar="STATE", help="Only those in this state.")
@_watch_options
@agent_options
def checks(client: AgentClient, *, service: str, state: str, **options: Any) -> None:
    """Watch the checks of a service, or those in a state."""
    if service and state != "any":
        raise click.UsageError("Cannot specify service and state")
    _show(client, watch_kinds.checks(service_name=service, state=state), options)


@watch.command(epilog=_EXAMPLE.format("event --name deploy"))
@click.option("--name", default="", metavar="TEXT", help="Only events of this name.")
@_watch_options
@agent_options
def event(client: AgentClient, *, name: str, **options: Any) -> None:
    """Watch for events; each is shown once."""
    _show(client, watch_kinds.event(name), options)


@watch.command(
    epilog="\b\nExamples:\n  regista watch service web\n  regista watch service web --passing\n"
    "  regista watch service web --once --json\n  regista watch service web -- ./on-change"
)
@click.argument("name")
@click.option("--passing", is_flag=True, help="Only instances whose every check is passing.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only instances with this tag. May be repeated.")
@_watch_options
@agent_options
def service(client: AgentClient, name: str, *, passing: bool, tags: tuple[str, ...], **options: Any) -> None:
    """Print a line for each change of service NAME's instances. Goes on until Ctrl-C.

    `+` is an instance that came, `-` one that went, `~` one that changed. An agent that goes away is waited for.
    With --json each answer is printed as the server said it.
    """
    watched = watch_kinds.service(name, tags=tags, passing=passing)
    if options["command"]:
        _show(client, watched, options)
        return
    try:
        print_changes(client, watched, as_json=options["as_json"], once=options["once"], sleep=time.sleep)
    except KeyboardInterrupt:
        click.echo(err=True)


# ---- the view for people of one service ----


def changes_text(before: Sequence[Instance], after: Sequence[Instance]) -> list[str]:
    """A line for each instance that came (`+`), went (`-`) or changed (`~`), in the order of the answers."""
    known = {item.key: item for item in before}
    left = known.keys() - {item.key for item in after}
    lines = [f"- {item.id} {item.address}" for item in before if item.key in left]
    for item in after:
        old = known.get(item.key)
        if old is None:
            lines.append(f"+ {item.id} {item.address} {item.status}{_because(item)}")
        elif (old.address, old.status) != (item.address, item.status):
            lines.append(f"~ {item.id} {_change_text(old, item)}")
    return [one_line(line) for line in lines]


def _change_text(old: Instance, new: Instance) -> str:
    parts = [f"{old.address} → {new.address}"] if old.address != new.address else []
    if old.status != new.status:
        parts.append(f"{old.status} → {new.status}{_because(new)}")
    return ", ".join(parts)


def _because(item: Instance) -> str:
    return f": {item.output}" if item.output else ""


def print_changes(client: AgentClient, watched: Watched, *, as_json: bool, once: bool, sleep: Sleep) -> None:
    """Prints what comes, for ever, or the first answer alone with `once`.

    Raises:
        AgentUnreachable, AgentRefused: see `follow`.
    """
    before: list[Instance] | None = None
    for found in results(client, watched, sleep=sleep):
        now = time.strftime("%H:%M:%S")
        if isinstance(found, Lost):
            click.echo(f"{now} {found.problem} Trying again.", err=True)
            continue
        answer, content = found
        after = decode_instances(content)
        if as_json:
            print_body(answer)
        else:
            for line in changes_text(before or [], after):
                click.echo(f"{now} {line}")
        if before is None and not after:
            kind = "passing instances" if "passing" in watched.parameters else "instances"
            click.echo(f"No {kind} of {watched.path[-1]} yet.", err=True)
        before = after
        if once:
            return
