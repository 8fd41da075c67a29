"""Through here passes everything that silence would end, before it is written.

Theory of operation. A part that heard nothing in time proposes an ending, and withdraws it when somebody is heard.
What may become of it is decided in `protection`, and how fast in `rates`.

    proposed ──▶ waiting ──release──▶ queued ──the rate allows──▶ carried out
                   │  ▲                 │ ▲
                   │  └ the others were │ └ confirmed, or its port is closed, or protection was switched off
                   │    heard again     │                               │
                   └──▶ held ◀──────────┘ a scope begins to protect ────┤
                          └── its port answers ──▶ kept ────────────────┘       any ──withdrawn──▶ forgotten

What is confirmed is let go from wherever it is, and counts for nothing. Moments are of the hearing clock, except
where people read them.

A *review* looks at the scopes, and then at each ending that this may concern: so many in one tick, the others in
the next ones, because a hundred thousand may fall silent in one instant. What the scopes said stands until all
have had their turn.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Container, Iterable, Mapping

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.dialling import Dialler
from regista.health.docket import Docket
from regista.health.endings import Ending, State, Suspects, told_graced, told_held, told_kept
from regista.health.phases import Phases
from regista.health.protection import Protection, Verdict, decide_confirmed, decide_ending
from regista.health.rates import Rate, Throttle
from regista.health.scopes import Scopes
from regista.health.settings import HealthSettings
from regista.health.successors import Successors

logger = logging.getLogger(__name__)

_REVIEW_S = 0.25
"""How often what waits or is held is looked at: often enough for people, seldom enough for thousands."""

_REVIEW_GAP_S = 0.1
"""What is proposed sooner after a review waits for the next: many that fall due one by one are judged together."""

_JUDGED_AT_ONCE = 1000
"""Endings in one tick; to hold one, and to tell whoever watches its instance, takes some 15 µs."""

_CONFIRMATIONS_AT_ONCE = 500
"""Of so many held endings it is looked each time whether something confirms them, in turn; some 2 ms."""

_DIAL_AGAIN_S = 5.0
"""What could not be told is tried again after this, and ports that answer are dialled at least so far apart."""

_VAIN_DIALS_MAX = 12
"""After a minute in which this agent could not even dial, it must not be the reason that the dead stay."""


class Guard:
    """All endings that are not carried out yet.

    Args:
        scopes: who judges; to be told of each instance that changes.
        dialler: reports to `on_answer` from now on.
        wall_clock: seconds since the epoch, for people.

    Attributes:
        is_enabled: whether mass losses are held; rates count anyway.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        scopes: Scopes,
        dialler: Dialler,
        settings: HealthSettings,
        counters: Counters,
        now_s: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.is_enabled = True
        self._catalog = catalog
        self._scopes = scopes
        self._dialler = dialler
        dialler.on_answer = self.on_answer
        self._counters = counters
        self._kept_s_max = settings.protection_silent_s_max
        self._now_s = now_s
        self._wall_clock = wall_clock
        rate = Rate(settings.expiries_per_s, settings.expiries_burst)
        self._throttle = Throttle(rate, rate_of=scopes.rate_of, now_s=now_s())
        self._docket = Docket()
        self._turns: dict[str, None] = {}
        self._suspects = Suspects(catalog)
        self._successors = Successors(catalog=catalog, now_s=now_s)
        self._phases = Phases(
            scopes=scopes, held_of=self._docket.held_of, counters=counters, wall_clock=wall_clock
        )
        self._looked_until = 0
        self._is_review_wanted = False
        self._reviewed_s = now_s() - _REVIEW_S

    # ---- what the parts say ----

    def propose(self, ending: Ending, now_s: float) -> None:
        """Has the ending carried out when that may be; one of the same slot stays as far as it came."""
        if self._docket.get(ending.slot) is not None:
            return
        self._docket.add(ending)
        ending.due_s = now_s + ending.patience_s / 2
        if not ending.instance or not self.is_enabled or self._is_confirmed(ending):
            self._release(ending)
            return
        ending.is_counted = True
        for scope in self._scopes.of(ending.service):
            scope.add_pending(ending.instance)
        self._is_review_wanted = True

    def withdraw(self, slot: str) -> None:
        """Forgets an ending: there is no reason for it any more."""
        ending = self._docket.get(slot)
        if ending is not None:
            self._counters.endings_survived += ending.was_held
            self._forget(ending)

    def on_answer(self, slot: str, answer: bool | None) -> None:  # noqa: FBT001 - called back with it
        """Takes notice of what the dialler found for an ending."""
        ending = self._docket.get(slot)
        if ending is None or ending.state not in ("held", "kept"):
            return
        now_s = self._now_s()
        if answer is None and ending.vain_dials < _VAIN_DIALS_MAX:
            ending.vain_dials += 1
            ending.due_s = now_s + _DIAL_AGAIN_S
            return
        ending.vain_dials = 0
        entry = self._catalog.services.get(ending.instance)
        if answer and entry is not None and self._successors.has_one(entry.record):
            self._counters.verifications["replaced"] += 1
            self._release(ending)
            return
        self._counters.verifications["answers" if answer else "closed"] += 1
        if not answer:
            self._release(ending)
            return
        ending.kept_until_s = min(ending.kept_until_s, now_s + self._kept_s_max)
        if now_s >= ending.kept_until_s:
            self._counters.verifications["given-up"] += 1
            self._release(ending)
            return
        self._uncount(ending)
        self._move(ending, "kept")
        ending.due_s = min(now_s + max(ending.patience_s, _DIAL_AGAIN_S), ending.kept_until_s)
        wall_s = self._wall_clock()
        self._suspects.tell(ending, told_kept(ending, dialled=wall_s, until=wall_s + ending.kept_until_s - now_s))

    # ---- what the operator says and asks ----

    def enable(self, *, is_enabled: bool) -> None:
        """Holds mass losses from now on, or no longer; those held then go, as fast as the rates allow."""
        if is_enabled == self.is_enabled:
            return
        self.is_enabled = is_enabled
        logger.warning("mass-expiry protection is switched %s by an operator", "on" if is_enabled else "off")
        if not is_enabled:
            self._phases.end()
            self._is_review_wanted = True

    def protections(self) -> tuple[Protection, ...]:
        """The scopes that protect, all services together first."""
        return self._phases.protections(self._now_s())

    def counts(self) -> Mapping[str, int]:
        """How many endings are in each state."""
        return self._docket.counts()

    # ---- time ----

    def tick(self, now_s: float) -> None:
        """Judges what waits, and carries out what may be."""
        self._scopes.tick(now_s)
        if not self._turns and now_s >= self._next_review_s():
            self._reviewed_s = now_s
            self._is_review_wanted = False
            self._review(now_s)
        self._take_turns(now_s)
        for slot in self._throttle.take(now_s):
            ending = self._docket.get(slot)
            assert ending is not None, slot
            if ending.is_counted:
                for scope in self._scopes.of(ending.service):
                    scope.note_went(ending.instance, now_s)
            self._counters.ending_waits.observe(now_s - ending.queued_s)
            self._forget(ending)
            ending.carry_out()

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        take_s = self._throttle.next_s()
        return min(self._next_review_s(), math.inf if take_s is None else take_s)

    def _next_review_s(self) -> float:
        if self._turns:
            return self._reviewed_s
        if self._is_review_wanted:
            return self._reviewed_s + _REVIEW_GAP_S
        if self._phases.is_protecting or len(self._docket) > len(self._docket.of("queued")):
            return self._reviewed_s + _REVIEW_S
        return math.inf

    # ---- judging ----

    def _review(self, now_s: float) -> None:
        """Looks at the scopes, and gives all that this may concern a turn."""
        docket = self._docket
        self._look_for_confirmations()
        if self.is_enabled:
            begun, ended = self._phases.review(now_s)
            if begun:
                self._call_back(begun)
            for name in ended:
                self._give_turns(docket.held_of(name))
        else:
            self._give_turns(each for each in docket.of("queued") if each.is_counted)
            self._give_turns(docket.of("held"))
            self._give_turns(docket.of("kept"))
        self._give_turns(docket.of("waiting"))
        for name in self._phases.verifying():
            self._give_turns(each for each in docket.held_of(name) if now_s >= each.due_s)
        self._give_turns(each for each in docket.of("kept") if now_s >= each.due_s)

    def _call_back(self, scopes: Container[str]) -> None:
        """Has what was let go, and is not gone yet, judged once more where a scope begins to protect."""
        for ending in list(self._docket.of("queued")):
            if ending.is_counted and ("" in scopes or ending.service in scopes):
                self._move(ending, "waiting")

    def _give_turns(self, endings: Iterable[Ending]) -> None:
        self._turns.update((ending.slot, None) for ending in endings)

    def _take_turns(self, now_s: float) -> None:
        for slot in list(itertools.islice(self._turns, _JUDGED_AT_ONCE)):
            del self._turns[slot]
            ending = self._docket.get(slot)
            if ending is not None:
                self._judge(ending, now_s)

    def _judge(self, ending: Ending, now_s: float) -> None:
        """Has the ending go on to its next state, if it is to."""
        phases = self._phases
        if not self.is_enabled:
            self._release(ending)
        elif ending.state == "waiting":
            views = phases.views(ending.service, now_s)
            verdict = decide_ending(views, has_waited=now_s >= ending.due_s, is_graced=ending.is_graced)
            if verdict is Verdict.HOLD:
                self._hold(ending, now_s)
            elif verdict is Verdict.RELEASE:
                self._queue(ending)
        elif ending.state == "held" and phases.is_calm(ending.service):
            self._grace(ending, now_s)
        elif now_s >= ending.due_s and (ending.state == "kept" or self._is_to_verify(ending)):
            self._verify(ending)

    def _is_to_verify(self, ending: Ending) -> bool:
        return ending.state == "held" and self._phases.is_verifying(ending.service)

    def _look_for_confirmations(self) -> None:
        docket = self._docket
        endings = [*docket.of("held"), *docket.of("kept"), *docket.of("waiting")]
        start = self._looked_until if self._looked_until < len(endings) else 0
        self._looked_until = start + _CONFIRMATIONS_AT_ONCE
        for ending in endings[start : self._looked_until]:
            if self._is_confirmed(ending):
                self._release(ending)

    def _is_confirmed(self, ending: Ending) -> bool:
        entry = self._catalog.services.get(ending.instance)
        if entry is None:
            return True
        checks = ((each.record, self._catalog.output(each)) for each in self._catalog.check_entries(entry.record))
        if not decide_confirmed(checks):
            return False
        self._counters.endings_confirmed += 1
        return True

    def _verify(self, ending: Ending) -> None:
        """Has the instance's port dialled; without an address that could be, it is as good as closed."""
        entry = self._catalog.services.get(ending.instance)
        node = self._catalog.nodes.get(entry.record.node.lower()) if entry is not None else None
        if entry is not None and node is not None and entry.record.port:
            address = entry.record.address or node.record.address
            self._dialler.ask(ending.slot, address, entry.record.port)
        else:
            self._counters.verifications["no-port"] += 1
            self._release(ending)

    # ---- from one state to the next ----

    def _move(self, ending: Ending, state: State) -> None:
        if ending.state == "queued":
            self._throttle.drop(ending.service, ending.slot)
        self._docket.move(ending, state)

    def _queue(self, ending: Ending) -> None:
        self._move(ending, "queued")
        ending.queued_s = self._now_s()
        self._throttle.put(ending.service, ending.slot)

    def _release(self, ending: Ending) -> None:
        """Lets go of what is no silent loss, or no longer held."""
        self._uncount(ending)
        if ending.state != "queued":
            self._queue(ending)

    def _hold(self, ending: Ending, now_s: float) -> None:
        self._counters.endings_held += not ending.was_held
        ending.was_held = True
        ending.is_graced = False
        ending.due_s = now_s
        self._move(ending, "held")
        self._suspects.tell(ending, told_held(ending, self._phases.told(ending.service)))

    def _grace(self, ending: Ending, now_s: float) -> None:
        self._dialler.drop(ending.slot)
        ending.is_graced = True
        ending.due_s = now_s + ending.patience_s
        self._move(ending, "waiting")
        self._suspects.tell(ending, told_graced(ending, until=self._wall_clock() + ending.patience_s))

    def _uncount(self, ending: Ending) -> None:
        if ending.is_counted:
            ending.is_counted = False
            for scope in self._scopes.of(ending.service):
                scope.drop_pending(ending.instance)

    def _forget(self, ending: Ending) -> None:
        self._dialler.drop(ending.slot)
        if ending.state == "queued":
            self._throttle.drop(ending.service, ending.slot)
        self._docket.remove(ending)
        self._uncount(ending)
        self._suspects.tell(ending, "")
