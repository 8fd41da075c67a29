"""What alerts count: a value for each channel, of which there is a limited number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from regista.agent.metric_shapes import gauge, gauges
from regista.notify import ChannelState
from regista.protocols.consul import Metric


class AlertMetrics:
    """Reads them.

    Args:
        counts: how many alerts there are, by state.
        left_out: what was found and is not followed.
        channels: how each channel is getting on, by its key.
    """

    def __init__(
        self,
        counts: Callable[[], Mapping[str, int]],
        left_out: Callable[[], int],
        channels: Callable[[], Mapping[str, ChannelState]],
    ) -> None:
        self._counts = counts
        self._left_out = left_out
        self._channels = channels

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        yield gauges("alerts", "Alerts, by state.", "state", self._counts())
        text = "What alert rules found and is not followed, for want of room."
        yield gauge("alerts_not_followed", text, self._left_out())
        channels = self._channels()
        sent = tuple(({"channel": key}, float(state.sent)) for key, state in channels.items())
        failed = tuple(({"channel": key}, float(state.failed)) for key, state in channels.items())
        yield Metric("alert_messages_sent", "Messages about alerts that a channel took.", sent, is_counter=True)
        text = "Attempts to send such a message that failed."
        yield Metric("alert_messages_failed", text, failed, is_counter=True)
