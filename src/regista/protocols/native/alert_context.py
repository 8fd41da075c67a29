"""What the native door needs of those who look after alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from regista.model import AlertChannel, AlertRule, AlertSilence, AlertView, Cause
from regista.protocols.native.webhook_context import Outcome


class ChannelState(Protocol):
    """How a channel is getting on; see `notify.ChannelState`."""

    @property
    def sent(self) -> int:
        """Messages since the start."""

    @property
    def failed(self) -> int:
        """Attempts that failed since the start."""

    @property
    def problem(self) -> str:
        """What went wrong the last time; "" if nothing did."""

    @property
    def told_at_s(self) -> float:
        """When it was last told something, in seconds since the epoch; 0 for not since the start."""


class Alerts(Protocol):
    """Who looks after alerts; see `notify.AlertDesk` for what each raises."""

    @property
    def left_out(self) -> int:
        """What was found and is not followed, for want of room."""

    def views(self) -> Sequence[AlertView]:
        """The alerts that are pending or fire, as they are now."""

    def rules(self) -> Mapping[str, AlertRule]:
        """The rules by key."""

    def channel_states(self) -> Mapping[str, ChannelState]:
        """How each channel is getting on, by its key."""

    async def put_rule(self, rule: AlertRule, *, cause: Cause) -> None:
        """Keeps a rule."""

    async def delete_rule(self, name: str, *, cause: Cause) -> None:
        """Ends a rule."""

    async def put_channel(self, channel: AlertChannel, *, cause: Cause) -> None:
        """Keeps a channel."""

    async def delete_channel(self, name: str, *, cause: Cause) -> None:
        """Ends a channel."""

    async def put_silence(self, silence: AlertSilence, *, cause: Cause) -> None:
        """Keeps a silence."""

    async def delete_silence(self, silence_id: str, *, cause: Cause) -> None:
        """Ends a silence."""

    async def test_channel(self, name: str, *, at_s: float) -> Outcome:
        """What comes of telling a channel of an alert that there is not."""
