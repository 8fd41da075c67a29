"""Transactions that change alerts and what belongs to them; see `writes.py` for what a plan is."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import (
    HIDDEN,
    SET,
    Alert,
    AlertChannel,
    AlertNotice,
    AlertRule,
    AlertSilence,
    BadInput,
    NotFound,
    Overloaded,
    Transaction,
    shown_channel,
    url_origin,
)


def put_alert_rule(catalog: Catalog, rule: AlertRule, *, rules_max: int) -> Transaction:
    """The rule as it is given.

    Raises:
        BadInput: it names a channel that there is not.
        Overloaded: there are as many as may be.
    """
    alerting = catalog.alerting
    found = alerting.rules.get(rule.key)
    if found is None and len(alerting.rules) >= rules_max:
        raise Overloaded("alerts.rules_max", used=len(alerting.rules), most=rules_max)
    draft = Draft()
    for name in rule.channels:
        channel = alerting.channels.get(name.lower())
        if channel is None:
            raise BadInput(
                f'Invalid channels: there is no channel "{name[:128]}"; write it first', field="channels"
            )
        draft.rests_on(AlertChannel.kind, channel.record.key, channel)
    draft.put(found, rule)
    return draft.transaction()


def delete_alert_rule(catalog: Catalog, name: str) -> Transaction:
    """The rule gone; what fires of it is resolved.

    Raises:
        NotFound: there is none.
    """
    found = catalog.alerting.rules.get(name.lower())
    if found is None:
        raise NotFound(f'there is no alert rule "{name[:128]}" that somebody wrote')
    draft = Draft()
    draft.delete(found)
    return draft.transaction()


def put_alert_channel(catalog: Catalog, channel: AlertChannel, *, channels_max: int) -> Transaction:
    """The channel as it is given, but for what is as secret as before: that is given as it is shown.

    Raises:
        BadInput: nothing was there before that could stay.
        Overloaded: there are as many as may be.
    """
    channels = catalog.alerting.channels
    found = channels.get(channel.key)
    if found is None and len(channels) >= channels_max:
        raise Overloaded("alerts.channels_max", used=len(channels), most=channels_max)
    draft = Draft()
    draft.put(found, with_kept_secrets(found.record if found else None, channel))
    return draft.transaction()


def with_kept_secrets(before: AlertChannel | None, wanted: AlertChannel) -> AlertChannel:
    """The channel with the secrets from before, where it is given as that one is shown.

    Raises:
        BadInput: nothing was there before that could stay, or a token is to stay that would go to another host.
    """
    is_same = before is not None and before.channel_kind == wanted.channel_kind
    is_token_kept = wanted.token == SET
    for field in ("url", "secret", "token"):
        value = getattr(wanted, field)
        if before is not None and is_same and value and value == getattr(shown_channel(before), field):
            wanted = msgspec.structs.replace(wanted, **{field: getattr(before, field)})
        elif value == SET or (field == "url" and HIDDEN in value):
            raise BadInput(f"Invalid {field}: it is written as it is shown, and is not there yet", field=field)
    if before is not None and is_token_kept and url_origin(wanted.url) != url_origin(before.url):
        # Whoever may change a channel must not be able to have its token sent to themselves.
        raise BadInput("Invalid token: give it again, for the URL leads to another host", field="token")
    return wanted


def delete_alert_channel(catalog: Catalog, name: str) -> Transaction:
    """The channel gone, with what is known of what it was told.

    Raises:
        NotFound: there is none.
        BadInput: rules name it.
    """
    key = name.lower()
    found = catalog.alerting.channels.get(key)
    if found is None:
        raise NotFound(f'there is no alert channel "{name[:128]}"')
    users = [
        entry.record.name
        for entry in catalog.alerting.rules.values()
        if key in (each.lower() for each in entry.record.channels)
    ]
    if users:
        raise BadInput(f"the channel is used by the rules {', '.join(sorted(users)[:10])}; change them first")
    draft = Draft()
    draft.delete(found)
    for notice in catalog.alerting.notices.values():
        if notice.record.channel.lower() == key:
            draft.delete(notice)
    return draft.transaction()


def put_alert_silence(catalog: Catalog, silence: AlertSilence, *, silences_max: int) -> Transaction:
    """The silence as it is given.

    Raises:
        Overloaded: there are as many as may be.
    """
    silences = catalog.alerting.silences
    found = silences.get(silence.key)
    if found is None and len(silences) >= silences_max:
        raise Overloaded("alerts.silences_max", used=len(silences), most=silences_max)
    draft = Draft()
    draft.put(found, silence)
    return draft.transaction()


def delete_alert_silence(catalog: Catalog, silence_id: str) -> Transaction:
    """The silence gone: it ends now.

    Raises:
        NotFound: there is none.
    """
    found = catalog.alerting.silences.get(silence_id)
    if found is None:
        raise NotFound(f'there is no silence "{silence_id[:128]}"')
    draft = Draft()
    draft.delete(found)
    return draft.transaction()


def note_alerts(
    catalog: Catalog, alerts: Iterable[Alert], notices: Iterable[AlertNotice], gone: Iterable[str]
) -> Transaction:
    """What was found and who was told, as it is given.

    Args:
        gone: keys of notices that say nothing any more.
    """
    alerting = catalog.alerting
    draft = Draft()
    for alert in alerts:
        draft.put(alerting.alerts.get(alert.key), alert)
    for notice in notices:
        draft.put(alerting.notices.get(notice.key), notice)
    for key in gone:
        found = alerting.notices.get(key)
        if found is not None:
            draft.delete(found)
    return draft.transaction()


def forget_alerts(catalog: Catalog, *, before_s: float, keep_max: int) -> Transaction:
    """The alerts gone that ended before a moment, or are more than are kept; and silences that ended before it.

    Args:
        before_s: in seconds since the epoch.
    """
    draft = Draft()
    resolved = [entry for entry in catalog.alerting.alerts.values() if not entry.record.is_firing]
    resolved.sort(key=lambda entry: entry.record.resolved_at_s, reverse=True)
    for position, alert in enumerate(resolved):
        if position >= keep_max or alert.record.resolved_at_s < before_s:
            draft.delete(alert)
    for silence in catalog.alerting.silences.values():
        if silence.record.ends_s < before_s:
            draft.delete(silence)
    return draft.transaction()
