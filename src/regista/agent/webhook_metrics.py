"""What webhooks count: a value for each subscription, of which there is a limited number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from regista.agent.metric_shapes import gauge
from regista.notify import WebhookState
from regista.protocols.consul import Metric


class WebhookMetrics:
    """Reads them.

    Args:
        states: how each subscription is getting on.
        in_flight: how many messages are being sent.
    """

    def __init__(self, states: Callable[[], Sequence[WebhookState]], in_flight: Callable[[], int]) -> None:
        self._states = states
        self._in_flight = in_flight

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        states = self._states()
        yield gauge("webhooks", "Subscriptions.", len(states))
        yield gauge("webhooks_in_flight", "Messages that are being sent.", self._in_flight())

        def of_each(name: str, text: str, read: Callable[[WebhookState], float], *, counts: bool) -> Metric:
            values = tuple((_labels(state), read(state)) for state in states)
            return Metric(name, text, values, is_counter=counts)

        text = "Events that a receiver took."
        yield of_each("webhook_delivered", text, lambda state: state.courier.delivered, counts=True)
        text = "Attempts that failed, and were followed by another."
        yield of_each("webhook_retried", text, lambda state: state.courier.retried, counts=True)
        text = "Events given up."
        yield of_each("webhook_dead", text, lambda state: state.courier.dead, counts=True)
        text = "How often the log no longer had what came next."
        yield of_each("webhook_rereads", text, lambda state: state.courier.rereads, counts=True)
        text = "By how many transactions deliveries are behind."
        yield of_each("webhook_lag_transactions", text, lambda state: state.behind, counts=False)
        text = "How long ago the event happened that is being delivered; 0 for none, and while it is disabled."
        yield of_each("webhook_lag_seconds", text, lambda state: state.behind_s, counts=False)
        text = "Whether its latest attempt failed, or it was disabled because its receiver is gone."
        yield of_each("webhook_failing", text, lambda state: float(state.is_failing), counts=False)


def _labels(state: WebhookState) -> dict[str, str]:
    return {"subscription": state.subscription.id, "name": state.subscription.name}
