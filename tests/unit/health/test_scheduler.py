"""The scheduler on a clock that the test holds, with probes that say what the test wants."""

import asyncio
import logging

import msgspec
import pytest
from tests.unit.health.world import KEY, NODE, WEB, World, settle

from regista.catalog import (
    CatalogEntry,
    deregister_check,
    deregister_service,
    register_check,
    register_in_catalog,
    set_check_status,
)
from regista.health import Observation
from regista.model import (
    CRITICAL,
    PASSING,
    WARNING,
    Check,
    CheckDefinition,
    NotFound,
    Service,
    StoreUnavailable,
    node_item_key,
)


def http(target="a", interval_s=10.0, **more):
    return CheckDefinition(http=target, interval_s=interval_s, **more)


# ---- probes ----


async def test_first_result_applies_within_one_interval():
    """A check gets the status of its first probe, within one interval of its registration."""
    world = World().begin()
    world.check(http(failures_before_critical=3, success_before_passing=3))
    await world.advance(10)
    assert world.status() == PASSING
    assert world.catalog.checks[KEY].record.output == "said passing"
    assert world.scheduler.counters.transitions == {PASSING: 1}
    assert world.scheduler.counters.probes == {("http", PASSING): 1}


async def test_third_failure_is_the_only_transition():
    """With a threshold of 3, p,f,f,f changes the status once after the p, at the third f."""
    world = World().begin()
    world.check(http(failures_before_critical=3), status=PASSING)
    await world.advance(10)
    writes = world.writer.writes
    world.probe.answers["a"] = CRITICAL
    await world.advance(20)
    assert world.probe.calls["a"] == 3
    assert world.status() == PASSING
    assert world.output() == "said passing"
    await world.advance(10)
    assert world.status() == CRITICAL
    assert world.writer.writes == writes + 1


async def test_same_status_is_not_written():
    """New output with the same status is kept beside the log, without a write."""
    world = World().begin()
    world.check(http())
    await world.advance(10)
    index = world.catalog.index
    world.probe.answers["a"] = Observation(PASSING, "better than ever")
    await world.advance(10)
    assert world.output() == "better than ever"
    assert world.catalog.index == index


async def test_ten_thousand_checks_spread_over_their_interval():
    """Ten thousand checks registered at once are probed evenly over their interval, each once in it."""
    world = World()
    for number in range(10_000):
        check = Check(
            node=NODE,
            id=f"c{number}",
            name="c",
            service_id=f"s{number}",
            status=PASSING,
            definition=http(f"t{number}"),
            manager="agent",
        )
        world.service(service_id=check.service_id, checks=[check])
    world.begin()
    per_second = []
    for _ in range(10):
        before = sum(world.probe.calls.values())
        for _ in range(10):
            world.now_s += 0.1
            world.scheduler.tick()
        await settle()
        per_second.append(sum(world.probe.calls.values()) - before)
    assert min(per_second) > 800
    assert max(per_second) < 1200
    assert set(world.probe.calls.values()) == {1}


async def test_cadence_is_fixed():
    """In the long run a check is probed once an interval, jitter or not."""
    world = World().begin()
    world.check(http(interval_s=10))
    await world.advance(1000)
    assert world.probe.calls["a"] == 100


async def test_short_interval_is_raised():
    """An interval below the minimum is taken for the minimum."""
    world = World(interval_s_min=2.0).begin()
    world.check(http(interval_s=0.01))
    await world.advance(100)
    assert world.probe.calls["a"] == 50


async def test_slow_probe_delays_nobody_and_runs_once():
    """A probe that hangs does not delay another check's, and no second one of the same check starts."""
    world = World().begin()
    world.probe.answers["slow"] = asyncio.get_running_loop().create_future()
    world.check(http("slow"), check_id="slow")
    world.check(http("a"))
    await world.advance(100)
    assert world.probe.calls == {"slow": 1, "a": 10}
    assert world.status() == PASSING
    world.probe.answers["slow"].set_result(PASSING)
    await world.advance(10)
    assert world.status(node_item_key(NODE, "slow")) == PASSING
    assert world.probe.calls["slow"] == 2
    await world.scheduler.stop()


async def test_probes_above_the_limit_wait():
    """With all places taken a probe waits, starts as soon as one is free, and is counted as late."""
    world = World(probes_at_once_max=1).begin()
    slow = world.probe.answers["slow"] = asyncio.get_running_loop().create_future()
    world.check(http("slow", 1.0), check_id="slow")
    await world.advance(1)
    world.check(http("a"))
    await world.advance(20)
    assert world.probe.calls == {"slow": 1}
    slow.set_result(PASSING)
    await settle()
    assert world.probe.calls["a"] == 1
    assert world.scheduler.counters.late_starts == 1


async def test_changed_definition_takes_over():
    """A new definition ends the probe of the old one, and its first result counts at once."""
    world = World().begin()
    old = world.probe.answers["old"] = asyncio.get_running_loop().create_future()
    world.check(http("old", failures_before_critical=3), status=PASSING)
    await world.advance(10)
    world.check(http("new", failures_before_critical=3))
    await settle()
    assert world.probe.cancelled == 1
    old.set_result(CRITICAL)
    await world.advance(0.001)
    assert world.status() == PASSING
    world.probe.answers["new"] = CRITICAL
    await world.advance(10)
    assert world.status() == CRITICAL


async def test_same_definition_keeps_counting():
    """Registering a check again with the same definition keeps its row of failures."""
    world = World().begin()
    world.check(http(failures_before_critical=2), status=PASSING)
    await world.advance(10)
    world.probe.answers["a"] = CRITICAL
    await world.advance(10)
    entry = world.catalog.checks[KEY]
    renamed = msgspec.structs.replace(entry.record, notes="renamed")
    world.writer.apply(register_check(world.catalog, renamed))
    await world.advance(10)
    assert world.status() == CRITICAL


async def test_late_result_of_another_life_is_ignored():
    """What a probe finds does not count for a check that was deleted and registered again meanwhile."""
    world = World().begin()
    hanging = world.probe.answers["a"] = asyncio.get_running_loop().create_future()
    world.check(http("a", 10.0))
    await world.advance(10)
    assert world.probe.calls["a"] == 1
    hanging.set_result(PASSING)  # The probe has its answer, but its task did not run yet.
    world.writer.apply(deregister_check(world.catalog, NODE, "c"))
    world.check(http("a", 10.0))
    await settle()
    assert world.status() == CRITICAL


async def test_late_write_of_another_life_is_ignored():
    """A status on its way to the store does not reach a check that was deleted and registered again."""
    world = World().begin()
    world.writer.before_plan = asyncio.get_running_loop().create_future()
    world.check(http())
    await world.advance(10)
    world.writer.apply(deregister_check(world.catalog, NODE, "c"))
    world.check(http())
    world.writer.before_plan.set_result(None)
    await settle()
    assert world.status() == CRITICAL


async def test_only_own_checks_are_run():
    """Checks of other nodes, of the catalog's callers, and without definition are nobody's business here."""
    world = World().begin()
    world.check(http("catalog"), check_id="x", manager="catalog")
    world.check(None, check_id="y")
    elsewhere = Check(node="n2", id="z", name="z", definition=http("elsewhere"), manager="agent")
    world.writer.apply(register_check(world.catalog, elsewhere))
    world.check(http("config"), check_id="w", manager="config")
    await world.advance(20)
    assert set(world.probe.calls) == {"config"}


async def test_deleted_check_is_not_probed():
    """A check that goes takes its probe and its cadence with it."""
    world = World().begin()
    world.probe.answers["a"] = asyncio.get_running_loop().create_future()
    world.check(http())
    await world.advance(10)
    world.writer.apply(deregister_check(world.catalog, NODE, "c"))
    await world.advance(30)
    assert world.probe.cancelled == 1
    assert world.probe.calls["a"] == 1


async def test_unwritten_status_is_written_later(caplog):
    """A status change that the store refused is written once it is back, with one warning for the whole outage."""
    world = World().begin()
    for number in range(50):
        world.check(http(f"t{number}", 1.0), check_id=f"c{number}")
    world.writer.is_away = True
    with caplog.at_level(logging.WARNING):
        await world.advance(60)
    assert world.status(node_item_key(NODE, "c0")) == CRITICAL
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    world.writer.is_away = False
    await world.advance(3)
    assert {entry.record.status for entry in world.catalog.checks.values()} == {PASSING}


async def test_opposite_result_takes_a_refused_write_back():
    """A change that was refused and is not true any more is not written when the store is back."""
    world = World().begin()
    world.check(http(), status=PASSING)
    await world.advance(10)
    index = world.catalog.index
    world.writer.is_away = True
    world.probe.answers["a"] = CRITICAL
    await world.advance(10)
    world.probe.answers["a"] = PASSING
    await world.advance(10)
    world.writer.is_away = False
    await world.advance(5)
    assert world.status() == PASSING
    assert world.catalog.index == index


# ---- TTL checks ----


async def test_ttl_expires_and_revives():
    """A service that falls silent turns critical with its last words; its next word revives it."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30))
    await world.report("c", PASSING, "all well")
    assert world.status() == PASSING
    await world.advance(29.9)
    assert world.status() == PASSING
    await world.advance(0.2)
    assert world.status() == CRITICAL
    assert world.output() == "TTL expired (last output before timeout follows): all well"
    assert world.scheduler.counters.expiries == {"check": 1}
    await world.report("c", WARNING, "")
    assert world.status() == WARNING
    assert world.output() == ""
    await world.advance(30.1)
    assert world.output() == "TTL expired"


async def test_reports_keep_a_check_alive_without_writes():
    """Reports of the same status write nothing, and their output is there at once, cut to the limit."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    index = world.catalog.index
    for number in range(20):
        await world.report("C", PASSING, f"beat {number}")
        assert world.output() == f"beat {number}"
        await world.advance(20)
    await world.report("c", PASSING, "x" * 5000)
    assert world.output() == "x" * 4096 + " ... (captured 4096 of 5000 bytes)"
    assert world.catalog.index == index


async def test_report_to_a_check_without_ttl():
    """A report for an unknown check, or one without a TTL, is refused in the words that clients look for."""
    world = World().begin()
    world.check(http())
    for check_id in ("c", "nobody"):
        with pytest.raises(NotFound, match=f'CheckID "{check_id}" does not have associated TTL'):
            await world.report(check_id, PASSING, "")


async def test_registering_again_restarts_the_ttl():
    """A renewed check has a whole TTL again and keeps its status."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    await world.advance(20)
    world.scheduler.renew_check(KEY)
    await world.advance(20)
    assert world.status() == PASSING
    await world.advance(11)
    assert world.status() == CRITICAL


async def test_expiry_of_a_critical_check_shows():
    """A check that was critical anyway shows that it expired too, without a write."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30))
    index = world.catalog.index
    await world.advance(31)
    assert world.output() == "TTL expired"
    assert world.catalog.index == index


async def test_report_follows_an_expiry_under_way():
    """A report that comes while the expiry is being committed is written behind it, and wins."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    world.writer.before_commit = asyncio.get_running_loop().create_future()
    await world.advance(30.1)
    report = asyncio.ensure_future(world.report("c", PASSING, "here I am"))
    await settle()
    assert not report.done()
    world.writer.before_commit.set_result(None)
    await report
    assert world.status() == PASSING
    assert world.output() == "here I am"


async def test_report_takes_back_a_refused_expiry():
    """An expiry that the store refused is forgotten when the service speaks up."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    world.writer.is_away = True
    await world.advance(30.5)
    await world.report("c", PASSING, "here I am")
    world.writer.is_away = False
    await world.advance(10)
    assert world.status() == PASSING
    assert world.writer.writes == 1


async def test_refused_expiry_is_tried_again():
    """An expiry that the store refused is written when it is back, tried once a second at the most."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    world.writer.is_away = True
    await world.advance(40)
    assert 5 <= world.writer.attempts <= 11
    world.writer.is_away = False
    await world.advance(2.1)
    assert world.status() == CRITICAL


async def test_report_that_cannot_be_written_says_so():
    """A report whose status can't be written fails, but counts as a sign of life."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    await world.advance(20)
    world.writer.is_away = True
    with pytest.raises(StoreUnavailable):
        await world.report("c", WARNING, "")
    world.writer.is_away = False
    await world.advance(20)
    assert world.status() == PASSING


# ---- restarts ----


async def test_restart_gives_a_whole_ttl():
    """After a start every TTL check and lease has a whole TTL, and no status changes before."""
    world = World()
    world.service(ttl_s=30)
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    world.check(http(interval_s=600), check_id="h", status=WARNING)
    world.now_s += 1_000_000
    world.scheduler = world.new_scheduler()
    world.begin()
    index = world.catalog.index
    await world.advance(29)
    assert world.catalog.index == index
    await world.advance(2)
    assert world.status() == CRITICAL
    assert WEB not in world.catalog.services


async def test_stop_waits_for_probes():
    """After `stop` no probe is under way, and later batches start none."""
    world = World().begin()
    world.probe.answers["a"] = asyncio.get_running_loop().create_future()
    world.check(http())
    await world.advance(10)
    await world.scheduler.stop()
    assert world.probe.cancelled == 1
    world.check(http("b"), check_id="b")
    world.scheduler.tick()
    await settle()
    assert "b" not in world.probe.calls


async def test_start_runs_on_the_loop():
    """`start` has the loop call `tick` when something is due."""
    world = World()
    world.check(http(interval_s=1.0))
    world.scheduler.start()
    world.now_s += 0.5
    called = asyncio.Event()
    asyncio.get_running_loop().call_soon(called.set)
    await called.wait()
    timer = world.scheduler._timer
    assert world.now_s - 0.5 < timer.at_s <= world.now_s + 0.5
    await world.scheduler.stop()
    assert timer._handle.cancelled()


# ---- leases ----


async def test_unrenewed_instance_is_deregistered():
    """An instance that nobody renews is deregistered with its checks, and its tombstone says why."""
    world = World().begin()
    world.service(ttl_s=30, checks=[Check(node=NODE, id="c", name="c", service_id="web")])
    for _ in range(5):
        await world.advance(20)
        world.scheduler.renew_service(WEB)
    assert WEB in world.catalog.services
    await world.advance(30.1)
    assert WEB not in world.catalog.services
    assert KEY not in world.catalog.checks
    (tombstone,) = world.catalog.tombstones.values()
    assert tombstone.record.reason == "was not renewed for 30s"
    assert world.scheduler.counters.deregistrations == {"lease": 1}


async def test_renewal_before_the_plan_keeps_the_instance():
    """A renewal that arrives before the end of the lease is planned keeps the instance, without a write."""
    world = World().begin()
    world.service(ttl_s=30)
    index = world.catalog.index
    world.writer.before_plan = asyncio.get_running_loop().create_future()
    await world.advance(30.1)
    assert world.writer.attempts == 1
    world.scheduler.renew_service(WEB)
    world.writer.before_plan.set_result(None)
    await settle()
    assert WEB in world.catalog.services
    assert world.catalog.index == index
    await world.advance(30.1)
    assert WEB not in world.catalog.services


async def test_lease_that_ends_during_an_outage():
    """The end of a lease waits for the store, and a renewal meanwhile takes it back."""
    world = World().begin()
    world.service(ttl_s=30)
    world.service(ttl_s=30, service_id="dead")
    world.writer.is_away = True
    await world.advance(60)
    world.scheduler.renew_service(WEB)
    world.writer.is_away = False
    await world.advance(5)
    assert set(world.catalog.services) == {WEB}


async def test_lease_follows_its_record():
    """A changed TTL counts from its change, and one of 0 ends the lease."""
    world = World().begin()
    world.service(ttl_s=30)
    await world.advance(20)
    world.service(ttl_s=100)
    await world.advance(99)
    assert WEB in world.catalog.services
    world.service(ttl_s=0)
    await world.advance(1000)
    assert WEB in world.catalog.services


# ---- deregistration after critical ----


def reaped(after_s=90.0, **more):
    return CheckDefinition(deregister_critical_service_after_s=after_s, **more)


async def test_service_is_deregistered_after_critical():
    """A service whose check was critical for so long is deregistered within a second, with the reason."""
    world = World().begin()
    world.service()
    world.probe.answers["a"] = CRITICAL
    world.check(reaped(http="a", interval_s=10), status=PASSING, service_id="web")
    seen = []
    world.catalog.subscribe(lambda batch: seen.append((world.now_s, batch)))
    await world.advance(200)
    (critical_s, _), (gone_s, _) = seen
    assert 90 - 1e-6 <= gone_s - critical_s <= 91
    assert not world.catalog.services
    assert not world.catalog.checks
    (tombstone,) = world.catalog.tombstones.values()
    assert tombstone.record.reason == 'was deregistered because check "c" was critical for 90s'
    assert world.scheduler.counters.deregistrations == {"critical": 1}


async def test_registered_critical_counts_from_registration():
    """A check that is critical from its registration on counts from there, of whatever kind it is."""
    world = World().begin()
    world.service()
    world.check(reaped(ttl_s=10_000), service_id="web")
    await world.advance(89)
    assert WEB in world.catalog.services
    await world.advance(2)
    assert WEB not in world.catalog.services


async def test_expired_ttl_leads_to_deregistration():
    """A TTL check that expires starts the count."""
    world = World().begin()
    world.service()
    world.check(reaped(60, ttl_s=30), status=PASSING, service_id="web")
    await world.advance(89)
    assert WEB in world.catalog.services
    await world.advance(2)
    assert WEB not in world.catalog.services


async def test_better_status_cancels_deregistration():
    """A check that gets better between starts from nothing when it is critical again."""
    world = World().begin()
    world.service()
    world.check(reaped(90, ttl_s=1000), service_id="web")
    await world.advance(80)
    await world.report("c", WARNING, "")
    await world.report("c", CRITICAL, "")
    await world.advance(89)
    assert WEB in world.catalog.services
    await world.advance(2)
    assert WEB not in world.catalog.services


def kept_by_a_caller(world, status, *, after="90s", node="db-host", output=""):
    """An instance and its check as a caller of the catalog's paths writes them, on a node of its own."""
    check = Check(
        node=node,
        id="c",
        name="c",
        status=status,
        output=output,
        service_id="db",
        service_name="db",
        manager="catalog",
        shown_definition={"HTTP": "http://db/", "DeregisterCriticalServiceAfter": after} if after else None,
    )
    service = Service(node=node, id="db", name="db", manager="catalog")
    wanted = CatalogEntry(node, None, service, (check,), new_incarnation="i1")
    world.writer.apply(register_in_catalog(world.catalog, wanted))


@pytest.mark.parametrize("node", ["db-host", NODE])
async def test_an_instance_kept_through_the_catalog_is_deregistered_after_critical(node):
    """Whoever makes its check, and on whatever node; saying again that it is critical begins nothing anew."""
    world = World().begin()
    kept_by_a_caller(world, PASSING, node=node)
    await world.advance(100)
    kept_by_a_caller(world, CRITICAL, node=node)
    await world.advance(60)
    kept_by_a_caller(world, CRITICAL, node=node, output="still refused")
    await world.advance(29)
    assert node_item_key(node, "db") in world.catalog.services
    await world.advance(2)
    assert not world.catalog.services
    assert not world.catalog.checks
    assert world.scheduler.counters.deregistrations == {"critical": 1}
    assert not world.probe.calls


async def test_an_instance_kept_through_the_catalog_gets_its_time_again_after_a_restart():
    """It is watched from the start on, and counts from there."""
    world = World()
    kept_by_a_caller(world, CRITICAL)
    world.begin()
    await world.advance(89)
    assert len(world.catalog.services) == 1
    await world.advance(2)
    assert not world.catalog.services


@pytest.mark.parametrize("after", ["", "0s"])
async def test_an_instance_kept_through_the_catalog_stays_where_nothing_was_said(after):
    """And so does one whose check got well, or no longer says that it ends the instance."""
    world = World().begin()
    kept_by_a_caller(world, CRITICAL, after=after)
    await world.advance(10_000)
    kept_by_a_caller(world, CRITICAL)
    await world.advance(80)
    kept_by_a_caller(world, PASSING)
    await world.advance(80)
    kept_by_a_caller(world, CRITICAL)
    await world.advance(80)
    kept_by_a_caller(world, CRITICAL, after=after)
    await world.advance(10_000)
    assert len(world.catalog.services) == 1


async def test_node_check_deregisters_nothing():
    """A critical check of the node itself ends nothing."""
    world = World().begin()
    world.service()
    world.check(reaped(1, ttl_s=1000))
    await world.advance(100)
    assert WEB in world.catalog.services
    assert world.status() == CRITICAL


async def test_recovery_during_an_outage_saves_the_service():
    """A service that got well while the store was away is not deregistered when it is back."""
    world = World().begin()
    world.service()
    world.probe.answers["a"] = CRITICAL
    world.check(reaped(90, http="a", interval_s=10), service_id="web")
    await world.advance(60)
    world.writer.is_away = True
    await world.advance(60)
    world.probe.answers["a"] = PASSING
    await world.advance(10)
    world.writer.is_away = False
    await world.advance(5)
    assert WEB in world.catalog.services
    assert world.status() == PASSING


async def test_deregistered_service_takes_its_count_along():
    """A service that was deregistered and registered again starts its time in critical anew."""
    world = World().begin()
    world.service()
    world.check(reaped(90, ttl_s=1000), service_id="web")
    await world.advance(80)
    world.writer.apply(deregister_service(world.catalog, NODE, "web", reason="left", now_s=0.0))
    world.service()
    world.check(reaped(90, ttl_s=1000), service_id="web")
    await world.advance(80)
    assert WEB in world.catalog.services


# ---- stalls ----


async def test_frozen_agent_expires_nobody():
    """Frozen for five minutes with 10,000 beats waiting in the sockets: nobody expires; without more of them, all."""
    world = World(protection_share=1.0, expiries_per_s=5000.0, expiries_burst=5000.0)
    keys = [node_item_key(NODE, f"s{number}") for number in range(10_000)]
    for number in range(10_000):
        world.service(service_id=f"s{number}", ttl_s=30)
    world.begin()
    await world.advance(9)
    await world.stall(300)
    assert world.scheduler.listening.stalls == 1
    for key in keys:
        world.scheduler.renew_service(key)
    await world.advance(29)
    assert len(world.catalog.services) == 10_000
    assert not world.scheduler.counters.expiries
    await world.advance(6)
    for _ in range(100):
        await settle()
    assert not world.catalog.services


async def test_beat_read_before_the_late_tick_gets_one_ttl():
    """A beat that is read before the stall is noticed gets one TTL, not the stall on top."""
    world = World().begin()
    world.service(ttl_s=30)
    await world.advance(9)
    world.now_s += 300
    world.scheduler.renew_service(WEB)
    world.next_s = world.scheduler.tick()
    await world.advance(29)
    assert WEB in world.catalog.services
    await world.advance(2)
    assert WEB not in world.catalog.services


async def test_stall_moves_everything():
    """TTLs and times in critical move by the stall, and go on from there."""
    world = World().begin()
    world.service()
    world.check(reaped(90, ttl_s=1000), service_id="web")
    world.check(CheckDefinition(ttl_s=60), check_id="t", status=PASSING)
    await world.advance(50)
    await world.stall(10_000)
    await world.advance(8)
    assert world.status(node_item_key(NODE, "t")) == PASSING
    await world.advance(4)
    assert world.status(node_item_key(NODE, "t")) == CRITICAL
    await world.advance(25)
    assert WEB in world.catalog.services
    await world.advance(5)
    assert WEB not in world.catalog.services


async def test_failure_during_a_stall_is_ignored():
    """A probe that failed while the agent stalled changes nothing; one that succeeded counts."""
    world = World().begin()
    answers = [asyncio.get_running_loop().create_future() for _ in range(2)]
    world.probe.answers.update(a=answers[0], b=answers[1])
    world.check(http("a"), status=PASSING)
    world.check(http("b"), check_id="b")
    await world.advance(10)
    assert world.probe.calls == {"a": 1, "b": 1}
    world.now_s += 10
    answers[0].set_result(CRITICAL)
    answers[1].set_result(PASSING)
    await settle()
    assert world.status() == PASSING
    assert world.status(node_item_key(NODE, "b")) == PASSING
    assert world.scheduler.counters.probes_ignored == 1
    world.next_s = world.scheduler.tick()
    await world.advance(10)
    assert world.status() == CRITICAL


async def test_little_delays_are_no_stall():
    """A loop that is late by less than the tolerance is as deaf as ever; time goes on."""
    world = World().begin()
    world.check(CheckDefinition(ttl_s=30), status=PASSING)
    for _ in range(20):
        world.now_s = world.next_s + 0.9
        world.next_s = world.scheduler.tick()
        await settle()
    assert world.scheduler.listening.stalls == 0
    assert world.status() == CRITICAL


async def test_foreign_status_change_is_followed():
    """A status that somebody else set counts for the time in critical too."""
    world = World().begin()
    world.service()
    world.check(reaped(90, ttl_s=1000), status=PASSING, service_id="web")
    world.writer.apply(set_check_status(world.catalog, KEY, CRITICAL, "by hand"))
    await world.advance(91)
    assert WEB not in world.catalog.services
