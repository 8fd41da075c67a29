"""What the native door needs of those who deliver events to subscriptions."""

from __future__ import annotations

from typing import Protocol

from regista.model import Cause, Subscription


class Outcome(Protocol):
    """What came of an attempt to deliver something."""

    @property
    def status(self) -> int:
        """Of the answer; 0 if there was none."""

    @property
    def problem(self) -> str:
        """What went wrong, in a sentence; "" if it was delivered."""

    @property
    def took_s(self) -> float:
        """How long it took."""


class Replayed(Protocol):
    """What came of sending dead letters again."""

    @property
    def delivered(self) -> int:
        """How many were delivered."""

    @property
    def left(self) -> int:
        """How many were not."""

    @property
    def problem(self) -> str:
        """Why it stopped before the last; "" if it did not."""


class Deliveries(Protocol):
    """What is known of a subscription's deliveries since the start."""

    delivered: int
    retried: int
    dead: int
    rereads: int
    last_success_s: float | None
    error: str
    error_s: float | None
    next_attempt_s: float | None


class WebhookState(Protocol):
    """How a subscription's deliveries are getting on; see `notify.WebhookState`."""

    @property
    def courier(self) -> Deliveries:
        """Counts and times."""

    @property
    def index(self) -> int:
        """Up to which transaction everything is settled."""

    @property
    def behind(self) -> int:
        """By how many transactions that is behind."""

    @property
    def behind_s(self) -> float:
        """How long ago the event happened that is being delivered."""

    @property
    def attempts(self) -> int:
        """How often that one was sent."""

    @property
    def is_failing(self) -> bool:
        """Whether the latest attempt failed."""


class Webhooks(Protocol):
    """Who delivers; see `notify.Webhooks` for what each raises."""

    def host_problem(self, host: str) -> str:
        """Why nothing may be sent to a host; "" if it may, as far as can be said."""

    def state(self, subscription_id: str) -> WebhookState | None:
        """How a subscription is getting on."""

    async def create(self, wanted: Subscription, *, cause: Cause) -> None:
        """Keeps a new subscription."""

    async def replace(self, wanted: Subscription, *, cause: Cause) -> None:
        """Keeps it in the place of the one of its id."""

    async def delete(self, subscription_id: str, *, cause: Cause) -> None:
        """Ends it."""

    async def drop(self, subscription_id: str, event: str, *, cause: Cause) -> None:
        """Gives up a dead letter, or ("") all."""

    async def test(self, subscription_id: str) -> tuple[str, Outcome]:
        """Sends an event that says nothing; its id, and what came of it."""

    async def replay(self, subscription_id: str, event: str, *, cause: Cause) -> Replayed:
        """Sends a dead letter again, or ("") all."""
