"""Delivering to one subscription: in order, one event at a time, each until it is settled.

An event is settled when the receiver has taken it, when it is a dead letter, or when the subscription no longer
wants it. The courier reads the log from where it is, however slowly; nobody waits for it, and it keeps no more
than the piece of the log that it is reading.

    reading   --an event that is wanted-->          sending
    reading   --the log does not reach back-->      sending (`regista.reread`), then from the log's end
    sending   --delivered, or dead-->               reading
    sending   --again-->                            pausing, then sending
    any       --410, or disabled by somebody-->     resting, until it is enabled
    pausing   --the subscription was changed-->     sending, as if for the first time
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import random
from collections.abc import Callable, Sequence
from typing import Protocol

from regista.catalog import ChangeEvent, EventPlace, bury_event, disable_subscription, event_filter
from regista.model import (
    Batch,
    Compacted,
    DeadLetter,
    Delivery,
    Entry,
    RegistaError,
    StoreUnavailable,
    Subscription,
)
from regista.notify.cursors import DELIVERY_CAUSE, Cursors, Plan, Writer
from regista.notify.http_sender import HttpSender
from regista.notify.outgoing import BatchEvents, Outgoing, outgoing_event, outgoing_reread
from regista.notify.retries import Outcome, RetryPolicy, Tries, decide_retry

logger = logging.getLogger(__name__)


_TELL_S = 60.0
_FAILURES_TOLD = 3
"""A receiver that fails now and then must not fill the log: that it fails is told once, and at most once a minute;
that it delivers again, if there were some failures."""


class Tail(Protocol):
    """The log from an index on."""

    @property
    def index(self) -> int:
        """Of the last batch."""

    async def after(self, index: int) -> Sequence[Batch]:
        """The next batches, once there is one.

        Raises:
            Compacted: the log does not reach back that far.
            StoreUnavailable: it can't be read just now.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Means:
    """What all couriers work with.

    Attributes:
        wall_clock: seconds since the epoch.
        source: which registry it is, for the events.
        store_pause_s: between two tries of a store that can't be read or written.
    """

    tail: Tail
    events: BatchEvents
    sender: HttpSender
    writer: Writer
    cursors: Cursors
    policy: RetryPolicy
    dead_letters_max: int
    wall_clock: Callable[[], float]
    rng: random.Random
    source: str
    store_pause_s: float = 1.0


@dataclasses.dataclass(slots=True)
class CourierState:
    """What is known of a subscription's deliveries since the start.

    Attributes:
        delivered, retried, dead, rereads: counts.
        error: what came of the last attempt that failed, and when; "" before the first.
        next_attempt_s: when the next attempt is made; None unless one is waited for.
        pending_s: when the event happened that is being delivered; None for none.
    """

    delivered: int = 0
    retried: int = 0
    dead: int = 0
    rereads: int = 0
    last_success_s: float | None = None
    error: str = ""
    error_s: float | None = None
    next_attempt_s: float | None = None
    pending_s: float | None = None


class _Ended(Exception):
    """It is to stop between two attempts."""


class Courier:
    """Runs for as long as its subscription is there, enabled or not.

    Attributes:
        subscription: as it is now.
        turn: held during an attempt, so that one at a time is made.
        state: for whoever asks.
    """

    def __init__(self, means: Means, entry: Entry[Subscription], written: Entry[Delivery] | None) -> None:
        self.subscription = entry.record
        self.turn = asyncio.Lock()
        self.state = CourierState()
        self._means = means
        self._wanted = event_filter(entry.record)
        self._changed = asyncio.Event()
        self._is_ending = False
        self._tries = Tries()
        # Whether the log has that it fails, and when that was told the last time.
        self._is_told = False
        self._told_s = 0.0
        # A cursor is written after what it names: one that is not came with a snapshot from another log. Once it
        # is written again here, only the record itself can say so.
        self._is_foreign = written is not None and (
            written.record.is_foreign or written.record.index >= written.modify_index
        )
        if written is not None:
            delivery = written.record
            self._place = EventPlace(delivery.index, delivery.position)
            self._tries = Tries(delivery.attempts, failures=delivery.attempts, since_s=delivery.failing_since_s)
            means.cursors.begin(delivery)
        else:
            after_index = entry.record.after_index
            self._place = EventPlace(entry.create_index if after_index is None else after_index)

    @property
    def place(self) -> EventPlace:
        """How far it has come."""
        return self._place

    @property
    def attempts(self) -> int:
        """How often the event was sent that is being delivered."""
        return self._tries.attempts

    @property
    def failures(self) -> int:
        """How many attempts in a row have failed, of whatever events."""
        return self._tries.failures

    @property
    def is_sending(self) -> bool:
        """Whether an attempt is under way."""
        return self.turn.locked()

    def change(self, subscription: Subscription) -> None:
        """Goes on with a subscription as it is now: at once, for the reason to wait may be gone."""
        self.subscription = subscription
        self._wanted = event_filter(subscription)
        self._is_told = False
        self._changed.set()

    def end(self) -> None:
        """Has `run` return after the attempt under way; while there is none, cancel it."""
        self._is_ending = True
        self._changed.set()

    async def run(self) -> None:
        """Delivers until it is ended."""
        try:
            while True:
                await self._rest()
                await self._read_on()
                # A piece of the log that nobody wants anything of was read without waiting.
                await asyncio.sleep(0)
        except _Ended:
            return

    # ---- reading ----

    async def _read_on(self) -> None:
        """Delivers what is wanted of the next piece of the log."""
        means = self._means
        if self._is_foreign or self._place.index > means.tail.index:
            await self._tell_gap()
            return
        try:
            batches = await means.tail.after(self._place.read_from)
        except Compacted:
            await self._tell_gap()
            return
        except StoreUnavailable as error:
            logger.warning("webhook %s can't read the log for now: %s", self.subscription.id, error)
            await self._pause(self._means.store_pause_s)
            return
        for batch in batches:
            for event in means.events.of(batch):
                if not self._place.is_past(event) and self._wanted.admits(event):
                    outgoing = outgoing_event(event, source=means.source)
                    await self._deliver(outgoing, EventPlace(event.index, event.position), event)
            self._settle(EventPlace(batch.index), is_news=False)

    async def _tell_gap(self) -> None:
        """Says that what comes next is not what came next, and goes on from the end of the log."""
        means = self._means
        # The rest of a transaction whose beginning was delivered is in the gap too.
        after_index, index = self._place.read_from, means.tail.index
        logger.warning(
            "webhook %s: the log no longer has what came after index %d; its receiver is told to read anew",
            self.subscription.id,
            after_index,
        )
        outgoing = outgoing_reread(after_index, index, at_s=means.wall_clock(), source=means.source)
        await self._deliver(outgoing, EventPlace(index))
        self.state.rereads += 1

    def _settle(self, place: EventPlace, *, is_news: bool) -> None:
        self._place = place
        self._is_foreign = False
        self._means.cursors.move(self._delivery(place), is_news=is_news)

    def _delivery(self, place: EventPlace, tries: Tries | None = None) -> Delivery:
        """The record of a place that it has come to; with `tries`, of one that it tries to get on from."""
        return Delivery(
            subscription=self.subscription.id,
            index=place.index,
            position=place.position,
            attempts=tries.attempts if tries else 0,
            failing_since_s=tries.since_s if tries else 0.0,
            is_foreign=self._is_foreign and tries is not None,
        )

    # ---- sending ----

    async def _deliver(self, outgoing: Outgoing, place: EventPlace, event: ChangeEvent | None = None) -> None:
        """Returns when the event is settled.

        Args:
            place: where it stands; the subscription has come so far then.
            event: as the filter judges it, for that may change meanwhile; None for one that everybody is told.
        """
        self.state.pending_s = outgoing.at_s
        is_settled = False
        while not is_settled:
            await self._rest()
            if event is not None and not self._wanted.admits(event):
                break
            is_settled = await self._try(outgoing, place)
        self.state.pending_s = None
        self._tries = Tries(failures=self._tries.failures)
        self._settle(place, is_news=is_settled)

    async def _try(self, outgoing: Outgoing, place: EventPlace) -> bool:
        """Makes one attempt, and does what follows from it; whether the event is settled then."""
        means = self._means
        outcome = await self._attempt(outgoing)
        if self._changed.is_set() and not self._is_ending and not outcome.is_delivered:
            # The answer is to a subscription as it was, perhaps from another receiver: it decides nothing.
            self.state.retried += 1
            self._tries = Tries()
            return False
        jitter, now_s = means.rng.random(), means.wall_clock()
        verdict = decide_retry(outcome, self._tries, now_s=now_s, jitter=jitter, policy=means.policy)
        match verdict.word:
            case "dead":
                await self._bury(outgoing, place, outcome)
            case "disable":
                await self._disable()
            case "again":
                self.state.retried += 1
                means.cursors.move(self._delivery(self._place, self._tries), is_news=True)
                await self._pause(verdict.after_s)
        return verdict.word in ("delivered", "dead")

    async def _attempt(self, outgoing: Outgoing) -> Outcome:
        """Sends it once, and takes note of what came of it."""
        means, before = self._means, self._tries
        async with self.turn:
            self._changed.clear()
            began_s = means.wall_clock()
            message = outgoing.message(self.subscription, attempt=before.attempts + 1, now_s=began_s)
            outcome = await means.sender.send(message)
        self._tries = before.after(outcome, began_s=began_s)
        self.note(outcome)
        if not outcome.is_delivered:
            if not self._is_told and began_s - self._told_s >= _TELL_S:
                self._is_told, self._told_s = True, began_s
                logger.warning("webhook %s to %s: %s", *self._named(), outcome.problem)
            return outcome
        self._is_told = False
        self.state.delivered += 1
        if before.failures >= _FAILURES_TOLD:
            logger.info("webhook %s to %s delivers again, after %d failures", *self._named(), before.failures)
        return outcome

    def note(self, outcome: Outcome) -> None:
        """Remembers an outcome for those who ask."""
        now_s = self._means.wall_clock()
        if outcome.is_delivered:
            self.state.last_success_s = now_s
        else:
            self.state.error, self.state.error_s = outcome.problem, now_s

    async def _bury(self, outgoing: Outgoing, place: EventPlace, outcome: Outcome) -> None:
        """Makes it a dead letter, as soon as the store takes it."""
        letter = DeadLetter(
            subscription=self.subscription.id,
            event=outgoing.id,
            type=outgoing.type,
            body=outgoing.body.decode(),
            at_s=self._means.wall_clock(),
            attempts=self._tries.attempts,
            error=outcome.problem,
        )
        plan = functools.partial(
            bury_event,
            letter=letter,
            delivery=self._delivery(place),
            dead_letters_max=self._means.dead_letters_max,
        )
        await self._write(plan)
        self.state.dead += 1
        text = "webhook %s to %s: event %s is a dead letter after %d attempts: %s"
        logger.warning(text, *self._named(), letter.event, letter.attempts, letter.error)

    async def _disable(self) -> None:
        """Has the subscription disabled, for its receiver is gone."""
        because = "the receiver answered 410 (Gone)"
        await self._write(
            functools.partial(disable_subscription, subscription_id=self.subscription.id, because=because)
        )
        logger.warning("webhook %s to %s is disabled: %s", *self._named(), because)

    async def _write(self, plan: Plan) -> None:
        """Returns when it is written."""
        while True:
            try:
                await self._means.writer.write(plan, cause=DELIVERY_CAUSE)
            except RegistaError as error:
                logger.warning("webhook %s: not written for now: %s", self.subscription.id, error)
                await self._pause(self._means.store_pause_s)
            else:
                return

    def _named(self) -> tuple[str, str]:
        return self.subscription.id, self.subscription.shown_url

    # ---- waiting ----

    async def _rest(self) -> None:
        """Returns when the subscription is enabled: mostly at once.

        Raises:
            _Ended: it is to stop.
        """
        while not self._is_ending and not self.subscription.is_enabled:
            self._changed.clear()
            await self._changed.wait()
            self._tries = Tries()
        if self._is_ending:
            raise _Ended

    async def _pause(self, after_s: float) -> None:
        """Waits, unless something changes or has changed; then what was tried before no longer counts.

        Raises:
            _Ended: it is to stop.
        """
        self.state.next_attempt_s = self._means.wall_clock() + after_s
        try:
            async with asyncio.timeout(after_s):
                await self._changed.wait()
        except TimeoutError:
            return
        finally:
            self.state.next_attempt_s = None
        if self._is_ending:
            raise _Ended
        self._changed.clear()
        self._tries = Tries()
