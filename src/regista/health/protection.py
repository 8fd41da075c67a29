"""Mass-expiry protection: how many instances may fall silent before the silence is the registry's problem.

Pure: no I/O, no clock; moments come in as arguments. `guard` applies it.

Theory of operation. A *scope* is one service, or all services together. It knows which instances silence could
end (they have a TTL, a TTL check, or a check that deregisters them), and who of them *went*: fell silent and was
let go within the window. Who fell silent and is not gone yet is *pending*. When those who went and those who are
pending are more than the share of the scope, it protects: nobody of it ends any more.

    | phase      | too many silent | few again | time is up | all were verified |
    | ---------- | --------------- | --------- | ---------- | ----------------- |
    | calm       | protecting      |           |            |                   |
    | protecting |                 | calm      | verifying  |                   |
    | verifying  |                 |           |            | calm              |

The share is of the most instances that there were at once within the window, and rounded up, so that one may
always go. Source: Eureka 1.x, `AbstractInstanceRegistry.evict` (0.85 are kept, rounded down; behaviour).
"""

from __future__ import annotations

import collections
import enum
import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from regista.catalog import is_drain, is_maintenance
from regista.health.decide import decide_kind
from regista.model import CRITICAL, Check

Phase = Literal["calm", "protecting", "verifying"]

_PROBED = frozenset({"http", "tcp", "udp", "grpc", "h2ping"})
"""The kinds of checks that knock at a port of the instance's."""

_ROUNDING = 1e-9
"""Keeps 0.07 * 100 = 7.000000000000001 from counting as more than seven."""


class Limits(msgspec.Struct, frozen=True, gc=False):
    """What protection is to allow.

    Attributes:
        share: the part of a scope that may go within the window.
        size_min: a scope with fewer instances is exempt.
        hold_s: how long a scope protects before it has those verified that it holds.
    """

    share: float
    window_s: float
    size_min: int
    hold_s: float


class Protection(msgspec.Struct, frozen=True, gc=False):
    """A scope that protects, for people.

    Attributes:
        scope: the service's name in small letters, or "" for all services together.
        held: how many instances are kept that would be gone or critical.
        of: how many there were.
        share: `held` as a part of `of`.
        limit: the part that may go.
        since, until: seconds since the epoch; at `until` those held are verified, if it has not ended before.
        is_verifying: whether that is going on.
        command: what an operator does to end it.
    """

    scope: str
    held: int
    of: int
    share: float
    limit: float
    since: float
    until: float
    is_verifying: bool
    command: str


class Verdict(enum.Enum):
    """What becomes of something that silence would end."""

    RELEASE = "release"
    WAIT = "wait"
    HOLD = "hold"


class View(msgspec.Struct, frozen=True, gc=False):
    """What one scope says to an ending.

    Attributes:
        is_protecting: whether it holds everything.
        is_exempt: whether it is too small to judge.
        lost: instances that went within the window or are pending.
        near: further ones that are about to fall silent, if they are not heard.
        allowed: how many may go within the window.
    """

    is_protecting: bool
    is_exempt: bool
    lost: int
    near: int
    allowed: int


def decide_allowed(size: int, share: float) -> int:
    """How many of so many instances may go within the window."""
    return math.ceil(share * size - _ROUNDING)


def decide_ending(views: Iterable[View], *, has_waited: bool, is_graced: bool) -> Verdict:
    """What becomes of an ending that nothing confirms.

    It is let go at once where no mass loss can follow: not even with all who are about to fall silent would there
    be too many. Otherwise it waits a while to see whether they do.

    Args:
        views: of its scopes, at least one.
        has_waited: whether it has waited for as long as it is to.
        is_graced: whether it waits to be heard, not for others.
    """
    verdict = Verdict.WAIT if is_graced and not has_waited else Verdict.RELEASE
    for view in views:
        if view.is_protecting:
            return Verdict.HOLD
        if not has_waited and not view.is_exempt and view.lost + view.near > view.allowed:
            verdict = Verdict.WAIT
    return verdict


def decide_phase(phase: Phase, view: View, *, is_time_up: bool, has_held: bool) -> Phase:
    """The scope's phase, see the table at the top."""
    is_too_many = not view.is_exempt and view.lost > view.allowed
    if phase == "calm":
        return "protecting" if is_too_many else "calm"
    if phase == "verifying":
        return "verifying" if has_held else "calm"
    if not is_too_many:
        return "calm"
    return "verifying" if is_time_up else "protecting"


def decide_confirmed(checks: Iterable[tuple[Check, str]]) -> str:
    """What confirms that an instance is gone or on its way, from its checks and their outputs; "" for nothing.

    Only a refusal does: whoever refuses is there to say so. A timeout looks the same when the agent itself is cut
    off, and an error page comes from a process that lives.
    """
    for check, output in checks:
        if is_drain(check):
            return "it drains"
        if is_maintenance(check):
            return "it is in maintenance"
        if check.status == CRITICAL and check.definition is not None:
            # What stands behind this word is a page that the target served, and may quote anything.
            said = output.partition(" Output: ")[0]
            if "connection refused" in said and decide_kind(check.definition) in _PROBED:
                return f'check "{check.id}" found its port closed'
    return ""


class Scope:
    """What is known of one service, or of all together.

    Attributes:
        phase: see the table at the top.
        since_s, until_s: of the protection, while it is not calm.
        pending: instances that fell silent and are not gone, each with the number of its endings.
    """

    __slots__ = ("_sizes", "_went", "limits", "name", "pending", "phase", "since_s", "size", "until_s")

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.size = 0
        self.phase: Phase = "calm"
        self.since_s = 0.0
        self.until_s = 0.0
        self.pending: dict[str, int] = {}
        self._went: dict[str, float] = {}
        # Earlier sizes and until when they lasted: only those larger than every later one, largest first. Made at
        # the first loss: there may be a hundred thousand services, and most only ever grow.
        self._sizes: collections.deque[tuple[float, int]] | None = None

    def resize(self, by: int, now_s: float) -> None:
        """Counts instances that came or left."""
        if by < 0:
            sizes = self._sizes = self._sizes or collections.deque()
            while sizes and sizes[-1][1] <= self.size:
                sizes.pop()
            sizes.append((now_s, self.size))
        self.size += by
        self._forget(now_s)

    def size_at_most(self, now_s: float) -> int:
        """The most instances that there were at once within the window."""
        self._forget(now_s)
        return max(self.size, self._sizes[0][1] if self._sizes else 0)

    def add_pending(self, instance: str) -> None:
        """Counts an ending of an instance that fell silent."""
        self.pending[instance] = self.pending.get(instance, 0) + 1

    def drop_pending(self, instance: str) -> None:
        """Takes one back."""
        left = self.pending.pop(instance, 0) - 1
        if left > 0:
            self.pending[instance] = left

    def note_went(self, instance: str, now_s: float) -> None:
        """Remembers that an instance was let go without confirmation."""
        self._went.pop(instance, None)
        self._went[instance] = now_s

    def view(self, near: Iterable[str], now_s: float) -> View:
        """What the scope says now. O(those that went and those near)."""
        self._forget(now_s)
        size = self.size_at_most(now_s)
        pending, went = self.pending, self._went
        return View(
            is_protecting=self.phase != "calm",
            is_exempt=size < self.limits.size_min,
            lost=len(pending) + sum(each not in pending for each in went),
            near=sum(each not in pending and each not in went for each in near),
            allowed=decide_allowed(size, self.limits.share),
        )

    def protection(self, held: int, *, now_s: float, wall_s: float, command: str) -> Protection:
        """What it tells people while it protects so many."""
        size = self.size_at_most(now_s)
        return Protection(
            scope=self.name,
            held=held,
            of=size,
            share=held / max(1, size),
            limit=self.limits.share,
            since=wall_s - (now_s - self.since_s),
            until=wall_s + (self.until_s - now_s),
            is_verifying=self.phase == "verifying",
            command=command,
        )

    def is_idle(self, now_s: float) -> bool:
        """Whether nothing is known of it that would be missed."""
        self._forget(now_s)
        return not (self.size or self.pending or self._went or self._sizes) and self.phase == "calm"

    def _forget(self, now_s: float) -> None:
        """Forgets what was before the window."""
        start_s = now_s - self.limits.window_s
        sizes = self._sizes
        while sizes and sizes[0][0] < start_s:
            sizes.popleft()
        while self._went and (oldest := next(iter(self._went))) and self._went[oldest] < start_s:
            del self._went[oldest]
