"""What is counted of limits, and of those who follow instances."""

from __future__ import annotations

from collections.abc import Iterable

from regista.agent.metric_shapes import counter, counters, gauge, gauges
from regista.protocols.consul import Metric
from regista.protocols.http import SHED_ORDER
from regista.protocols.native import InstanceFeed, Limited


class LimitMetrics:
    """Reads them."""

    def __init__(self, limits: Limited) -> None:
        self._limits = limits

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        limits = self._limits
        uses = tuple(limits.uses())
        yield gauges("limit_max", "Limits, by the setting.", "limit", {each.name: each.most for each in uses})
        text = "How much of them is in use, where they say how many there may be."
        yield gauges("limit_used", text, "limit", {each.name: each.used for each in uses if each.used is not None})
        text = "Requests refused for a limit."
        yield counters("limit_refused", text, "limit", {each.name: each.refused for each in uses})
        text = "Requests refused because there was too much to do, by class of load."
        yield counters("load_shed", text, "class", limits.shed, SHED_ORDER)
        yield gauge("load_level", "How many classes of load are refused.", limits.level.count)
        yield gauge("load_lag_seconds", "How late the agent is with what is due, lastingly.", limits.lag_s)


class FollowingMetrics:
    """Reads those of the stream of instances."""

    def __init__(self, feed: InstanceFeed) -> None:
        self._feed = feed

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        feed, counts = self._feed, self._feed.counts
        yield gauge("followers", "Clients that follow instances.", len(feed))
        yield gauge("followed_questions", "What they follow, each question once.", feed.questions_count)
        text = "Changed instances, and those of full lists, encoded once for all followers."
        yield counter("followed_encoded", text, counts.encoded)
        yield counter("followed_sent", "How often a follower was given changes.", counts.sent)
        yield counter("followed_lists", "Full lists given to followers.", counts.full_lists)
        text = "Full lists given because a follower was too far behind, or came from elsewhere."
        yield counter("followed_gaps", text, counts.gaps)
