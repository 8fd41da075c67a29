"""`regista lock`: runs a program while a lock is held, so that only one of many runs it."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Sequence

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.held_lock import HeldLock, LockUnavailable, run_child
from regista.cli.options import agent_options
from regista.model import parse_duration_s

LOCK_KEY = ".lock"
RETRIES_DEFAULT = 3
LOST_CODE = 1


@click.command(
    epilog="\b\nExamples:\n"
    "  regista lock jobs/nightly ./nightly\n"
    "  regista lock --try 10s jobs/nightly -- ./nightly --verbose\n"
    "  regista lock jobs/nightly sh -c 'date; ./nightly'",
    context_settings={"allow_interspersed_args": False},
)
@click.argument("prefix")
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--name", default="", metavar="TEXT", help="The session's name. Default: says what is run where.")
@click.option("--try", "try_text", default="", metavar="DURATION", help="Give up after so long. Default: never.")
@click.option(
    "--monitor-retry",
    type=click.IntRange(0, 1000),
    default=RETRIES_DEFAULT,
    show_default=True,
    metavar="NUMBER",
    help="How often a failing agent is asked again before the lock counts as lost.",
)
@click.option("--pass-stdin", is_flag=True, help="Give standard input to COMMAND.")
@click.option("--verbose", is_flag=True, help="Say what happens.")
@agent_options
def lock(
    client: AgentClient,
    prefix: str,
    command: tuple[str, ...],
    *,
    name: str,
    try_text: str,
    monitor_retry: int,
    pass_stdin: bool,
    verbose: bool,
) -> None:
    """Run COMMAND while holding the lock PREFIX/.lock. Exits with COMMAND's code.

    COMMAND is run as it stands, not by a shell, with CONSUL_LOCK_HELD=true. It is told to end (SIGTERM, then
    SIGKILL) when the lock is lost.
    """
    # Behind PREFIX click takes every word as one of COMMAND's, the -- too that ends our options.
    own_words = command[1:] if command[0] == "--" else command
    if not own_words:
        raise click.UsageError("Missing argument 'COMMAND...'.")
    code = run_locked(
        client,
        prefix,
        own_words,
        name=name,
        try_text=try_text,
        monitor_retry=monitor_retry,
        pass_stdin=pass_stdin,
        verbose=verbose,
    )
    sys.exit(code)


def run_locked(
    client: AgentClient,
    prefix: str,
    command: Sequence[str],
    *,
    name: str,
    try_text: str,
    monitor_retry: int,
    pass_stdin: bool,
    verbose: bool,
) -> int:
    """The exit code of the program, run while the lock is held.

    Raises:
        Failed: the lock was not had, was lost, or the program can't be run.
    """
    prefix = prefix.strip("/")
    held = HeldLock(
        client,
        f"{prefix}/{LOCK_KEY}" if prefix else LOCK_KEY,
        name=name or f"Consul lock for '{' '.join(command)}' at '{prefix}'",
        clock=time.monotonic,
        pause=time.sleep,
        retries_max=monitor_retry,
    )

    def say(text: str) -> None:
        if verbose:
            click.echo(text)

    say(f"Attempting lock acquisition of {prefix}")
    try:
        with _ending_on_sigterm(), held.held(try_s=_try_s(try_text)):
            say(f"Starting handler '{' '.join(command)}'")
            code = run_child(command, held, passes_input=pass_stdin)
            if held.is_lost.is_set():
                raise Failed("The lock was lost, and the child was ended.", code=LOST_CODE)
    except LockUnavailable as error:
        raise Failed(f"Lock acquisition failed: {error}") from error
    except OSError as error:
        raise Failed(f"Error executing handler: {command[0]}: {error.strerror}") from error
    say(f"Cleanup succeeded; the child ended with exit code {code}")
    return code


@contextlib.contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM unwind us as an error does, so that the child is ended and the lock given back."""
    before = signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _try_s(text: str) -> float | None:
    if not text:
        return None
    try:
        seconds = parse_duration_s(text)
    except ValueError as error:
        raise click.UsageError(f"Error parsing try timeout: {error}") from error
    if seconds <= 0:
        raise click.UsageError("Try timeout must be a positive value.")
    return seconds
