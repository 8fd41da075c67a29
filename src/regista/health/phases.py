"""Which scopes protect at present, and what people are told of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence

from regista.health.counters import Counters
from regista.health.endings import Ending, told_hold, told_protection, told_scope
from regista.health.protection import Protection, Scope, View, decide_phase
from regista.health.scopes import Scopes

logger = logging.getLogger(__name__)

_TOLD_AT_ONCE = 10
"""So many scopes have a line of the log each when they begin or end to protect at once."""

_COMMAND = "regista health protection off"


class Phases:
    """The phases of the scopes, from one review to the next.

    Args:
        held_of: what is held of a scope, by its name.
        wall_clock: seconds since the epoch, for people.

    Attributes:
        is_protecting: whether any scope did in the last review.
    """

    def __init__(
        self,
        *,
        scopes: Scopes,
        held_of: Callable[[str], Collection[Ending]],
        counters: Counters,
        wall_clock: Callable[[], float],
    ) -> None:
        self.is_protecting = False
        self._scopes = scopes
        self._held_of = held_of
        self._counters = counters
        self._wall_clock = wall_clock
        self._views: dict[str, View] = {}
        self._told: dict[str, str] = {}

    def review(self, now_s: float) -> tuple[set[str], set[str]]:
        """The names of the scopes that begin to protect now, and of those that end to."""
        self._views.clear()
        begun: dict[str, str] = {}
        ended: dict[str, str] = {}
        for scope in self._scopes:
            if not scope.pending and scope.phase == "calm":
                continue
            before, view = scope.phase, self._view(scope, now_s)
            scope.phase = decide_phase(
                before, view, is_time_up=now_s >= scope.until_s, has_held=bool(self._held_of(scope.name))
            )
            if scope.phase == before:
                continue
            del self._views[scope.name]
            if before == "calm":
                self._begin(scope, now_s)
                begun[scope.name] = told_protection(scope, lost=view.lost, now_s=now_s, command=_COMMAND)
            elif scope.phase == "calm":
                del self._told[scope.name]
                ended[scope.name] = f"mass-expiry protection of {told_scope(scope.name)} is over"
        self.is_protecting = any(scope.phase != "calm" for scope in self._scopes)
        _log(logging.WARNING, list(begun.values()))
        _log(logging.INFO, list(ended.values()))
        return set(begun), set(ended)

    def end(self) -> None:
        """Has no scope protect any more."""
        self._views.clear()
        self._told.clear()
        for scope in self._scopes:
            scope.phase = "calm"

    def views(self, service: str, now_s: float) -> list[View]:
        """What the service's scopes say, the same until the next review."""
        return [self._view(scope, now_s) for scope in self._scopes.of(service)]

    def is_calm(self, service: str) -> bool:
        """Whether none of the service's scopes protects."""
        return all(scope.phase == "calm" for scope in self._scopes.of(service))

    def is_verifying(self, service: str) -> bool:
        """Whether those held of the service are to be verified."""
        return any(scope.phase == "verifying" for scope in self._scopes.of(service))

    def told(self, service: str) -> str:
        """Why the service's instances are held; one of its scopes must protect."""
        return next(self._told[scope.name] for scope in self._scopes.of(service) if scope.phase != "calm")

    def verifying(self) -> list[str]:
        """The names of the scopes that have those verified that they hold."""
        return [scope.name for scope in self._scopes if scope.phase == "verifying"]

    def protections(self, now_s: float) -> tuple[Protection, ...]:
        """The scopes that protect, all services together first. O(what is held)."""
        wall_s = self._wall_clock()
        return tuple(
            [
                scope.protection(
                    len({each.instance for each in self._held_of(scope.name)}),
                    now_s=now_s,
                    wall_s=wall_s,
                    command=_COMMAND,
                )
                for scope in self._scopes
                if scope.phase != "calm"
            ]
        )

    def _begin(self, scope: Scope, now_s: float) -> None:
        scope.since_s = now_s
        scope.until_s = now_s + scope.limits.hold_s
        wall_s = self._wall_clock()
        self._told[scope.name] = told_hold(scope, since=wall_s, until=wall_s + scope.limits.hold_s)
        self._counters.protections += 1

    def _view(self, scope: Scope, now_s: float) -> View:
        view = self._views.get(scope.name)
        if view is None:
            view = self._views[scope.name] = self._scopes.view(scope, now_s)
        return view


def _log(level: int, sentences: Sequence[str]) -> None:
    """Tells the first few: a thousand services may begin to protect in one instant, for one reason."""
    for sentence in sentences[:_TOLD_AT_ONCE]:
        logger.log(level, "%s", sentence)
    if len(sentences) > _TOLD_AT_ONCE:
        logger.log(level, "and so for %d services more", len(sentences) - _TOLD_AT_ONCE)
