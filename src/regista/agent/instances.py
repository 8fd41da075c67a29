"""Where clients follow instances, as the Consul door shows them."""

from __future__ import annotations

import functools

from regista.protocols import consul
from regista.protocols.native import Answering, InstanceFeed, StreamSettings


def make_instance_feed(context: consul.Context, settings: StreamSettings) -> InstanceFeed:
    """The feed of a replica's instances."""
    answering = Answering(
        encode=functools.partial(consul.encode_instance, context),
        label=functools.partial(consul.label_answer, context),
        threshold_default=context.degrading.panic_threshold_percent,
    )
    return InstanceFeed(
        context.catalog,
        answering,
        settings,
        watchers=context.answers.watchers,
        life=context.new_id().replace("-", "")[:16],
    )
