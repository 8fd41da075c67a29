"""Sending messages to channels: one function a kind, and a line in `AlertSender.send`."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from regista.model import AlertChannel, BadInput
from regista.notify import alert_messages as messages
from regista.notify.alert_apprise import AppriseSender
from regista.notify.alert_notices import Group
from regista.notify.alert_settings import AlertSettings
from regista.notify.http_sender import HttpSender, Message
from regista.notify.retries import Outcome

CHANNEL_KINDS = ("apprise", "webhook", "alertmanager")

_ALERTS_PATH = "/api/v2/alerts"

_LASTS_RESENDS = 4
"""Source: Prometheus: an alert ends by itself after as many times that nobody resent it."""


class AlertSender:
    """Sends groups of alerts; any number of channels at once.

    Args:
        link: where people see the alerts.
        source: which registry it is, for webhooks.
        wall_clock: seconds since the epoch.
    """

    def __init__(
        self,
        http: HttpSender,
        apprise: AppriseSender,
        settings: AlertSettings,
        *,
        link: Callable[[], str],
        source: str,
        wall_clock: Callable[[], float],
    ) -> None:
        self._http = http
        self._apprise = apprise
        self._settings = settings
        self._link = link
        self._source = source
        self._wall_clock = wall_clock

    async def check(self, channel: AlertChannel) -> None:
        """Makes sure that a channel can be sent to, as far as that shows before sending.

        Raises:
            BadInput: it can't; the field is named.
        """
        if channel.channel_kind == "apprise":
            await self._apprise.check(channel.url)
        else:
            problem = _url_problem(channel.url) or self._http.host_problem(urlsplit(channel.url).hostname or "")
            if problem:
                raise BadInput(f"Invalid url: {problem}", field="url")

    async def send(self, group: Group, *, attempt: int) -> Outcome:
        """What came of telling a channel; whatever goes wrong is part of it, and raises nothing."""
        match group.channel.channel_kind:
            case "apprise":
                return await self._send_apprise(group)
            case "webhook":
                return await self._send_webhook(group, attempt)
            case "alertmanager":
                return await self._send_alertmanager(group, attempt)
            case other:
                return Outcome(problem=f"this version knows no channels of the kind {other}")

    async def _send_apprise(self, group: Group) -> Outcome:
        problem = await self._apprise.send(
            group.channel.key,
            group.channel.url,
            title=messages.title(group),
            text=messages.text(group, listed_max=self._settings.listed_max, link=self._link()),
            is_firing=bool(group.firing),
        )
        return Outcome(problem=problem)

    async def _send_webhook(self, group: Group, attempt: int) -> Outcome:
        channel = group.channel
        body = messages.webhook_body(
            group,
            at_s=self._wall_clock(),
            source=self._source,
            listed_max=self._settings.listed_max,
            link=self._link(),
        )
        return await self._http.send(
            Message(
                url=channel.url,
                id=messages.message_id(group),
                type=messages.ALERTS,
                body=body,
                content_type="application/cloudevents+json; charset=utf-8",
                secrets=(channel.secret,) if channel.secret else (),
                attempt=attempt,
            )
        )

    async def _send_alertmanager(self, group: Group, attempt: int) -> Outcome:
        channel = group.channel
        outcome = Outcome()
        bodies = messages.alertmanager_bodies(
            group,
            now_s=self._wall_clock(),
            lasts_s=_LASTS_RESENDS * self._settings.resend_s,
            link=self._link(),
        )
        for body in bodies:
            outcome = await self._http.send(
                Message(
                    url=alertmanager_url(channel.url),
                    id=messages.message_id(group),
                    type=messages.ALERTS,
                    body=body,
                    content_type="application/json",
                    headers={"Authorization": f"Bearer {channel.token}"} if channel.token else {},
                    attempt=attempt,
                )
            )
            if not outcome.is_delivered:
                break
        return outcome


def alertmanager_url(url: str) -> str:
    """Where an Alertmanager takes alerts; its address alone will do."""
    bare = url.rstrip("/")
    return bare if bare.endswith(_ALERTS_PATH) else bare + _ALERTS_PATH


def _url_problem(url: str) -> str:
    """What is wrong with the form of a URL, without repeating it."""
    if not url.isprintable() or " " in url:
        return "it has spaces or control characters"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "it is no URL"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "it begins with http:// or https://, and a host"
    if parts.fragment:
        return "it has a part after #, which is never sent"
    return ""
