"""`consul watch` and `consul lock`: Consul's flags for the two commands that run a program of the user's.

Consul hands the program to a shell unless told otherwise. Here none is run: one word with spaces in it is split as
a shell splits words, and whoever wants a shell writes `sh -c '…'`.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence

import click

from regista.cli import watch_kinds
from regista.cli.client import AgentClient
from regista.cli.consul_flags import FlagError, parse_boolean
from regista.cli.failures import Failed
from regista.cli.lock import RETRIES_DEFAULT, run_locked
from regista.cli.options import agent_options
from regista.cli.watch import show
from regista.cli.watch_kinds import Watched

CHILD_FAILED_CODE = 2
"""Source: Consul 1.9, `lock -child-exit-code`."""

_SHELL_HELP = "Taken for Consul's sake: no shell is ever run."


def child_words(words: Sequence[str]) -> list[str]:
    """The program and its arguments.

    Raises:
        Failed: a quote is left open.
    """
    if len(words) != 1:
        return list(words)
    try:
        return shlex.split(words[0])
    except ValueError as error:
        raise Failed(f"Error parsing the command {words[0]}: {error}") from error


@click.command()
@click.option("--type", "kind", default="", metavar="TEXT", help="What to watch; one of Consul's types.")
@click.option("--key", default="", metavar="TEXT", help="The key, for type key.")
@click.option("--prefix", default="", metavar="TEXT", help="The start of keys, for type keyprefix.")
@click.option("--service", default="", metavar="TEXT", help="The service, for types service and checks.")
@click.option("--tag", "tags", multiple=True, metavar="TEXT", help="A tag, for type service. May be repeated.")
@click.option("--passingonly", default="false", metavar="BOOL", help="Only healthy instances, for type service.")
@click.option("--state", default="", metavar="TEXT", help="The state, for type checks.")
@click.option("--name", default="", metavar="TEXT", help="The event, for type event.")
@click.option("--shell", is_flag=True, help=_SHELL_HELP)
@click.argument("child", nargs=-1, type=click.UNPROCESSED)
@agent_options
def watch(client: AgentClient, *, kind: str, child: tuple[str, ...], **options: object) -> None:
    """Print what is watched once, or run a program at each change."""
    options.pop("shell")
    watched = _watched(kind, options)
    command = child_words(child)
    try:
        show(client, watched, command=command, as_json=True, once=not command, sleep=time.sleep)
    except KeyboardInterrupt:
        click.echo(err=True)


def _watched(kind: str, options: dict[str, object]) -> Watched:
    """What is watched.

    Raises:
        Failed: the kind is unknown, or lacks what it needs.
    """
    given = {name: str(value) for name, value in options.items()}
    match kind:
        case "":
            raise Failed("Must specify a watch type with -type")
        case "key":
            return watch_kinds.key(_needed(given["key"], "key"))
        case "keyprefix":
            return watch_kinds.key_prefix(_needed(given["prefix"], "prefix"))
        case "services":
            return watch_kinds.services()
        case "nodes":
            return watch_kinds.nodes()
        case "service":
            try:
                passing = parse_boolean(given["passingonly"], name="passingonly")
            except FlagError as error:
                raise Failed(str(error)) from error
            tags = options["tags"]
            assert isinstance(tags, tuple)
            return watch_kinds.service(_needed(given["service"], "service"), tags=tags, passing=passing)
        case "checks":
            if given["service"] and given["state"]:
                raise Failed("Cannot specify service and state")
            return watch_kinds.checks(service_name=given["service"], state=given["state"] or "any")
        case "event":
            return watch_kinds.event(given["name"])
        case _:
            raise Failed(f"Unsupported watch type: {kind}")


def _needed(value: str, name: str) -> str:
    if not value:
        raise Failed(f"Must specify a single {name} to watch")
    return value


@click.command()
@click.option("--n", "holders", type=click.IntRange(1, 1), default=1, help="How many may hold it: one.")
@click.option("--name", default="", metavar="TEXT", help="The session's name.")
@click.option("--try", "try_text", default="", metavar="DURATION", help="Give up after so long.")
@click.option("--timeout", "old_try_text", default="", metavar="DURATION", help="The old name of -try.")
@click.option("--monitor-retry", type=click.IntRange(0, 1000), default=RETRIES_DEFAULT, metavar="NUMBER")
@click.option("--pass-stdin", is_flag=True, help="Give standard input to the program.")
@click.option("--shell", is_flag=True, help=_SHELL_HELP)
@click.option("--verbose", is_flag=True, help="Say what happens.")
@click.option("--child-exit-code", "tells_failure", is_flag=True, help="Exit with 2 when the program failed.")
@click.argument("prefix")
@click.argument("child", nargs=-1, required=True, type=click.UNPROCESSED)
@agent_options
def lock(
    client: AgentClient,
    *,
    prefix: str,
    child: tuple[str, ...],
    name: str,
    try_text: str,
    old_try_text: str,
    monitor_retry: int,
    pass_stdin: bool,
    verbose: bool,
    tells_failure: bool,
    **_taken: object,
) -> None:
    """Run a program while holding the lock PREFIX/.lock."""
    code = run_locked(
        client,
        prefix,
        child_words(child),
        name=name,
        try_text=try_text or old_try_text,
        monitor_retry=monitor_retry,
        pass_stdin=pass_stdin,
        verbose=verbose,
    )
    if code:
        click.echo(f"Error running handler: exit status {code}", err=True)
        sys.exit(CHILD_FAILED_CODE if tells_failure else 0)
