"""The answers of this agent's replica, with those who wait for them and those who follow them."""

from __future__ import annotations

from regista.agent.config import AgentConfig
from regista.catalog import Catalog
from regista.protocols.http import Answers, Watchers


def make_answers(catalog: Catalog, config: AgentConfig) -> Answers:
    """The answers of a replica, within the limits of the configuration."""
    settings = config.http
    watchers = Watchers(
        watchers_max=settings.watchers_max,
        return_s=settings.watcher_return_s,
        barriers_max=config.drain.waiting_max,
        forget_refused_s=settings.wait_max_s,
    )
    return Answers(
        catalog.topics,
        bytes_max=settings.answers_bytes_max,
        # With several processes an answer's index is its topics': one that became another and the same again would
        # be taken for known by a process that did not see the other, and whoever was told it elsewhere would wait.
        revisions_max=0 if config.workers else settings.revisions_max,
        waiting_max=settings.waiting_max,
        waiting_setting="http.waiting_max",
        watchers=watchers,
    )
