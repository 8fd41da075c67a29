"""The events that alerts make, and the transactions that keep them."""

import msgspec
import pytest

from regista.catalog import (
    Catalog,
    change_events,
    delete_alert_channel,
    forget_alerts,
    note_alerts,
    put_alert_channel,
    put_alert_rule,
)
from regista.model import (
    Alert,
    AlertChannel,
    AlertNotice,
    AlertRule,
    AlertSilence,
    BadInput,
    Batch,
    Delete,
    NotFound,
    Overloaded,
    Put,
    shown_channel,
)

FIRING = Alert(id="a1", rule="down", subject="web", labels={"service": "web"}, since_s=1.0, fired_at_s=2.0)
ENDED = msgspec.structs.replace(FIRING, resolved_at_s=3.0, resolved_because="it holds no more")
OPS = AlertChannel(name="Ops", channel_kind="webhook", url="http://x/token", secret="s" * 20)


@pytest.mark.parametrize(
    ("change", "types"),
    [
        (Put(FIRING), ["alert.firing"]),
        (Put(ENDED, FIRING), ["alert.resolved"]),
        (Put(ENDED), ["alert.firing", "alert.resolved"]),
        (Put(msgspec.structs.replace(FIRING, channels=("ops",)), FIRING), []),
        (Put(msgspec.structs.replace(ENDED, resolved_because="x"), ENDED), []),
        (Delete(ENDED), []),
    ],
)
def test_an_alert_fires_and_ends_once(change, types):
    """Whatever else is written of it, or if it is written only when it is over."""
    events = change_events(Batch(7, 0.0, (change,)))
    assert [event.type for event in events] == types
    for event in events:
        assert (event.subject, event.data.service) == ("down/a1", "web")
        assert (event.data.resolved_at is None) == (event.type == "alert.firing")


def catalog_with(*plans):
    catalog = Catalog()
    for plan in plans:
        commit(catalog, plan(catalog))
    return catalog


def commit(catalog, transaction):
    if transaction.changes:
        catalog.apply(Batch(catalog.index + 1, 0.0, transaction.changes))


def put_ops(catalog):
    return put_alert_channel(catalog, OPS, channels_max=2)


def test_a_rule_names_channels_that_there_are():
    """A channel must be written first, and stays while a rule names it."""
    rule = AlertRule(name="r", rule_kind="flapping", channels=("ops",))
    with pytest.raises(BadInput) as caught:
        put_alert_rule(Catalog(), rule, rules_max=1)
    assert caught.value.field == "channels"
    catalog = catalog_with(put_ops, lambda it: put_alert_rule(it, rule, rules_max=1))
    with pytest.raises(BadInput, match="used by the rules r"):
        delete_alert_channel(catalog, "OPS")
    with pytest.raises(Overloaded, match=r"alerts\.rules_max"):
        put_alert_rule(catalog, AlertRule(name="s", rule_kind="flapping"), rules_max=1)


def test_a_channel_goes_with_what_it_was_told():
    """Nobody else would take its notices away."""
    notice = AlertNotice(channel="Ops", group={}, told=("a1",))
    catalog = catalog_with(put_ops, lambda it: note_alerts(it, [FIRING], [notice], []))
    commit(catalog, delete_alert_channel(catalog, "ops"))
    assert not catalog.alerting.notices
    with pytest.raises(NotFound):
        delete_alert_channel(catalog, "ops")


def test_a_token_that_is_not_given_is_sent_to_no_other_host():
    """Whoever may change a channel, but does not know its token, can't have it sent to themselves."""
    before = AlertChannel(name="am", channel_kind="alertmanager", url="http://am:9093/", token="secret")
    catalog = catalog_with(lambda it: put_alert_channel(it, before, channels_max=1))
    shown = shown_channel(before)
    for url in ("http://evil/", "http://am:9094/", "https://am:9093/", "http://am:9093@evil/"):
        with pytest.raises(BadInput, match="leads to another host") as caught:
            put_alert_channel(catalog, msgspec.structs.replace(shown, url=url), channels_max=1)
        assert caught.value.field == "token"
    for changes in ({"url": "http://AM:9093/prefix"}, {"url": "http://evil/", "token": "mine"}):
        (change,) = put_alert_channel(catalog, msgspec.structs.replace(shown, **changes), channels_max=1).changes
        assert change.record.token == changes.get("token", "secret")


def test_a_channel_written_as_it_is_shown_keeps_its_secrets():
    """For another channel, or of another kind, what is struck out can't be used."""
    catalog = catalog_with(put_ops)
    shown = shown_channel(OPS)
    assert put_alert_channel(catalog, shown, channels_max=2).changes == ()
    fresh = msgspec.structs.replace(shown, secret="t" * 20)
    (change,) = put_alert_channel(catalog, fresh, channels_max=2).changes
    assert (change.record.url, change.record.secret) == (OPS.url, "t" * 20)
    for wrong in (
        msgspec.structs.replace(shown, name="other"),
        msgspec.structs.replace(shown, channel_kind="alertmanager"),
        msgspec.structs.replace(shown, url="http://y/***"),
    ):
        with pytest.raises(BadInput) as caught:
            put_alert_channel(catalog, wrong, channels_max=2)
        assert caught.value.field == "url"


def test_old_alerts_and_silences_are_forgotten():
    """By age and by number; what fires, or is not over, stays."""
    ended = [msgspec.structs.replace(ENDED, id=f"e{at}", resolved_at_s=float(at)) for at in range(10, 15)]
    silences = [AlertSilence(id=f"s{at}", matchers=(), starts_s=0.0, ends_s=float(at)) for at in (5, 50)]
    catalog = catalog_with(lambda it: note_alerts(it, [FIRING, *ended], [], []))
    catalog.apply(Batch(catalog.index + 1, 0.0, tuple(Put(each) for each in silences)))
    commit(catalog, forget_alerts(catalog, before_s=11.0, keep_max=2))
    assert sorted(catalog.alerting.alerts) == ["a1", "e13", "e14"]
    assert list(catalog.alerting.silences) == ["s50"]
