"""Regista's own HTTP paths: what happened and why, and the description of every path.

`history` and `explain` read the log and the replica, `events` follows them, `encode` and `chain` put that into
JSON and sentences, `openapi` and `pages` describe the routes of all HTTP doors.
"""

from regista.protocols.native.context import Context
from regista.protocols.native.event_feed import EventFeed
from regista.protocols.native.instance_feed import Answering, InstanceFeed
from regista.protocols.native.limit_context import Limited, LimitUse
from regista.protocols.native.openapi import describe_routes, group_of, path_of
from regista.protocols.native.routes import native_routes
from regista.protocols.native.settings import HistorySettings, StreamSettings

__all__ = [
    "Answering",
    "Context",
    "EventFeed",
    "HistorySettings",
    "InstanceFeed",
    "LimitUse",
    "Limited",
    "StreamSettings",
    "describe_routes",
    "group_of",
    "native_routes",
    "path_of",
]
