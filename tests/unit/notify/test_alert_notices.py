"""Who is told what, and when."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import Alert, AlertChannel, AlertNotice
from regista.notify.alert_messages import alertmanager_bodies, message_id, text, title, webhook_body
from regista.notify.alert_notices import Timing, decide_groups, noted

TIMING = Timing(wait_s=30.0, interval_s=300.0, repeat_s=3600.0)


def alert(number, *, node="n1", fired=1000.0, resolved=0.0, channels=("ops",), group_by=("node",)):
    return Alert(
        id=f"a{number}",
        rule="down",
        subject=f"s{number}",
        labels={"alertname": "down", "severity": "critical", "node": node, "instance": f"i{number}"},
        annotations={"summary": f"instance i{number} is down"},
        sentence=f"i{number} is critical",
        group_by=group_by,
        channels=channels,
        since_s=fired - 10,
        fired_at_s=fired,
        resolved_at_s=resolved,
    )


def groups(alerts, notices=(), *, kind="webhook", silenced=(), **channel):
    ops = AlertChannel(name="Ops", channel_kind=kind, url="http://x/", **channel)
    return list(
        decide_groups(
            alerts,
            {each.key: each for each in notices},
            {"ops": ops},
            is_silenced=lambda each: each.id in silenced,
            timing_of=lambda _: TIMING,
        ).values()
    )


def notice(*told, at=2000.0, node="n1"):
    return AlertNotice(channel="Ops", group={"node": node}, told=told, at_s=at)


@pytest.mark.parametrize(
    ("told", "alerts", "silenced", "due_s"),
    [
        ((), [alert(1)], (), 1030.0),
        ((), [alert(1), alert(2, fired=900.0)], (), 930.0),
        ((), [alert(1)], ("a1",), math.inf),
        (("a1",), [alert(1)], (), 5600.0),
        (("a1",), [alert(1), alert(2)], (), 2300.0),
        (("a1", "a2"), [alert(1), alert(2, resolved=2100.0)], (), 2300.0),
        (("a1",), [alert(1)], ("a1",), math.inf),
        (("a1",), [alert(1), alert(2)], ("a2",), 5600.0),
        (("a1",), [], (), 2300.0),
    ],
)
def test_when_a_group_is_due(told, alerts, silenced, due_s):
    """Each line of the table: nothing told yet, something new, something ended, silences, what is forgotten."""
    notices = [notice(*told)] if told else []
    (group,) = groups(alerts, notices, silenced=silenced)
    assert group.due_s == due_s


def test_alerts_that_agree_are_told_together_and_others_are_not():
    """A group is what agrees in the labels of `group_by`, in each channel."""
    found = groups([alert(1), alert(2), alert(3, node="n2"), alert(4, channels=("nobody",))])
    assert sorted((group.labels["node"], len(group.firing)) for group in found) == [("n1", 2), ("n2", 1)]


def test_an_alert_that_is_told_in_another_group_of_its_channel_has_not_ended():
    """When a rule groups by something else, the channel is told what fires, and never that it was resolved."""
    regrouped = alert(1, group_by=("alertname",))
    found = {tuple(each.labels): each for each in groups([regrouped], [notice("a1")])}
    assert [each.id for each in found["alertname",].firing] == ["a1"]
    assert not found["node",].is_worth_telling
    assert noted(found["node",], at_s=3000.0).told == ()


def test_a_silenced_alert_that_belongs_to_another_group_now_is_known_until_it_ends():
    """Its end is told where it was told that it fires."""
    regrouped = alert(1, group_by=("alertname",))
    found = {tuple(each.labels): each for each in groups([regrouped], [notice("a1")], silenced=("a1",))}
    assert (found["node",].quiet, found["node",].due_s) == (("a1",), math.inf)
    ended = alert(1, group_by=("alertname",), resolved=2500.0)
    (group,) = groups([ended], [notice("a1")], silenced=("a1",))
    assert [each.id for each in group.ended] == ["a1"]


def test_an_alertmanager_gets_everything_at_once():
    """It groups by itself."""
    (group,) = groups([alert(1), alert(2, node="n2")], kind="alertmanager")
    assert (group.labels, len(group.firing)) == ({}, 2)


def test_what_was_told_is_known_until_it_has_ended():
    """What is silenced after it was told stays known, so that its end is told."""
    (group,) = groups([alert(1), alert(2), alert(3, resolved=2100.0)], [notice("a2", "a3")], silenced=("a2",))
    assert [each.id for each in group.firing] == ["a1"]
    assert [each.id for each in group.ended] == ["a3"]
    assert set(noted(group, at_s=1.0).told) == {"a1", "a2"}


def test_a_channel_that_wants_no_ends_is_not_sent_any():
    """It is only noted that they ended."""
    (group,) = groups([alert(1, resolved=2100.0)], [notice("a1")], tells_resolved=False)
    assert not group.is_worth_telling
    assert noted(group, at_s=1.0).told == ()
    (group,) = groups([alert(1, resolved=2100.0), alert(2)], [notice("a1")], tells_resolved=False)
    assert "resolved" not in text(group, listed_max=10, link="").lower()
    assert b'"resolved":[]' in webhook_body(group, at_s=0.0, source="/x", listed_max=10, link="")


@given(st.lists(st.integers(0, 20), unique=True), st.lists(st.integers(0, 20), unique=True), st.booleans())
def test_the_id_of_a_message_is_that_of_what_it_says(firing, told, is_later):
    """An attempt to say the same has the same id; once it was said, the next message has another."""
    alerts = [alert(number) for number in firing] + [alert(99)]
    before = [notice(*(f"a{number}" for number in told))] if told else []
    (one,) = groups(alerts, before)
    (same,) = groups(alerts[::-1], before)
    assert message_id(one) == message_id(same)
    (after,) = groups(alerts, [noted(one, at_s=3000.0 + is_later)])
    assert message_id(after) != message_id(one)


def test_a_message_lists_the_first_and_counts_the_rest():
    """Of a thousand alerts, `listed_max` are lines, and the others a number."""
    (group,) = groups([alert(number) for number in range(1000)])
    lines = text(group, listed_max=100, link="http://here/").splitlines()
    assert lines[0] == "Firing (1000):"
    assert lines[1] == "- [critical] instance i0 is down"
    assert lines[101:] == ["… and 900 more", "", "http://here/"]
    assert title(group) == "[FIRING:1000] down node=n1"
    assert b'"left_out":900' in webhook_body(group, at_s=0.0, source="/x", listed_max=100, link="")


def test_what_an_alertmanager_is_sent():
    """Labels, texts, a beginning, and an end: of what fires a little later than it is told again."""
    (group,) = groups([alert(1), alert(2, resolved=2100.0)], [notice("a2", node="n1")], kind="webhook")
    (body,) = alertmanager_bodies(group, now_s=3000.0, lasts_s=240.0, link="http://here/")
    assert body.count(b'"startsAt":"1970-01-01T00:16:40.000Z"') == 2
    assert b'"endsAt":"1970-01-01T00:54:00.000Z"' in body
    assert b'"endsAt":"1970-01-01T00:35:00.000Z"' in body
    many, _, _ = groups(
        [alert(number) for number in range(1001)] + [alert(5000, node="n2"), alert(5001, node="n3")]
    )
    assert len(alertmanager_bodies(many, now_s=0.0, lasts_s=1.0, link="")) == 3
