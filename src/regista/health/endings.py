"""What silence would end: an instance, or the good status of a TTL check; and what people are told meanwhile."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from typing import Literal

import msgspec

from regista.catalog import Catalog
from regista.health.protection import Scope
from regista.model import format_duration, format_time

State = Literal["waiting", "queued", "held", "kept"]
"""`waiting`: for whether others follow. `queued`: let go, as soon as the rate allows. `held`: by a scope that
protects. `kept`: its port answers, though it is silent."""


def no_explanation(_sentence: str) -> None:
    """What is told where the mark of the instance says enough."""


class Ending(msgspec.Struct, eq=False):
    """One thing that is to happen because somebody was not heard.

    Attributes:
        slot: its name, the same as in the outbox.
        instance: the key of the instance; "" for a check of the node itself.
        service: the instance's service, in small letters; "" without an instance.
        why: what was not heard of the instance.
        patience_s: within which a living instance would have been heard once more.
        carry_out: does it.
        explain: told the sentence while the instance is kept, and "" when it is not any more.
        is_counted: whether it counts as a silent loss: nothing has confirmed it yet.
        due_s: when it is decided at the latest, or the port is dialled again.
        is_graced: it was held, and has until `due_s` to be heard now that the others are.
        was_held: it was held or kept at some time.
        queued_s: since when nothing but the rates keeps it, in state `queued`.
        is_marked: people are told of it.
        vain_dials: how often in a row its port was dialled and nothing could be told.
        kept_until_s: how long an answering port keeps it; infinite before it was found to answer.
    """

    slot: str
    instance: str
    service: str
    why: str
    patience_s: float
    carry_out: Callable[[], None]
    explain: Callable[[str], None] = no_explanation
    state: State = "waiting"
    is_counted: bool = False
    due_s: float = 0.0
    is_graced: bool = False
    was_held: bool = False
    queued_s: float = 0.0
    is_marked: bool = False
    vain_dials: int = 0
    kept_until_s: float = math.inf


def told_scope(name: str) -> str:
    """The scope, to follow "of"."""
    return f"service {name}" if name else "all services"


def told_held(ending: Ending, cause: str) -> str:
    """What is said of an instance that is held."""
    return f"{_began(ending)}, but it is kept: {cause}"


def told_hold(scope: Scope, *, since: float, until: float) -> str:
    """Why a scope holds, the same for each instance; without numbers, which change all the time."""
    return (
        f"since {format_time(since)} more than {scope.limits.share:.0%} of the "
        f"instances of {told_scope(scope.name)} fell silent within {format_duration(scope.limits.window_s)}, "
        "which is likelier the registry's or the network's fault. Its port is dialled at "
        f"{format_time(until)}, unless it is heard."
    )


def told_graced(ending: Ending, *, until: float) -> str:
    """What is said of an instance that was held and may still be heard."""
    return f"{_began(ending)}, but it is kept until {format_time(until)}: most of the others are heard again."


def told_kept(ending: Ending, *, dialled: float, until: float) -> str:
    """What is said of an instance that is silent but there.

    Args:
        dialled, until: seconds since the epoch.
    """
    return (
        f"{_began(ending)}, but its port answers (dialled at {format_time(dialled)}): it is silent and kept, "
        f"until it is heard or the port is closed, or till {format_time(until)}."
    )


def _began(ending: Ending) -> str:
    return ending.why[:1].upper() + ending.why[1:]


def told_protection(scope: Scope, *, lost: int, now_s: float, command: str) -> str:
    """What is said when a scope begins to protect."""
    return (
        f"{lost} of {scope.size_at_most(now_s)} instances of {told_scope(scope.name)} fell silent "
        f"within {format_duration(scope.limits.window_s)}, more than {scope.limits.share:.0%}: none of them is "
        f"removed until most are heard again, or for {format_duration(scope.limits.hold_s)}, after which their "
        f"ports are dialled. {command!r} ends that at once"
    )


class Suspects:
    """The marks of the instances that are silent and kept; one may have several endings."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._marked: collections.Counter[str] = collections.Counter()

    def tell(self, ending: Ending, sentence: str) -> None:
        """Says this of the ending and its instance; "" takes it back, the mark with the last that gave one."""
        if not sentence and not ending.is_marked:
            return
        instance = ending.instance
        self._marked[instance] += bool(sentence) - ending.is_marked
        ending.is_marked = bool(sentence)
        is_last = not self._marked[instance]
        if is_last:
            del self._marked[instance]
        entry = self._catalog.services.get(instance)
        if entry is not None and (sentence or is_last):
            self._catalog.set_mark("suspect", entry.record, sentence)
        ending.explain(sentence)
