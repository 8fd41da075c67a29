"""`regista watch`: a line for each change of a service's instances, by blocking queries.

Theory of operation. Each query names the index of the answer before, and the agent answers when the service has
changed since. Answers may repeat what is known, so each is compared with the one before. An index that went down,
and an agent that was away, mean that the log may be another one: then the next query starts afresh, at index 0.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence

import click

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable, Answer, agent_options
from regista.cli.instances import Instance, decode_instances
from regista.cli.tables import one_line, print_body

WAIT_S = 300.0
TIMEOUT_S = WAIT_S * 17 / 16 + 10
"""Consul answers a waiting query up to a sixteenth of the wait late."""

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """The agent does not answer; asking goes on."""

    problem: str


def follow_service(
    client: AgentClient, name: str, *, passing: bool, sleep: Callable[[float], None]
) -> Iterator[Answer | Lost]:
    """Each answer of the agent, for ever; `Lost` once each time that it goes away.

    Raises:
        AgentUnreachable: it does not answer the first query.
        AgentRefused: the query is wrong, and will be wrong again.
    """
    index = 0
    retry_s = 0.0
    has_answered = False
    while True:
        parameters = {"passing": "1"} if passing else {}
        if index:
            parameters |= {"index": str(index), "wait": f"{WAIT_S:g}s"}
        try:
            answer = client.get(["health", "service", name], parameters, timeout_s=TIMEOUT_S)
        except (AgentUnreachable, AgentRefused) as error:
            if not has_answered or (isinstance(error, AgentRefused) and not _is_passing_trouble(error.code)):
                raise
            if not retry_s:
                yield Lost(error.message)
            retry_s = min(max(RETRY_FIRST_S, retry_s * 2), RETRY_MOST_S)
            index = 0
            sleep(retry_s)
            continue
        yield answer
        has_answered = True
        retry_s = 0.0
        if not answer.index:
            # Without an index nothing can be waited for; this keeps the loop from spinning.
            sleep(RETRY_MOST_S)
        index = answer.index if answer.index >= index else 0


def _is_passing_trouble(code: int) -> bool:
    return code >= 500 or code == 429


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


@click.group(epilog="\b\nExample:\n  regista watch service web")
def watch() -> None:
    """Follow changes as they happen."""


@watch.command(
    epilog="\b\nExamples:\n  regista watch service web\n  regista watch service web --passing\n"
    "  regista watch service web --once --json"
)
@click.argument("name")
@click.option("--passing", is_flag=True, help="Only instances whose every check is passing.")
@click.option("--json", "as_json", is_flag=True, help="Print what the server said, at each change.")
@click.option("--once", is_flag=True, help="Print what is there now, and end.")
@agent_options
def service(client: AgentClient, name: str, *, passing: bool, as_json: bool, once: bool) -> None:
    """Print a line for each change of the instances of service NAME, until Ctrl-C.

    `+` is an instance that came, `-` one that went, `~` one that changed. An agent that goes away is waited for.
    """
    try:
        print_changes(client, name, passing=passing, as_json=as_json, once=once, sleep=time.sleep)
    except KeyboardInterrupt:
        click.echo(err=True)


def print_changes(
    client: AgentClient, name: str, *, passing: bool, as_json: bool, once: bool, sleep: Callable[[float], None]
) -> None:
    """Prints what comes, for ever, or the first answer alone with `once`.

    Raises:
        AgentUnreachable, AgentRefused: see `follow_service`.
    """
    before: list[Instance] | None = None
    body = b""
    for answer in follow_service(client, name, passing=passing, sleep=sleep):
        now = time.strftime("%H:%M:%S")
        if isinstance(answer, Lost):
            click.echo(f"{now} {answer.problem} Trying again.", err=True)
            continue
        after = decode_instances(answer.decode())
        if as_json:
            if answer.body != body:
                print_body(answer)
            body = answer.body
        else:
            for line in changes_text(before or [], after):
                click.echo(f"{now} {line}")
        if before is None and not after:
            click.echo(f"No {'passing ' if passing else ''}instances of {name} yet.", err=True)
        before = after
        if once:
            return
