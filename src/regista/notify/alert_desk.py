"""What somebody may ask of alerts, and change: rules, channels, silences. Checks what is given, has it written."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping

from regista.catalog import (
    Catalog,
    check_rule,
    check_silence,
    delete_alert_channel,
    delete_alert_rule,
    delete_alert_silence,
    put_alert_channel,
    put_alert_rule,
    put_alert_silence,
    with_kept_secrets,
)
from regista.model import (
    Alert,
    AlertChannel,
    AlertRule,
    AlertSilence,
    AlertView,
    BadInput,
    Cause,
    NotFound,
)
from regista.notify.alert_certificates import Unreadable, read_end_s
from regista.notify.alert_channels import AlertSender
from regista.notify.alert_engine import AlertEngine
from regista.notify.alert_log import Writer
from regista.notify.alert_notices import Group
from regista.notify.alert_rulebook import rules_in_force
from regista.notify.alert_settings import AlertSettings
from regista.notify.alert_teller import ChannelState
from regista.notify.retries import Outcome


class AlertDesk:
    """See above."""

    def __init__(
        self, catalog: Catalog, writer: Writer, engine: AlertEngine, sender: AlertSender, settings: AlertSettings
    ) -> None:
        self._catalog = catalog
        self._writer = writer
        self._engine = engine
        self._sender = sender
        self._settings = settings

    # ---- what there is ----

    @property
    def left_out(self) -> int:
        """See `AlertEngine`."""
        return self._engine.left_out

    def views(self) -> list[AlertView]:
        """The alerts that are pending or fire, as they are now."""
        return self._engine.views()

    def rules(self) -> dict[str, AlertRule]:
        """The rules by key: those that were written, and those of the house."""
        return rules_in_force(self._catalog, has_defaults=self._settings.default_rules)

    def channel_states(self) -> Mapping[str, ChannelState]:
        """How each channel is getting on, by its key."""
        states = self._engine.teller.states
        return {key: states.get(key) or ChannelState() for key in self._catalog.alerting.channels}

    # ---- what is to be ----

    async def put_rule(self, rule: AlertRule, *, cause: Cause) -> None:
        """Keeps a rule.

        Raises:
            BadInput: it makes no sense; the field is named.
            Overloaded: there are as many as may be.
        """
        check_rule(rule)
        if rule.file:
            if not rule.file.startswith("/"):
                raise BadInput("Invalid file: write its whole path, from / on", field="file")
            try:
                await asyncio.to_thread(read_end_s, rule.file)
            except Unreadable as error:
                raise BadInput(f"Invalid file: {error}", field="file") from error
        plan = functools.partial(put_alert_rule, rule=rule, rules_max=self._settings.rules_max)
        await self._writer.write(plan, cause=cause)

    async def delete_rule(self, name: str, *, cause: Cause) -> None:
        """Ends a rule that somebody wrote.

        Raises:
            NotFound: there is none.
            BadInput: it is one of the house.
        """
        key = name.lower()
        if key not in self._catalog.alerting.rules and key in self.rules():
            raise BadInput(
                f'"{name[:128]}" is a rule of the house: write it with "enabled": false to switch it off'
            )
        await self._writer.write(functools.partial(delete_alert_rule, name=name), cause=cause)

    async def put_channel(self, channel: AlertChannel, *, cause: Cause) -> None:
        """Keeps a channel.

        Raises:
            BadInput: it can't be sent to; the field is named.
            Overloaded: there are as many as may be.
        """
        found = self._catalog.alerting.channels.get(channel.key)
        await self._sender.check(with_kept_secrets(found.record if found else None, channel))
        plan = functools.partial(put_alert_channel, channel=channel, channels_max=self._settings.channels_max)
        await self._writer.write(plan, cause=cause)

    async def delete_channel(self, name: str, *, cause: Cause) -> None:
        """Ends a channel.

        Raises:
            NotFound: there is none.
            BadInput: rules name it.
        """
        await self._writer.write(functools.partial(delete_alert_channel, name=name), cause=cause)

    async def put_silence(self, silence: AlertSilence, *, cause: Cause) -> None:
        """Keeps a silence.

        Raises:
            BadInput: it makes no sense; the field is named.
            Overloaded: there are as many as may be.
        """
        check_silence(silence)
        plan = functools.partial(put_alert_silence, silence=silence, silences_max=self._settings.silences_max)
        await self._writer.write(plan, cause=cause)

    async def delete_silence(self, silence_id: str, *, cause: Cause) -> None:
        """Ends a silence.

        Raises:
            NotFound: there is none.
        """
        await self._writer.write(functools.partial(delete_alert_silence, silence_id=silence_id), cause=cause)

    async def test_channel(self, name: str, *, at_s: float) -> Outcome:
        """What comes of telling a channel of an alert that there is not.

        Args:
            at_s: now, in seconds since the epoch.

        Raises:
            NotFound: there is no such channel.
        """
        entry = self._catalog.alerting.channels.get(name.lower())
        if entry is None:
            raise NotFound(f'there is no alert channel "{name[:128]}"')
        sentence = "this is a test: nothing is wrong"
        alert = Alert(
            id="test",
            rule="regista-test",
            subject="",
            labels={"alertname": "regista-test", "severity": "info"},
            annotations={"summary": sentence},
            sentence=sentence,
            since_s=at_s,
            fired_at_s=at_s,
        )
        return await self._engine.teller.test(Group(entry.record, {}, (alert,), (), (), at_s, at_s))
