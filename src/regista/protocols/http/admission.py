"""What is refused when there is too much: pure decisions over what is asked for and how the agent is.

Every route belongs to a class of load. Past a limit the classes are given up one after the other, what can best be
missed first; what an instance's life hangs on is never given up, for a renewal that is refused makes a zombie of
something that lives:

    dashboard < list < watch < read < registration < renewal

`control` stands beside them: what an operator needs to see what is wrong and to mend it. It is not refused either.

How many classes are given up is the *level*. It rises at once, and falls by one after each calm time in which the
load was well below what had it rise (hysteresis), so that those who come back do not tip it over again.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

from regista.model import setting

LoadClass: TypeAlias = Literal["dashboard", "list", "watch", "read", "registration", "renewal", "control"]

SHED_ORDER: tuple[LoadClass, ...] = ("dashboard", "list", "watch", "read", "registration")
"""The classes that may be refused, first to last."""

_STEPS = (0.0, 0.2, 0.4, 0.7, 1.0)
"""Where each class is given up, between the beginning (0) and the limit (1)."""

assert len(_STEPS) == len(SHED_ORDER)

_LAG_BEGINS = 0.5
"""Of the lag at which all is given up; half of a second or two is felt by people before it hurts programs."""

_FALL = 0.9
"""The share of what had the level rise below which it may fall."""

_LISTS = SHED_ORDER.index("list") + 1
_WATCHES = SHED_ORDER.index("watch") + 1


@dataclasses.dataclass(frozen=True, slots=True)
class OverloadSettings:
    """When requests are refused so that others can be answered; the order is fixed."""

    lag_s: float = setting(
        2.0,
        "How late the agent may be with everything, lastingly, before it refuses all but renewals; from half of "
        "it on it refuses dashboards, and then more and more. Lower keeps renewals quicker; higher refuses less.",
        unit="s",
        at_least=0.05,
        at_most=600,
    )
    begin_percent: float = setting(
        90.0,
        "From which share of `store.commit_queue_max`, `http.connections_max` and `http.waiting_max` on requests "
        "are refused, dashboards first. New watches are refused before the connections end, so that there are "
        "some for renewals. 100 refuses nothing before the limit itself.",
        unit="percent",
        at_least=10,
        at_most=100,
    )
    calm_s: float = setting(
        2.0,
        "How long it must be calm before the next class is admitted again. Longer avoids ups and downs; shorter "
        "is back to normal sooner.",
        unit="s",
        at_least=0,
        at_most=600,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """How much of a limit is in use."""

    limit: str
    used: int
    most: int

    @property
    def share(self) -> float:
        """1 for all of it."""
        return self.used / self.most if self.most else 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class LoadFacts:
    """How the agent is.

    Attributes:
        lag_s: how late it is with what is due, lastingly.
    """

    lag_s: float
    commits: Use
    waiting: Use
    connections: Use


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """How much is given up.

    Attributes:
        count: of `SHED_ORDER` so many.
        cause: what has it so; None while nothing is given up.
        calm_since_s: since when less would do; None if it would not.
    """

    count: int = 0
    cause: Use | None = None
    calm_since_s: float | None = None


CALM = Level()


def decide_level(facts: LoadFacts, settings: OverloadSettings, *, before: Level, now_s: float) -> Level:
    """The level that the load deserves.

    Args:
        before: as it was decided last.
        now_s: monotonic seconds.
    """
    count, cause = _worst(facts, settings, ease=1.0)
    if count >= before.count:
        return Level(count, cause)
    lower, _ = _worst(facts, settings, ease=_FALL)
    if lower >= before.count:
        return Level(before.count, before.cause)
    since_s = now_s if before.calm_since_s is None else before.calm_since_s
    if now_s - since_s < settings.calm_s:
        return Level(before.count, before.cause, since_s)
    left = before.count - 1
    return Level(left, before.cause if left else None, now_s if left else None)


def decide_refused(load: LoadClass, level: Level) -> bool:
    """Whether a request of this class is refused at a level."""
    return load in SHED_ORDER[: level.count]


def class_of(load: LoadClass, *, waits: bool) -> LoadClass:
    """The class of a request on a route of a class: a read that waits for a change is a watch."""
    return "watch" if waits and load == "read" else load


def _worst(facts: LoadFacts, settings: OverloadSettings, *, ease: float) -> tuple[int, Use | None]:
    """How many classes are to be given up, and for what.

    Args:
        ease: makes every threshold lower if it is below 1.
    """
    lag = Use("overload.lag", round(facts.lag_s * 1000), round(settings.lag_s * 1000))
    begin = settings.begin_percent / 100
    found = (
        (_count(lag.share, _LAG_BEGINS, ease), lag),
        (_count(facts.commits.share, begin, ease), facts.commits),
        # Giving up reads would free no connection, and no place to wait.
        (min(_WATCHES, _count(facts.connections.share, begin, ease)), facts.connections),
        # The limit itself refuses watches.
        (min(_LISTS, _count(facts.waiting.share, begin, ease)), facts.waiting),
    )
    count, cause = max(found, key=lambda each: each[0])
    return (count, cause) if count else (0, None)


def _count(share: float, begin: float, ease: float) -> int:
    # Rounded, for 0.9 + 0.1 * 0.4 is a little more than 0.94.
    return sum(share >= round((begin + (1 - begin) * step) * ease, 9) for step in _STEPS)
