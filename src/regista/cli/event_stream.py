"""Staying with the agent's event stream: what it says, and going on where it broke off.

Theory of operation. The stream is server-sent events. Each has an id, and so have the comments between them; the
last id is the place from which the next connection goes on, so that nothing is missed or told twice. A stream that
says nothing for as long as `SILENCE_S`, not even that it is alive, counts as broken.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable
from regista.cli.follow import Lost, is_passing_trouble, next_retry_s

PATH = ("regista", "events")

SILENCE_S = 60.0
"""Four times as long as an agent is silent at the most, if `streams.heartbeat` is not set to more."""

REREAD = "regista.reread"
_CAUGHT_UP = b": caught up"


@dataclasses.dataclass(frozen=True, slots=True)
class Heard:
    """One event.

    Attributes:
        text: its JSON, as it was sent.
        content: the same, decoded.
    """

    id: str
    type: str
    text: str
    content: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """How far the stream has come, with no event at it.

    Attributes:
        is_caught_up: whether all was told that had happened when the stream began.
    """

    id: str
    is_caught_up: bool


def read_stream(lines: Iterable[bytes]) -> Iterator[Heard | Place]:
    """What the lines of a stream say; what was cut off before its end counts for nothing.

    Raises:
        click.ClickException: it is no stream of events.
    """
    fields: dict[bytes, bytes] = {}
    is_caught_up = False
    for line in lines:
        if line:
            name, _, value = line.partition(b": ")
            fields[name] = value
            is_caught_up = is_caught_up or line == _CAUGHT_UP
            continue
        event_id = fields.get(b"id", b"").decode("utf-8", "replace")
        if b"data" in fields:
            yield _heard(event_id, fields)
        elif event_id:
            yield Place(event_id, is_caught_up)
        fields, is_caught_up = {}, False


def _heard(event_id: str, fields: Mapping[bytes, bytes]) -> Heard:
    try:
        text = fields[b"data"].decode()
        content = json.loads(text)
    except ValueError as error:
        raise click.ClickException("the stream has an event that is not JSON. Is that an agent?") from error
    return Heard(event_id, fields.get(b"event", b"message").decode("utf-8", "replace"), text, content)


def follow_events(
    client: AgentClient, parameters: Mapping[str, str], *, sleep: Callable[[float], None]
) -> Iterator[Heard | Place | Lost]:
    """What the stream says, for ever; `Lost` once each time that the agent goes away.

    Raises:
        AgentUnreachable: it does not answer at first.
        AgentRefused: the question is wrong, and will be wrong again.
    """
    last_id = parameters.get("after", "")
    has_answered = False
    retry_s = 0.0
    while True:
        asked = {**parameters, "after": last_id} if last_id else parameters
        try:
            with client.stream(PATH, asked, timeout_s=SILENCE_S) as lines:
                for said in read_stream(lines):
                    last_id = said.id
                    has_answered, retry_s = True, 0.0
                    yield said
            problem = f"The agent at {client.url} ended the stream."
        except (AgentUnreachable, AgentRefused) as error:
            if not has_answered or (isinstance(error, AgentRefused) and not is_passing_trouble(error.code)):
                raise
            problem = error.message
        if not retry_s:
            yield Lost(problem)
        retry_s = next_retry_s(retry_s)
        sleep(retry_s)


def past_events(client: AgentClient, parameters: Mapping[str, str]) -> Iterator[Heard]:
    """The events up to now.

    Raises:
        AgentUnreachable, AgentRefused: see there.
    """
    with client.stream(PATH, parameters, timeout_s=SILENCE_S) as lines:
        for said in read_stream(lines):
            if isinstance(said, Heard):
                yield said
            elif said.is_caught_up:
                return
    raise AgentUnreachable(f"The agent at {client.url} ended the stream before it had told everything.")
