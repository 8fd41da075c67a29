"""What is asked of the library Apprise, which is an extra: to be imported only where it is installed. Blocks."""

from __future__ import annotations

import logging
from collections.abc import Callable

import apprise

# At its lower levels the library logs URLs and tokens.
logging.getLogger("apprise").setLevel(logging.CRITICAL)

_LOCAL_SCHEMES = frozenset(("dbus", "gnome", "glib", "kde", "qt", "macosx", "windows", "syslog"))
"""They speak to whoever sits at the agent's own machine."""


def find_problem(url: str, *, allows_private: bool, host_problem: Callable[[str], str]) -> str:
    """Why nothing can be sent to a URL, without repeating it; "" if something can."""
    scheme = url.partition("://")[0].lower()
    if scheme in _LOCAL_SCHEMES:
        return f"{scheme}:// speaks to the agent's own machine"
    plugin = apprise.Apprise.instantiate(url)
    if plugin is None:
        return "Apprise knows no such URL; its documentation has the form for each service"
    if any("{host}" in template for template in getattr(plugin, "templates", ())):
        if not allows_private:
            # What a name is resolved to is found out by a library that can't be made to leave some out.
            return (
                "it names a host, and notify.allow_private is false; use a webhook, or a service of Apprise's "
                "with an address of its own"
            )
        return host_problem(str(getattr(plugin, "host", "") or ""))
    return ""


def notify(url: str, *, title: str, text: str, is_firing: bool) -> str:
    """Sends a message; what went wrong, without repeating the URL, or ""."""
    try:
        notification = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Regista", plugin_paths=[]))
        if not notification.add(url):
            return "Apprise can't use its URL"
        kind = apprise.NotifyType.WARNING if is_firing else apprise.NotifyType.SUCCESS
        is_sent = notification.notify(
            body=text, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
        )
    except Exception as error:  # noqa: BLE001 - each of its services fails in its own way
        return f"Apprise failed ({type(error).__name__})"
    return "" if is_sent else "the service can't be reached, or did not take it"
