"""Damping, thresholds of TTL checks and a sick prober, in a scheduler on a clock that the test holds."""

import asyncio
import logging

import msgspec
import pytest
from tests.unit.health.world import KEY, NODE, WEB, World, settle

from regista.catalog import deregister_check, set_check_status
from regista.health import Observation
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, StoreUnavailable


def http(target="a", interval_s=10.0, **more):
    return CheckDefinition(http=target, interval_s=interval_s, **more)


async def results(world, *statuses):
    """One result after the other; the status that is shown after each."""
    shown = []
    for status in statuses:
        world.probe.answers["a"] = status
        await world.advance(10)
        shown.append(world.status())
    return shown


def statuses_of(world):
    """The statuses that the check has from now on, one a commit."""
    seen = []
    world.catalog.subscribe(lambda batch: seen.extend(change.record.status for change in batch.changes))
    return seen


def mark(world, key=KEY):
    return world.catalog.marks.of("flapping").get(key, "")


async def flapping_world(**settings):
    """A world with a check that flaps and is held at critical; its last result was a success."""
    world = World(**settings).begin()
    world.check(http(), status=PASSING)
    await results(world, PASSING, CRITICAL, PASSING, CRITICAL, PASSING)
    assert mark(world)
    return world


async def test_an_hour_of_alternating_results(caplog):
    """Alternating for an hour, a check changes twice at most, begins to flap once, and one line says so."""
    world = World().begin()
    world.check(http())
    seen = statuses_of(world)
    with caplog.at_level(logging.INFO):
        await results(world, *[PASSING, CRITICAL] * 180)
    assert seen == [PASSING, CRITICAL]
    counters = world.scheduler.counters
    assert (counters.flaps_started, counters.flaps_ended) == (1, 0)
    assert counters.withheld["unconfirmed"] == 1
    assert counters.withheld["flapping"] == 178
    (line,) = [record.getMessage() for record in caplog.records if "Flapping since" in record.getMessage()]
    assert line.startswith('check "c": Flapping since ')


async def test_flapping_shows():
    """A check that flaps says so in its mark and its output, with the last result, and in what explain is told."""
    world = await flapping_world()
    assert world.status() == CRITICAL
    assert mark(world).startswith("Flapping since 2023-11-14T")
    assert "changed 4 times within the last 21. It is held at critical, the worse state," in mark(world)
    assert world.output() == f"{mark(world)}\nsaid passing"
    assert world.scheduler.told_hold(KEY) == mark(world)


async def test_flapping_ends_by_itself(caplog):
    """Within 20 successes the check is passing again, without mark, with one line and one counter."""
    world = await flapping_world()
    seen = statuses_of(world)
    caplog.clear()
    with caplog.at_level(logging.INFO):
        await results(world, *[PASSING] * 20)
    assert seen == [PASSING]
    assert not mark(world)
    assert world.output() == "said passing"
    assert world.scheduler.told_hold(KEY) == ""
    assert world.scheduler.counters.flaps_ended == 1
    told = [record.getMessage() for record in caplog.records]
    assert told[0] == 'check "c" flaps no more; it is passing'


async def test_lone_failure_waits_for_a_second_success():
    """After a single failure the first success is not shown as a status, but said in the output."""
    world = World().begin()
    world.check(http(), status=PASSING)
    assert await results(world, PASSING, CRITICAL, PASSING) == [PASSING, CRITICAL, CRITICAL]
    said = "Still critical after a single failure: one more success confirms that it is passing."
    assert world.output() == f"{said}\nsaid passing"
    assert world.scheduler.told_hold(KEY) == said
    assert await results(world, PASSING) == [PASSING]
    assert world.output() == "said passing"
    assert world.scheduler.told_hold(KEY) == ""


async def test_without_damping_every_result_counts():
    """With damping off the statuses are those of the results, and nothing is marked."""
    world = World(flap_damping=False).begin()
    world.check(http())
    observed = [PASSING, CRITICAL] * 20
    assert await results(world, *observed) == observed
    assert not mark(world)
    assert world.scheduler.told_hold(KEY) == ""
    assert world.scheduler.counters.flaps_started == 0
    assert not world.scheduler.counters.withheld


async def test_held_check_that_recovers_between_ends_nothing():
    """A check that is held at critical does not count as critical without a break: its service stays."""
    world = World().begin()
    world.service()
    definition = http(deregister_critical_service_after_s=60)
    world.check(definition, status=PASSING, service_id="web")
    await results(world, *[PASSING, CRITICAL] * 60)
    assert world.status() == CRITICAL
    assert WEB in world.catalog.services
    world.probe.answers["a"] = CRITICAL
    await world.advance(75)
    assert WEB not in world.catalog.services


async def test_held_by_thresholds_and_damping_ends_nothing():
    """That holds too for a check whose thresholds say nothing new while it blinks."""
    world = World().begin()
    world.service()
    definition = http(deregister_critical_service_after_s=60, failures_before_critical=2)
    world.check(definition, status=PASSING, service_id="web")
    await results(world, PASSING, CRITICAL, CRITICAL, PASSING, CRITICAL, CRITICAL, PASSING)
    assert world.status() == CRITICAL
    await results(world, *[CRITICAL, PASSING] * 20)
    assert WEB in world.catalog.services


async def test_refused_failure_is_no_reason_to_hold():
    """A failure that the store refused was never shown, and the first success takes it back."""
    world = World().begin()
    world.check(http(), status=PASSING)
    await results(world, PASSING)
    index = world.catalog.index
    world.writer.is_away = True
    await results(world, CRITICAL, PASSING)
    world.writer.is_away = False
    await world.advance(5)
    assert world.status() == PASSING
    assert world.catalog.index == index


async def test_foreign_status_is_followed():
    """A status that somebody else set is what the next result is compared with."""
    world = World().begin()
    world.check(http(), status=PASSING)
    await results(world, PASSING)
    world.writer.apply(set_check_status(world.catalog, KEY, CRITICAL, "by hand"))
    assert await results(world, PASSING) == [PASSING]


async def test_new_definition_begins_anew():
    """A check that is defined anew flaps no more, and has its mark taken back."""
    world = await flapping_world()
    world.check(http("b"), status=CRITICAL)
    assert not mark(world)
    await world.advance(10)
    assert world.status() == PASSING
    assert world.scheduler.counters.flaps_ended == 0


async def test_same_definition_goes_on():
    """A check that is registered again as it was goes on flapping."""
    world = await flapping_world()
    record = world.catalog.checks[KEY].record
    world.check(record.definition, status=record.status)
    assert mark(world)
    assert await results(world, PASSING) == [CRITICAL]


async def test_deleted_check_takes_its_mark_along():
    """A check that goes leaves no mark behind."""
    world = await flapping_world()
    world.writer.apply(deregister_check(world.catalog, NODE, "c"))
    assert not world.catalog.marks.of("flapping")
    assert world.scheduler.told_hold(KEY) == ""


async def test_restart_begins_anew():
    """After a restart nothing is remembered of the flapping, and the first result counts."""
    world = await flapping_world()
    await world.scheduler.stop()
    world.catalog.set_mark("flapping", world.catalog.checks[KEY].record, "")
    world.scheduler = world.new_scheduler()
    world.begin()
    assert await results(world, PASSING) == [PASSING]


# ---- a prober that is sick ----


async def test_stalled_prober_changes_nothing():
    """Stalled for 10 s with every probe under way, the prober changes no status, and no index counts it."""
    world = World().begin()
    answers = [asyncio.get_running_loop().create_future() for _ in range(50)]
    for number, answer in enumerate(answers):
        world.check(http(f"t{number}"), check_id=f"c{number}", status=PASSING)
        world.probe.answers[f"t{number}"] = answer
    await world.advance(10)
    assert sum(world.probe.calls.values()) == 50
    seen = statuses_of(world)
    world.now_s += 10
    for answer in answers:
        answer.set_result(CRITICAL)
    await settle()
    world.probe.answers.clear()
    world.next_s = world.scheduler.tick()
    await world.advance(60)
    assert seen == []
    assert world.scheduler.counters.probes_ignored == 50
    assert all(watched.flaps.changes == 0 for watched in world.scheduler._watching.checks.values())


async def test_own_fault_does_not_count(caplog):
    """A failure that the probe knows to be this machine's is counted, said once a minute, and changes nothing."""
    world = World().begin()
    world.check(http(), status=PASSING)
    await results(world, PASSING)
    fault = Observation(CRITICAL, "too many open files", is_own_fault=True)
    with caplog.at_level(logging.WARNING):
        assert await results(world, *[fault] * 12) == [PASSING] * 12
    assert world.output() == "said passing"
    assert world.scheduler.counters.own_faults == 12
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == ["too many open files"] * 2


# ---- TTL checks ----


@pytest.mark.parametrize(
    ("output", "end"), [("it burns", "was passing: it burns"), ("", "was passing"), (" \n", "was passing")]
)
async def test_a_change_is_told_with_what_was_said(caplog, output, end):
    """The log's line ends with the output, or without a colon where there is none."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    with caplog.at_level(logging.INFO):
        await world.report("c", CRITICAL, output)
    (line,) = [record.getMessage() for record in caplog.records if "is critical now" in record.getMessage()]
    assert line.endswith(end)


async def test_ttl_reports_count_at_once_and_are_marked():
    """What a service says of itself counts at once, however often it changes its mind; but it is marked."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30))
    for status in [PASSING, CRITICAL] * 4:
        await world.report("c", status, f"I am {status}")
        assert world.status() == status
        assert world.output() == f"I am {status}"
    assert "its reports changed 7 times within the last 21. It is not held" in mark(world)
    assert world.scheduler.told_hold(KEY) == mark(world)
    assert not world.scheduler.counters.withheld["unconfirmed"]
    for _ in range(20):
        await world.report("c", PASSING, "")
    assert not mark(world)
    assert world.scheduler.counters.flaps_ended == 1


async def test_ttl_that_expires_again_and_again_is_marked():
    """A TTL that is too short for its service makes the check flap, though every report says passing."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    for _ in range(3):
        await world.report("c", PASSING, "")
        await world.advance(31)
        assert world.status() == CRITICAL
    assert "its reports changed 5 times" in mark(world)


async def test_ttl_thresholds():
    """Thresholds of a TTL check are honoured: reports are results, the first of which counts at once."""
    world = World().begin()
    definition = CheckDefinition(
        ttl_s=30, failures_before_warning=2, failures_before_critical=3, success_before_passing=2
    )
    world.check(definition)
    shown = []
    for status in [PASSING, CRITICAL, CRITICAL, CRITICAL, PASSING, PASSING]:
        await world.report("c", status, f"I am {status}")
        shown.append((world.status(), world.output()))
    assert shown == [
        (PASSING, "I am passing"),
        (PASSING, "I am passing"),
        (WARNING, "I am critical"),
        (CRITICAL, "I am critical"),
        (CRITICAL, "I am critical"),
        (PASSING, "I am passing"),
    ]


async def test_counted_report_renews_the_ttl():
    """A report that changes nothing yet, for the thresholds, is a sign of life all the same."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30, failures_before_critical=9), status=PASSING)
    await world.report("c", PASSING, "")
    await world.advance(20)
    await world.report("c", CRITICAL, "")
    await world.advance(20)
    assert world.status() == PASSING


async def test_silence_needs_no_other_failures():
    """The end of a TTL is critical at once, whatever the thresholds, and counts as failures in a row."""
    world = World().begin()
    definition = CheckDefinition(ttl_s=30, failures_before_critical=3, success_before_passing=2)
    world.check(definition, status=PASSING)
    await world.report("c", PASSING, "")
    await world.advance(31)
    assert world.status() == CRITICAL
    await world.report("c", PASSING, "")
    assert world.status() == CRITICAL
    await world.report("c", PASSING, "")
    assert world.status() == PASSING


async def test_report_that_cannot_be_written_is_counted():
    """A report that the store refused fails, and its word counts for the next one."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30, failures_before_critical=2), status=PASSING)
    await world.report("c", PASSING, "")
    await world.report("c", CRITICAL, "")
    world.writer.is_away = True
    with pytest.raises(StoreUnavailable):
        await world.report("c", CRITICAL, "")
    world.writer.is_away = False
    await world.report("c", CRITICAL, "")
    assert world.status() == CRITICAL


async def test_alias_is_neither_held_nor_marked():
    """An alias changes with what it is an alias of, as often as that does."""
    world = World().begin()
    world.service()
    world.check(CheckDefinition(ttl_s=300), check_id="t", service_id="web")
    world.check(CheckDefinition(alias_service="web"), check_id="c")
    for status in [PASSING, CRITICAL] * 10:
        await world.report("t", status, "")
        await world.advance(1)
        assert world.status() == status
    assert not mark(world)


# ---- memory ----


async def test_calm_checks_share_their_memory():
    """Checks that are as ever have no memory of their own results."""
    world = World().begin()
    for number in range(20):
        world.check(http(f"t{number}"), check_id=f"c{number}", status=PASSING)
    await world.advance(20)
    assert len({id(watched.flaps) for watched in world.scheduler._watching.checks.values()}) == 1


def test_observations_are_as_they_were():
    """An observation says nothing of the prober unless it is told to."""
    assert not Observation(PASSING, "").is_own_fault
    assert not Observation(PASSING, "").is_silent
    assert msgspec.json.encode(Observation(PASSING, ""))
