"""Alerts over virtual time: when they fire, end, are written and told; with restarts and outages at any moment."""

import asyncio
import dataclasses
import math
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.notify.alert_world import AlertWorld

from regista.catalog import restore
from regista.model import AlertMatcher, AlertSilence

FOR_S = 10.0


def small_world(**given_settings):
    """One in which everything is told soon, with a rule and a channel."""
    world = AlertWorld(group_wait_s=2.0, group_interval_s=5.0, repeat_interval_s=1000.0, **given_settings)
    world.channel()
    world.rule(for_s=FOR_S)
    return world


async def test_an_alert_is_pending_first_then_fires_is_told_and_resolved_once():
    """Nothing fires before its time; then there is one message, and one more for its end."""
    world = small_world()
    world.add("web-1")
    await world.beat(count=3)
    world.set_status("web-1", "critical", output="boom")
    await world.look()
    await world.beat(count=9)
    assert [each.state for each in world.engine.views()] == ["pending"]
    assert world.alerts() == []
    await world.beat()
    assert [each.state for each in world.engine.views()] == ["firing"]
    await world.beat(count=4)
    world.set_status("web-1", "passing")
    await world.beat(count=10)
    (alert,) = world.alerts()
    assert alert.sentence == 'check "c-web-1" of instance web-1 of service web on n1 is critical: boom'
    assert alert.fired_at_s - alert.since_s >= FOR_S
    assert world.events() == [("alert.firing", alert.id), ("alert.resolved", alert.id)]
    assert world.messages() == [(["n1/c-web-1"], []), ([], ["n1/c-web-1"])]
    assert not world.catalog.alerting.notices


async def test_a_beat_that_fails_is_not_the_last(monkeypatch, caplog):
    """Whatever a beat fails of, it is logged, and the next one looks again."""
    world = small_world()
    world.engine._settings = dataclasses.replace(world.engine._settings, interval_s=0.0)
    beats = iter([RuntimeError("a mistake"), None])
    has_come = asyncio.Event()

    def tick():
        if (outcome := next(beats, None)) is not None:
            raise outcome
        has_come.set()

    monkeypatch.setattr(world.engine, "tick", tick)
    looking = asyncio.create_task(world.engine._keep_looking())
    await asyncio.wait_for(has_come.wait(), 5)
    looking.cancel()
    assert "a mistake" in caplog.text


async def test_what_ends_before_its_time_is_never_told():
    """A check that is critical for less than the rule's time leaves no trace."""
    world = small_world()
    world.add("web-1")
    for _ in range(5):
        world.set_status("web-1", "critical")
        await world.beat(9.0)
        world.set_status("web-1", "passing")
        await world.beat()
    assert world.alerts() == [] == world.messages()


async def test_a_machine_that_dies_with_a_thousand_instances_is_one_message_with_the_list():
    """All alerts of a node are told together, and so is their end."""
    world = small_world()
    world.rule(for_s=FOR_S, group_by=("node",))
    for number in range(1000):
        world.add(f"web-{number}", name=f"service-{number % 40}")
    await world.look()
    for number in range(1000):
        world.set_status(f"web-{number}", "critical")
    await world.beat(count=60)
    assert [(len(firing), len(ended)) for firing, ended in world.messages()] == [(1000, 0)]
    assert len({event_id for _, event_id in world.events()}) == 1000
    # One transaction for all that fires, one for what was told.
    assert sum(any(change.record.kind == "alert" for change in batch.changes) for batch in world.batches) == 1
    for number in range(1000):
        world.set_status(f"web-{number}", "passing")
    await world.beat(count=20)
    assert [(len(firing), len(ended)) for firing, ended in world.messages()[1:]] == [(0, 1000)]


async def test_a_silence_is_shown_and_not_told():
    """A silenced alert fires and is listed with its silence; it is told once that is over."""
    world = small_world()
    silence = AlertSilence(
        id="s1",
        matchers=(AlertMatcher("service", "=~", "we."),),
        starts_s=world.now_s,
        ends_s=world.now_s + 40.0,
    )
    world.put(silence)
    world.add("web-1", status="critical")
    await world.beat(count=30)
    assert [each.silenced_by for each in world.engine.views()] == [("s1",)]
    assert world.messages() == []
    await world.beat(count=15)
    assert world.messages() == [(["n1/c-web-1"], [])]


async def test_the_end_of_what_was_told_is_told_though_it_is_silenced():
    """Somebody may be at work on it."""
    world = small_world()
    world.add("web-1", status="critical")
    await world.beat(count=15)
    world.put(
        AlertSilence(id="s", matchers=(AlertMatcher("node", "=", "n1"),), starts_s=world.now_s, ends_s=math.inf)
    )
    await world.beat(count=10)
    world.set_status("web-1", "passing")
    await world.beat(count=10)
    assert world.messages() == [(["n1/c-web-1"], []), ([], ["n1/c-web-1"])]


async def test_what_lasts_is_told_again():
    """After `repeat_interval` the same is told, and not before."""
    world = AlertWorld(group_wait_s=0.0, group_interval_s=5.0, repeat_interval_s=60.0)
    world.channel()
    world.rule()
    world.add("web-1", status="critical")
    await world.beat(count=68)
    assert len(world.messages()) == 1
    await world.beat(count=60)
    assert len(world.messages()) == 2


async def test_a_store_that_is_away_is_told_all_the_same_and_written_later():
    """The alert that the store can't be written is told while that is so, and its record is whole afterwards."""
    world = small_world()
    world.rule("store", rule_kind="store_unreachable", for_s=0.0)
    await world.look()
    world.is_store_away, world.away_since_s = True, world.now_s
    await world.beat(count=20)
    assert world.messages() == [(["store"], [])]
    assert [each.is_written for each in world.engine.views()] == [False]
    world.is_store_away, world.away_since_s = False, None
    await world.beat(count=20)
    (alert,) = world.alerts()
    assert not alert.is_firing
    assert world.events() == [("alert.firing", alert.id), ("alert.resolved", alert.id)]
    assert world.messages()[-1] == ([], ["store"])


async def test_a_rule_that_goes_resolves_what_fires_of_it():
    """Switched off, or deleted while no agent ran: each of its alerts ends once."""
    world = small_world()
    world.add("web-1", status="critical")
    await world.beat(count=12)
    world.rule(for_s=FOR_S, is_enabled=False)
    await world.beat(count=2)
    (alert,) = world.alerts()
    assert (alert.is_firing, alert.resolved_because) == (False, "the rule is gone or off")
    assert world.engine.views() == []


async def test_alerts_of_a_rule_that_is_edited_go_where_it_says_now():
    """A channel that is added later is told of what fires already; one that is taken out is told that it ended."""
    world = small_world()
    world.channel("other")
    world.add("web-1", status="critical")
    await world.beat(count=14)
    world.rule(for_s=FOR_S, channels=("other",))
    await world.beat(count=10)
    told = [(group.channel.name, len(group.firing), len(group.ended)) for group in world.sender.sent]
    assert told == [("ops", 1, 0), ("other", 1, 0), ("ops", 0, 1)]


async def test_the_log_tells_once_that_an_alert_fires(caplog):
    """An edit of its rule that has it told elsewhere is not one more alert."""
    caplog.set_level("INFO")
    world = small_world()
    world.channel("other")
    world.add("web-1", status="critical")
    await world.beat(count=14)
    world.rule(for_s=FOR_S, channels=("other",))
    await world.beat(count=2)
    lines = [each.getMessage() for each in caplog.records if each.getMessage().startswith("alert r:")]
    assert lines[0].startswith("alert r: 1 fire: ")
    assert lines[1:] == ["alert r: 1 that fire are told as the rule says now"]


async def test_a_channel_that_was_changed_is_tried_at_once():
    """Whoever mends a channel at night is not left waiting for the next attempt with the one before."""
    world = small_world()
    world.add("web-1", status="critical")
    world.sender.is_away = True
    await world.beat(count=100)
    world.sender.is_away = False
    world.channel(url="http://mended/")
    await world.beat()
    assert world.messages() == [(["n1/c-web-1"], [])]


async def test_what_is_not_followed_is_counted_once_for_as_long_as_it_is_so():
    """Looking again does not make it more; what is well again, and rules that are gone, make it less."""
    world = small_world(active_max=1)
    world.rule("flaps", rule_kind="flapping", for_s=0.0)
    for number in range(3):
        world.add(f"web-{number}", status="critical")
    entry = world.catalog.checks["n1/c-web-0"]
    world.catalog.set_mark("flapping", entry.record, "why")
    await world.beat(count=5)
    assert world.engine.left_out == 3
    world.set_status("web-2", "critical", output="still")
    await world.beat(count=5)
    assert world.engine.left_out == 3
    world.set_status("web-2", "passing")
    await world.beat()
    assert world.engine.left_out == 2
    world.rule("flaps", rule_kind="flapping", for_s=0.0, is_enabled=False)
    await world.beat()
    assert world.engine.left_out == 1


async def test_what_is_too_much_is_followed_once_there_is_room():
    """Beyond `active_max` alerts are counted, and found again when others end."""
    world = small_world(active_max=3)
    for number in range(5):
        world.add(f"web-{number}", status="critical")
    await world.beat(count=12)
    assert len(world.engine.views()) == 3
    assert world.engine.left_out == 2
    for number in range(5):
        world.set_status(f"web-{number}", "passing") if f"web-{number}" in world.firing() else None
    await world.beat(count=14)
    assert len(world.firing()) == 2
    assert world.engine.left_out == 0


async def test_a_channel_that_is_away_is_tried_again_and_holds_up_no_other():
    """Nothing is lost while a channel refuses messages, for however long."""
    world = small_world()
    world.add("web-1", status="critical")
    world.sender.is_away = True
    await world.beat(count=100)
    state = world.engine.teller.states["ops"]
    assert (state.sent, state.problem) == (0, "it is away")
    assert 4 < state.failed < 12, "attempts are further and further apart"
    world.sender.is_away = False
    await world.beat(count=70)
    assert world.messages() == [(["n1/c-web-1"], [])]


STEPS = st.one_of(
    st.tuples(st.just("status"), st.integers(0, 3), st.sampled_from(["passing", "critical", "warning"])),
    st.tuples(st.just("beat"), st.integers(1, 12)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("cut"), st.integers(0, 3)),
    st.tuples(st.just("store"), st.booleans()),
    st.tuples(st.just("channel"), st.booleans()),
    st.tuples(st.just("remove"), st.integers(0, 3)),
)


class Model:
    """Since when each check has been critical without a break that anybody could see."""

    def __init__(self):
        self.since_s = {}

    def note(self, world):
        critical = world.catalog.check_indexes.by_status.get("critical", {})
        for key in critical:
            self.since_s.setdefault(key, world.now_s)
        for key in [key for key in self.since_s if key not in critical]:
            del self.since_s[key]


async def take(world, model, step):
    match step:
        case ("status", number, status):
            if f"n1/c-web-{number}" in world.catalog.checks:
                world.set_status(f"web-{number}", status)
            else:
                world.add(f"web-{number}", status=status)
            model.note(world)
        case ("beat", count):
            await world.beat(count=count)
        case ("restart",):
            await world.restart()
            model.since_s.clear()  # what is pending begins anew
            model.note(world)
        case ("cut", seconds):
            # Looks and decides, and the power goes before anything is written or told.
            world.now_s += seconds
            world.engine.tick()
            await take(world, model, ("restart",))
        case ("store", is_away):
            world.is_store_away = is_away
        case ("channel", is_away):
            world.sender.is_away = is_away
        case ("remove", number):
            if f"n1/web-{number}" in world.catalog.services:
                world.remove(f"web-{number}")
                model.note(world)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_whatever_happens_and_whenever_it_is_restarted(steps):
    """No alert before its time, one firing and one end each, none lost, and whoever was told is told the end."""
    world, model = small_world(), Model()
    for step in steps:
        await take(world, model, step)
        for alert in world.alerts():
            assert alert.fired_at_s - alert.since_s >= FOR_S - 1e-6
        for key, since_s in model.since_s.items():
            if world.now_s - since_s >= FOR_S + 2.0 and step[0] == "beat" and not world.is_store_away:
                assert any(each.subject == key and each.is_firing for each in world.alerts()), key
    world.is_store_away = world.sender.is_away = False
    await world.beat(count=80)
    counts = Counter(world.events())
    assert set(counts.values()) <= {1}, "each event of an alert comes once"
    assert {key for key, since_s in model.since_s.items()} == {
        each.subject for each in world.alerts() if each.is_firing
    }
    for number in range(4):
        if f"n1/c-web-{number}" in world.catalog.checks:
            world.set_status(f"web-{number}", "passing")
    await world.beat(count=80)
    fired = {event_id for word, event_id in world.events() if word == "alert.firing"}
    ended = {event_id for word, event_id in world.events() if word == "alert.resolved"}
    assert fired == ended == {each.id for each in world.alerts()}
    told = {each.id for group in world.sender.sent for each in group.firing}
    told_ended = [each.id for group in world.sender.sent for each in group.ended]
    assert told == set(told_ended)
    assert not world.catalog.alerting.notices


@pytest.mark.parametrize("cut_at", range(40))
async def test_a_restart_at_every_moment_of_an_alert(cut_at):
    """Wherever the power goes between the failure and the end, the alert fires and ends once, and both are told."""
    world, model = small_world(), Model()
    world.add("web-1")
    await world.look()
    world.set_status("web-1", "critical")
    for second in range(40):
        if second == 26:
            world.set_status("web-1", "passing")
        await take(world, model, ("cut", 1) if second == cut_at else ("beat", 1))
    await world.beat(count=10)
    words = [word for word, _ in world.events()]
    assert words == ["alert.firing", "alert.resolved"]
    assert world.messages() == [(["n1/c-web-1"], []), ([], ["n1/c-web-1"])]


async def test_an_end_that_was_written_and_not_told_is_told_after_a_restart():
    """Whoever was told that something fires is told that it ended, though it ended long before the restart."""
    world = small_world()
    world.add("web-1", status="critical")
    await world.beat(count=15)
    world.sender.is_away = True
    world.set_status("web-1", "passing")
    await world.beat(count=10)
    assert [each.is_firing for each in world.alerts()] == [False]
    await world.restart()
    world.sender.is_away = False
    await world.beat(count=10)
    assert world.messages() == [(["n1/c-web-1"], []), ([], ["n1/c-web-1"])]


async def test_nothing_is_told_before_the_log_has_it():
    """An alert that fires is written first, so that one that was told can't be forgotten."""
    world = AlertWorld(group_wait_s=0.0)
    world.channel()
    world.rule(for_s=FOR_S)
    world.add("web-1", status="critical")
    world.engine.tick()
    world.now_s += FOR_S
    world.engine.tick()
    assert world.firing() == ["web-1"]
    world.now_s += 1.0
    world.engine.tick()
    assert not world.engine.teller._tasks
    await world.look()
    assert world.messages() == [(["n1/c-web-1"], [])]


@pytest.mark.parametrize("is_ended", [False, True])
async def test_whoever_was_told_before_a_snapshot_is_told_the_end_after_it_was_restored(is_ended):
    """Also by an agent that knew nothing: else a pager's incident would stay open for ever."""
    saved = small_world()
    saved.add("web-1", status="critical")
    await saved.beat(count=14)
    assert saved.messages() == [(["n1/c-web-1"], [])]
    if is_ended:
        saved.set_status("web-1", "passing")
        await saved.beat()
        assert saved.messages() == [(["n1/c-web-1"], [])], "its end is to be told after the group's interval"
    world = AlertWorld(group_wait_s=2.0, group_interval_s=5.0)
    world.now_s = saved.now_s
    await world.beat()
    records = [entry.record for entry in saved.catalog.all_entries()]
    world.commit(restore(world.catalog, records, own_node="other"))
    await world.beat(count=3)
    if not is_ended:
        world.set_status("web-1", "passing")
    await world.beat(count=10)
    assert world.messages() == [([], ["n1/c-web-1"])]
    assert [each.is_firing for each in world.alerts()] == [False]
    assert not world.catalog.alerting.notices


async def test_an_alert_that_ended_does_not_fire_for_ever_in_a_state_restored_from_before():
    """The agent that knows of its end writes it once more."""
    world = small_world()
    world.add("web-1", status="critical")
    await world.beat(count=14)
    records = [entry.record for entry in world.catalog.all_entries()]
    world.set_status("web-1", "passing")
    await world.beat(count=10)
    assert world.messages() == [(["n1/c-web-1"], []), ([], ["n1/c-web-1"])]
    world.commit(restore(world.catalog, records, own_node="other"))
    world.set_status("web-1", "passing")
    await world.beat(count=10)
    assert [each.is_firing for each in world.alerts()] == [False]
    assert not world.catalog.alerting.notices
