"""Webhooks: a courier for each subscription there is, and what somebody may ask of one besides.

Nothing here is in the way of a commit: a subscription's courier is told of its own record, and reads the log
itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
from collections.abc import Callable, Iterator, Sequence

import msgspec

from regista.catalog import (
    Catalog,
    create_subscription,
    delete_subscription,
    drop_dead_letters,
    find_dead_letter,
    find_subscription,
    keep_dead_letter,
    replace_subscription,
)
from regista.model import Batch, Cause, DeadLetter, Entry, Overloaded, Subscription, Transaction
from regista.notify.courier import Courier, CourierState, Means
from regista.notify.outgoing import Outgoing, outgoing_test
from regista.notify.retries import Outcome
from regista.notify.settings import NotifySettings

logger = logging.getLogger(__name__)

_REVIVE_S = 5.0
"""After an error of ours a courier is started again; its event may be what it failed on, so not at once."""

_LAST_S_MAX = 2.0
"""How long a stop waits for answers: most come sooner, and what is cut off is only sent again."""

REPLAY_S_MAX = 30.0
"""One request replays for so long; the answer says what is left."""


@dataclasses.dataclass(frozen=True, slots=True)
class WebhookState:
    """How a subscription's deliveries are getting on.

    Attributes:
        index: up to which transaction everything is settled.
        behind: by how many transactions that is behind.
        behind_s: how long ago the event happened that is being delivered; 0 for none, and while it is disabled.
        attempts: how often that one was sent.
        is_failing: whether the latest attempt failed, or the server has disabled it because its receiver is gone;
            one that somebody disabled does not fail.
    """

    subscription: Subscription
    courier: CourierState
    index: int
    behind: int
    behind_s: float
    attempts: int
    is_failing: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Replayed:
    """What came of sending dead letters again.

    Attributes:
        delivered, left: how many.
        problem: why it stopped before the last; "" if it did not.
    """

    delivered: int
    left: int
    problem: str


class Webhooks:
    """The couriers.

    Args:
        clock: monotonic seconds.
        new_id: a fresh UUID each time.
        settings: their limits.
    """

    def __init__(
        self,
        catalog: Catalog,
        means: Means,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        settings: NotifySettings,
    ) -> None:
        self._catalog = catalog
        self._means = means
        self._clock = clock
        self._new_id = new_id
        self._settings = settings
        self._asides = 0
        self._couriers: dict[str, Courier] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._writing: asyncio.Task[None] | None = None

    @property
    def asides_count(self) -> int:
        """How many messages are being sent beside the couriers, for who waits for the outcome."""
        return self._asides

    @property
    def in_flight(self) -> int:
        """How many messages are being sent."""
        return self._means.sender.in_flight

    def start(self) -> None:
        """Begins to deliver."""
        self._writing = asyncio.create_task(self._means.cursors.keep_writing())
        self._catalog.subscribe(self._on_batch)
        self._sync()

    async def stop(self, grace_s: float) -> None:
        """Gives the attempts under way a moment, at most so long, and writes how far all have come."""
        if self._writing is None:
            return
        self._writing.cancel()
        self._writing = None
        for name, courier in self._couriers.items():
            courier.end()
            if not courier.is_sending:
                self._tasks[name].cancel()
        tasks = tuple(self._tasks.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=min(grace_s, _LAST_S_MAX))
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await self._means.cursors.write()

    # ---- what somebody asks for ----

    def host_problem(self, host: str) -> str:
        """Why nothing may be sent to the host of a URL, as far as can be said of it now; "" if it may."""
        return self._means.sender.host_problem(host)

    def state(self, subscription_id: str) -> WebhookState | None:
        """How a subscription is getting on; None if there is none."""
        courier = self._couriers.get(subscription_id)
        return None if courier is None else self._state(courier)

    def states(self) -> Sequence[WebhookState]:
        """How all are getting on."""
        return [self._state(each) for each in self._couriers.values()]

    async def create(self, wanted: Subscription, *, cause: Cause) -> None:
        """Keeps a subscription, whose id is fresh.

        Raises:
            BadInput, Overloaded: see `create_subscription`.
            StateError, StoreError: it is not kept.
        """
        most = self._settings.subscriptions_max
        plan = functools.partial(create_subscription, wanted=wanted, subscriptions_max=most)
        await self._means.writer.write(plan, cause=cause)

    async def replace(self, wanted: Subscription, *, cause: Cause) -> None:
        """Keeps it in the place of the one of its id.

        Raises:
            BadInput, NotFound: see `replace_subscription`.
            StateError, StoreError: it is not kept.
        """
        now_s, rotation_s = self._means.wall_clock(), self._settings.rotation_s
        plan = functools.partial(replace_subscription, wanted=wanted, now_s=now_s, rotation_s=rotation_s)
        await self._means.writer.write(plan, cause=cause)

    async def delete(self, subscription_id: str, *, cause: Cause) -> None:
        """Ends a subscription, with its dead letters.

        Raises:
            NotFound: there is none.
            StateError, StoreError: it is still there.
        """
        plan = functools.partial(delete_subscription, subscription_id=subscription_id)
        await self._means.writer.write(plan, cause=cause)

    async def drop(self, subscription_id: str, event: str, *, cause: Cause) -> None:
        """Gives up the dead letter of an event, or ("") all of the subscription.

        Raises:
            NotFound: there is no such subscription or letter.
            StateError, StoreError: they are still there.
        """
        plan = functools.partial(drop_dead_letters, subscription_id=subscription_id, event=event)
        await self._means.writer.write(plan, cause=cause)

    async def test(self, subscription_id: str) -> tuple[str, Outcome]:
        """Sends an event that says nothing, enabled or not, beside what is under way; its id, and what came of it.

        Raises:
            NotFound: there is no such subscription.
            Overloaded: too many tests and replays are under way.
        """
        subscription = find_subscription(self._catalog, subscription_id).record
        with self._aside():
            now_s = self._means.wall_clock()
            outgoing = outgoing_test(subscription, self._new_id(), at_s=now_s, source=self._means.source)
            message = outgoing.message(subscription, attempt=1, now_s=now_s)
            return outgoing.id, await self._means.sender.send(message)

    async def replay(self, subscription_id: str, event: str, *, cause: Cause) -> Replayed:
        """Sends a dead letter again, or ("") all of a subscription, oldest first, until one can't be delivered.

        Each goes between two attempts of the courier. What is delivered is no dead letter any more.

        Raises:
            NotFound: there is no such subscription or letter.
            Overloaded: too many tests and replays are under way.
        """
        find_subscription(self._catalog, subscription_id)
        letters = self._catalog.dead_letters.of(subscription_id)
        if event:
            letters = [find_dead_letter(self._catalog, subscription_id, event)]
        with self._aside():
            return await self._replay(subscription_id, letters, cause)

    async def _replay(self, subscription_id: str, letters: Sequence[Entry[DeadLetter]], cause: Cause) -> Replayed:
        delivered, problem = 0, ""
        end_s = self._clock() + REPLAY_S_MAX
        for entry in letters:
            courier = self._couriers.get(subscription_id)
            if courier is None:
                problem = "the subscription is gone"
            elif self._clock() > end_s:
                problem = f"it took over {REPLAY_S_MAX:g} s; ask again for the others"
            else:
                problem = await self._replay_one(courier, entry.record, cause)
            if problem:
                break
            delivered += 1
        return Replayed(delivered, len(letters) - delivered, problem)

    async def _replay_one(self, courier: Courier, letter: DeadLetter, cause: Cause) -> str:
        """What went wrong; "" if it was delivered, or somebody else was quicker."""
        means = self._means
        async with courier.turn:
            if letter.key not in self._catalog.dead_letters.entries:
                return ""
            outgoing = Outgoing(letter.event, letter.type, letter.body.encode(), letter.at_s)
            message = outgoing.message(courier.subscription, attempt=letter.attempts + 1, now_s=means.wall_clock())
            outcome = await means.sender.send(message)
            courier.note(outcome)
            if not outcome.is_delivered:
                tried = msgspec.structs.replace(letter, attempts=letter.attempts + 1, error=outcome.problem)
                await means.writer.write(functools.partial(keep_dead_letter, letter=tried), cause=cause)
                return outcome.problem
            courier.state.delivered += 1
            plan = functools.partial(_drop, letter)
            await means.writer.write(plan, cause=cause)
        return ""

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        most = self._settings.asides_max
        if self._asides >= most:
            raise Overloaded("notify.asides_max", used=self._asides, most=most)
        self._asides += 1
        try:
            yield
        finally:
            self._asides -= 1

    def _state(self, courier: Courier) -> WebhookState:
        subscription, pending_s = courier.subscription, courier.state.pending_s
        behind_s = 0.0
        if pending_s is not None and subscription.is_enabled:
            behind_s = max(0.0, self._means.wall_clock() - pending_s)
        index = courier.place.read_from
        return WebhookState(
            subscription=subscription,
            courier=courier.state,
            index=index,
            behind=max(0, self._means.tail.index - index),
            behind_s=behind_s,
            attempts=courier.attempts,
            is_failing=courier.failures > 0 if subscription.is_enabled else bool(subscription.disabled_because),
        )

    # ---- keeping a courier for each subscription ----

    def _on_batch(self, batch: Batch) -> None:
        if self._writing is not None and any(change.record.kind == Subscription.kind for change in batch.changes):
            self._sync()

    def _sync(self) -> None:
        """Has a courier for each subscription, each with its record as it is."""
        subscriptions = self._catalog.subscriptions
        for name in self._couriers.keys() - subscriptions.keys():
            self._couriers.pop(name).end()
            self._tasks.pop(name).cancel()
            self._means.cursors.forget(name)
        for name, entry in subscriptions.items():
            courier = self._couriers.get(name)
            if courier is None:
                self._begin(name, entry)
            elif courier.subscription != entry.record:
                courier.change(entry.record)

    def _begin(self, name: str, entry: Entry[Subscription]) -> None:
        courier = self._couriers[name] = Courier(self._means, entry, self._catalog.deliveries.get(name))
        task = self._tasks[name] = asyncio.create_task(courier.run())
        task.add_done_callback(functools.partial(self._on_end, name))

    def _on_end(self, name: str, task: asyncio.Task[None]) -> None:
        """Starts a courier again that failed by a mistake of ours."""
        if task.cancelled() or task.exception() is None:
            return
        logger.error("webhook %s stopped, and is started again", name, exc_info=task.exception())
        if self._tasks.get(name) is task and self._writing is not None:
            asyncio.get_running_loop().call_later(_REVIVE_S, self._revive, name, task)

    def _revive(self, name: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(name) is task and self._writing is not None:
            again = self._tasks[name] = asyncio.create_task(self._couriers[name].run())
            again.add_done_callback(functools.partial(self._on_end, name))


def _drop(letter: DeadLetter, catalog: Catalog) -> Transaction:
    """The letter gone, if it is there."""
    if letter.key not in catalog.dead_letters.entries:
        return Transaction()
    return drop_dead_letters(catalog, letter.subscription, letter.event)
