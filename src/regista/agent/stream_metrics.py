"""What the event stream and the watches of the configuration count."""

from __future__ import annotations

from collections.abc import Iterable

from regista.agent.metric_shapes import counter, counters, gauge
from regista.notify import Watches
from regista.protocols.consul import Metric
from regista.protocols.native import EventFeed

_WATCH_FAILURES = ("http", "question", "script")


class StreamMetrics:
    """Reads them."""

    def __init__(self, feed: EventFeed, watches: Watches) -> None:
        self._feed = feed
        self._watches = watches

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        feed, watches = self._feed, self._watches
        yield gauge("event_listeners", "Clients that listen to the event stream.", len(feed))
        yield counter("events_encoded", "Events made for the stream, once for all listeners.", feed.encoded_count)
        yield counter("events_sent", "Events given to listeners.", feed.sent_count)
        yield counter("event_rereads", "How often a listener was told of a gap.", feed.reread_count)
        yield gauge("watches", "Watches of the configuration files.", len(watches))
        yield counter("watch_runs", "How often a watch's handler was run.", watches.run_count)
        text = "Failed runs of handlers by their kind, and questions that were refused."
        yield counters("watch_failures", text, "of", watches.failed_count, _WATCH_FAILURES)
