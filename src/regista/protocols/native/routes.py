"""Every path of the native door, with all that is told of it."""

from __future__ import annotations

from regista.protocols.http import Route
from regista.protocols.native.alerts import Alerts
from regista.protocols.native.context import Context
from regista.protocols.native.dns import Dns
from regista.protocols.native.events import Events
from regista.protocols.native.explain import Explain
from regista.protocols.native.history import History
from regista.protocols.native.limits import Limits
from regista.protocols.native.pages import Pages
from regista.protocols.native.protection import ProtectionSwitch
from regista.protocols.native.reports import Reports
from regista.protocols.native.stream import Stream
from regista.protocols.native.subscriptions import Subscriptions
from regista.protocols.native.summary import Summary
from regista.protocols.native.top import Top


def native_routes(context: Context) -> tuple[Route, ...]:
    """The routes, with their handlers; a new group of paths is a class and a line here."""
    return (
        *History(context).routes(),
        *Explain(context).routes(),
        *Dns(context).routes(),
        *Events(context).routes(),
        *Stream(context).routes(),
        *Subscriptions(context).routes(),
        *Alerts(context).routes(),
        *Summary(context).routes(),
        *ProtectionSwitch(context).routes(),
        *Reports(context).routes(),
        *Top(context).routes(),
        *Limits(context).routes(),
        *Pages(context).routes(),
    )
