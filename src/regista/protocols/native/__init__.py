"""Regista's own HTTP paths: what happened and why, and the description of every path.

`history` and `explain` read the log and the replica, `encode` and `chain` put that into JSON and sentences,
`openapi` and `pages` describe the routes of all HTTP doors. Changes nothing.
"""

from regista.protocols.native.context import Context
from regista.protocols.native.openapi import describe_routes, group_of, path_of
from regista.protocols.native.routes import native_routes
from regista.protocols.native.settings import HistorySettings

__all__ = ["Context", "HistorySettings", "describe_routes", "group_of", "native_routes", "path_of"]
