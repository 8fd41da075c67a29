"""Whether the prober should doubt itself: when all fall silent at once, its own network is the likelier cause.

No I/O, no clock: moments come in as arguments, as in `decide`.

Theory of operation. A check that was well is *lost* when nothing at all came back from its target: no route, no
name server, nothing within the timeout. A refused connection or a page of errors is an *answer*, and shows that
the network works, whatever it says of the target. Targets on this machine show nothing of the network and are left
out. A prober that abstains withholds what it did not hear, for a time at most, and then believes it.

    | phase      | lost                                        | answer                          | time up   |
    | ---------- | ------------------------------------------- | ------------------------------- | --------- |
    | trusting   | remembered; abstaining once there are many  | forgets, if many answer         |           |
    | abstaining | withheld                                    | trusting, if it was withheld or | believing |
    |            |                                             | many answer                     |           |
    | believing  |                                             | trusting                        |           |

The first few losses get through: until others follow, they can't be told from a few dead hosts.
"""

from __future__ import annotations

import ipaddress
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from regista.model import CheckDefinition

CHECKS_LEAST: Final = 5
HOSTS_LEAST: Final = 3
"""Fewer may well have died together: a rack's switch, a deployment."""

_WINDOW_S = 30.0
"""Losses further apart have nothing to do with each other: the usual interval and timeout are 10 seconds each."""

_LOST_MAX = 64
"""Of how many losses is known which they were; the newest. More of them prove nothing more."""

_LOST_PER_ANSWER = 4
"""At least 80 % must be lost: of five results at most one may be an answer."""

Phase = Literal["trusting", "abstaining", "believing"]


class Loss(msgspec.Struct, frozen=True, gc=False):
    """A check that was well, and from whose target nothing came back."""

    key: str
    host: str
    at_s: float


class Doubt(msgspec.Struct, frozen=True, gc=False):
    """What the prober thinks of its own network.

    Attributes:
        lost: the losses that make it doubt, the oldest first, one a check.
        answers_count: the answers that came between them.
        until_s: when it believes what it hears, or does not, after all; only while it abstains.
    """

    phase: Phase = "trusting"
    lost: tuple[Loss, ...] = ()
    answers_count: int = 0
    until_s: float = 0.0


TRUST: Final = Doubt()


def decide_loss(state: Doubt, loss: Loss, *, abstain_s: float) -> Doubt:
    """What to think after a loss; its result is to be withheld if that is to abstain.

    Args:
        abstain_s: how long to abstain at most; 0 to believe everything at once.
    """
    if state.phase == "believing" or abstain_s <= 0:
        return state
    before = [each for each in state.lost if each.key != loss.key and loss.at_s - each.at_s <= _WINDOW_S]
    lost = (*before, loss)[-_LOST_MAX:]
    # Answers from before a quiet time say nothing of what is lost now.
    answers_count = state.answers_count if before else 0
    if state.phase == "abstaining":
        return Doubt("abstaining", lost, answers_count, state.until_s)
    hosts = {each.host for each in lost}
    if len(lost) >= CHECKS_LEAST and len(hosts) >= HOSTS_LEAST and len(lost) >= _LOST_PER_ANSWER * answers_count:
        return Doubt("abstaining", lost, answers_count, loss.at_s + abstain_s)
    return Doubt("trusting", lost, answers_count)


def decide_answer(state: Doubt, *, was_withheld: bool) -> Doubt:
    """What to think after an answer.

    Args:
        was_withheld: whether it is from a target whose last result was withheld.
    """
    if state.phase == "believing" or was_withheld or not state.lost:
        return TRUST
    answers_count = state.answers_count + 1
    if len(state.lost) < _LOST_PER_ANSWER * answers_count:
        return TRUST
    return Doubt(state.phase, state.lost, answers_count, state.until_s)


def decide_time(state: Doubt, now_s: float) -> Doubt:
    """What to think at this moment: nobody abstains for ever."""
    return Doubt("believing") if state.phase == "abstaining" and now_s >= state.until_s else state


def target_host(definition: CheckDefinition) -> str:
    """The host beyond the network that a check looks at; "" for this machine, or none.

    Costs some microseconds; ask once a definition.
    """
    if definition.http:
        try:
            host = urlsplit(definition.http).hostname or ""
        except ValueError:
            return ""
    else:
        address = definition.tcp or definition.udp or definition.grpc or definition.h2ping
        # A gRPC target may name a service after a slash.
        host = address.partition("/")[0].rpartition(":")[0].strip("[]")
    host = host.lower()
    if host in ("", "localhost") or host.endswith(".localhost"):
        return ""
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return host
    return "" if number.is_loopback or number.is_unspecified else host
