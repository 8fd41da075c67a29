"""Every path of the native door, with all that is told of it."""

from __future__ import annotations

from regista.protocols.http import Route
from regista.protocols.native.context import Context
from regista.protocols.native.explain import Explain
from regista.protocols.native.history import History
from regista.protocols.native.pages import Pages
from regista.protocols.native.top import Top


def native_routes(context: Context) -> tuple[Route, ...]:
    """The routes, with their handlers; a new group of paths is a class and a line here."""
    return (
        *History(context).routes(),
        *Explain(context).routes(),
        *Top(context).routes(),
        *Pages(context).routes(),
    )
