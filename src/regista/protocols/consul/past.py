"""Reads of the past: the same handlers, on the replica of then."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from regista.model import BadInput
from regista.protocols.consul.context import Context
from regista.protocols.consul.standing import PastStanding
from regista.protocols.http import Answers, Handler, Request, Response


class Reads(Protocol):
    """A group of handlers that read from their context's replica, and nowhere else."""

    def __init__(self, context: Context) -> None: ...

    @property
    def context(self) -> Context:
        """What it was made with."""


R = TypeVar("R", bound=Reads)


def at_any_time(reads: R, answer: Callable[[R, Request], Response | Awaitable[Response]]) -> Handler:
    """The handler that answers from the replica of now, or of the moment in `?at`."""

    def handle(request: Request) -> Response | Awaitable[Response]:
        if "at" in request.parameters:
            return _answer_past(reads, answer, request)
        return answer(reads, request)

    return handle


async def _answer_past(
    reads: R, answer: Callable[[R, Request], Response | Awaitable[Response]], request: Request
) -> Response:
    if "index" in request.parameters:
        raise BadInput("Invalid index: the past does not change, so leave out index or at", field="index")
    context = reads.context
    then = await context.past.at(request.parameters.first("at"))
    # Nothing is kept: who looks back rarely asks the same twice.
    answers = Answers(then.topics, bytes_max=0, revisions_max=1, waiting_max=0, waiting_setting="http.waiting_max")
    of_then = dataclasses.replace(context, catalog=then, answers=answers, standing=PastStanding())
    outcome = answer(type(reads)(of_then), request)
    return outcome if isinstance(outcome, Response) else await outcome
