"""Staying with an answer of the agent while it changes, by blocking queries.

Theory of operation. Each query names the index of the answer before, and the agent answers when there is another
answer. Answers may repeat what is known, so whoever follows compares each with the one before. An index that went
down, and an agent that was away, mean that the log may be another one: then the next query starts afresh, at
index 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable, Answer

WAIT_S = 300.0
TIMEOUT_S = WAIT_S * 17 / 16 + 10
"""Consul answers a waiting query up to a sixteenth of the wait late."""

RETRY_FIRST_S = 0.5
RETRY_MOST_S = 10.0

_NOT_FOUND = 404


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """The agent does not answer; asking goes on."""

    problem: str


def follow(
    client: AgentClient,
    path: Sequence[str],
    parameters: Mapping[str, str | Sequence[str]],
    *,
    sleep: Callable[[float], None],
    absent: bytes | None = None,
) -> Iterator[Answer | Lost]:
    """Each answer of the agent, for ever; `Lost` once each time that it goes away.

    Args:
        absent: the body to give where the agent says that nothing is there (404); None where that is an error.

    Raises:
        AgentUnreachable: it does not answer the first query.
        AgentRefused: the query is wrong, and will be wrong again.
    """
    index = 0
    retry_s = 0.0
    has_answered = False
    while True:
        waiting = {"index": str(index), "wait": f"{WAIT_S:g}s"} if index else {}
        try:
            answer = _ask(client, path, {**parameters, **waiting}, absent)
        except (AgentUnreachable, AgentRefused) as error:
            if not has_answered or (isinstance(error, AgentRefused) and not is_passing_trouble(error.code)):
                raise
            if not retry_s:
                yield Lost(error.message)
            retry_s = next_retry_s(retry_s)
            index = 0
            sleep(retry_s)
            continue
        yield answer
        has_answered = True
        retry_s = 0.0
        if not answer.index:
            # Without an index nothing can be waited for; this keeps the loop from spinning.
            sleep(RETRY_MOST_S)
        # Events have hashes for indexes, which go down as often as up; that costs them one query more.
        index = answer.index if answer.index >= index else 0


def _ask(
    client: AgentClient, path: Sequence[str], parameters: Mapping[str, str | Sequence[str]], absent: bytes | None
) -> Answer:
    try:
        return client.get(path, parameters, timeout_s=TIMEOUT_S)
    except AgentRefused as error:
        if absent is None or error.code != _NOT_FOUND:
            raise
        return Answer(absent, error.index)


def next_retry_s(retry_s: float) -> float:
    """How long to wait before asking again; longer each time.

    Args:
        retry_s: how long was waited before; 0 at first.
    """
    return min(max(RETRY_FIRST_S, retry_s * 2), RETRY_MOST_S)


def is_passing_trouble(code: int) -> bool:
    """Whether an answer with this status may be another one later, to the same question."""
    return code >= 500 or code == 429
