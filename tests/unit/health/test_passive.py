"""Passive health: callers' reports become the status of a check, through a scheduler whose clock the test holds."""

import random

import msgspec
import pytest
from tests.unit.health.world import NODE, World, settle

from regista.balance import OutcomeReport
from regista.catalog import (
    CatalogEntry,
    Registration,
    deregister_check,
    deregister_service,
    put_config_entry,
    register_in_catalog,
    register_service,
)
from regista.health import PassiveSettings, Scheduler
from regista.model import CRITICAL, PASSING, CheckDefinition, ConfigEntry, Node, Service

PASSIVE = "n1/_passive:web"
PROBED = CheckDefinition(http="http://web/", interval_s=5.0)


class PassiveWorld(World):
    """A world with one service; all of its instances may be out."""

    def __init__(self, **parameters):
        self.parameters = PassiveSettings(**{"max_ejection_percent": 100, **parameters})
        super().__init__()

    def new_scheduler(self):
        return Scheduler(
            catalog=self.catalog,
            node=NODE,
            writer=self.writer,
            settings=self.settings,
            clock=lambda: self.now_s,
            wall_clock=lambda: 1.7e9 + self.now_s,
            rng=random.Random(7),
            probes={"http": self.probe},
            passive=self.parameters,
        )

    async def say(self, outcome="5xx", *, count=5, service_id="web", service="web", node=""):
        """Reports, and lets what it brings about be written."""
        report = OutcomeReport(service, service_id, outcome, count, None, node)
        counts = self.scheduler.passive.report([report])
        await settle()
        # Real timers come earlier when a report calls for it; this world's clock is asked again.
        self.next_s = self.scheduler.tick()
        return counts

    @property
    def passive(self):
        """The status of the instance's passive check; None without one."""
        entry = self.catalog.checks.get(PASSIVE)
        return entry.record.status if entry else None

    def register(self, service):
        self.writer.apply(register_service(self.catalog, Registration(service, new_incarnation="i1"), now_s=0.0))

    def define(self, fields, *, name="web"):
        entry = ConfigEntry(entry_kind="service-defaults", name=name, fields=fields)
        self.writer.apply(put_config_entry(self.catalog, entry, datacenter="dc1"))


@pytest.fixture
def world():
    world = PassiveWorld().begin()
    world.service()
    return world


async def test_an_instance_that_fails_is_taken_out_and_let_back(world):
    """Reports themselves write nothing; the ejection and the end of it are a write each."""
    writes = world.writer.writes
    assert await world.say(count=4) == (1, 0)
    assert world.writer.writes == writes
    assert world.passive is None
    await world.say(count=1)
    assert (world.passive, world.writer.writes) == (CRITICAL, writes + 1)
    assert world.output(PASSIVE) == (
        "Its callers report: 5 failures in a row (consecutive_5xx). It is out until 2023-11-14T22:30:30.000Z, for 30s."
    )
    await world.advance(29.9)
    assert world.passive == CRITICAL
    await world.advance(0.2)
    assert (world.passive, world.writer.writes) == (PASSING, writes + 2)
    assert "its time is over" in world.output(PASSIVE)
    assert world.scheduler.counters.ejections == {"consecutive_5xx": 1}
    assert world.scheduler.counters.outcomes == {"5xx": 5}


async def test_the_second_time_is_longer_and_says_so(world):
    """Callers that find it broken again at once."""
    await world.say()
    await world.advance(30.1)
    await world.say()
    assert "for 1m0s; 2 times in a row now." in world.output(PASSIVE)
    await world.advance(59)
    assert world.passive == CRITICAL
    await world.advance(2)
    assert world.passive == PASSING


async def test_a_passing_probe_lets_it_back(world):
    """As soon as a probe of the instance finds it well, and no other finds it critical."""
    world.probe.answers = {"http://web/": CRITICAL, "http://web/2": CRITICAL}
    world.check(PROBED, service_id="web")
    world.check(msgspec.structs.replace(PROBED, http="http://web/2"), check_id="d", service_id="web")
    await world.advance(6)
    await world.say()
    world.probe.answers["http://web/"] = PASSING
    await world.advance(6)
    assert world.passive == CRITICAL
    world.probe.answers["http://web/2"] = PASSING
    await world.advance(12)
    assert world.passive == PASSING
    assert "a probe finds it passing" in world.output(PASSIVE)


async def test_a_service_that_says_itself_that_it_is_well_is_not_let_back(world):
    """Its word was good all the time that its callers found it broken."""
    world.check(CheckDefinition(ttl_s=10.0), service_id="web", status=PASSING)
    await world.say()
    await world.report("c", PASSING, "")
    await world.advance(1)
    assert world.passive == CRITICAL


async def test_a_services_defaults_say_what_counts(world):
    """From the next report on; without them the agent's settings count again."""
    await world.say(count=1)
    world.define({"OutlierDetection": {"Consecutive5xx": 3, "BaseEjectionTime": "2s", "FromLater": 1}})
    await world.say(count=1)
    assert world.passive is None
    await world.say(count=1)
    assert "for 2s" in world.output(PASSIVE)
    assert world.scheduler.passive.states("WEB")[0].parameters.consecutive_5xx == 3
    world.define({})
    assert world.scheduler.passive.states("web")[0].parameters.consecutive_5xx == 5


async def test_all_is_forgotten_when_nothing_is_reported_any_more(world):
    """No detector is kept for a service that nobody calls, nor a deadline."""
    await world.say()
    await world.advance(30 + 3 * 10 + 1)
    assert world.scheduler.passive.states() == []
    assert world.scheduler.passive.next_s() is None


async def test_an_instance_that_goes_takes_its_ejection_along(world):
    """Its check goes with it, and one of the same id that comes later begins anew."""
    await world.say()
    world.writer.apply(deregister_service(world.catalog, NODE, "web", reason="was deregistered", now_s=0.0))
    assert world.passive is None
    assert world.scheduler.passive.ejected_count == 0
    world.service()
    await world.say(count=4)
    await world.advance(60)
    assert world.passive is None


async def test_another_process_that_takes_its_place_is_in(world):
    """What callers found was of the one before."""
    await world.say()
    world.register(Service(node=NODE, id="web", name="web", incarnation="i2", manager="agent"))
    await settle()
    assert world.passive == PASSING
    assert world.scheduler.passive.ejected_count == 0


async def test_an_instance_that_is_of_another_service_now_is_in(world):
    """Its callers are others."""
    await world.say()
    world.register(Service(node=NODE, id="web", name="shop", manager="agent"))
    await settle()
    assert world.passive == PASSING
    assert world.scheduler.passive.states() == []


async def test_registering_it_again_changes_nothing(world):
    """Callers do so all the time."""
    await world.say()
    world.register(Service(node=NODE, id="web", name="web", tags=("new",), manager="agent"))
    await settle()
    assert world.passive == CRITICAL
    await world.advance(31)
    assert world.passive == PASSING


async def test_an_operator_can_let_it_back(world):
    """Taking the check away ends the ejection; the next failures make it anew."""
    await world.say()
    world.writer.apply(deregister_check(world.catalog, NODE, "_passive:web"))
    assert world.scheduler.passive.ejected_count == 0
    await world.say(count=4)
    assert world.passive is None
    await world.say(count=1)
    assert world.passive == CRITICAL


async def test_after_a_restart_those_who_are_out_come_back():
    """Nobody remembers until when they were out, so it is one base time from the start on."""
    world = PassiveWorld().begin()
    world.service()
    await world.say()
    await world.scheduler.stop()
    world.scheduler = world.new_scheduler()
    world.begin()
    await world.advance(29.9)
    assert world.passive == CRITICAL
    await world.advance(0.2)
    assert world.passive == PASSING


async def test_an_ejection_is_written_when_the_store_is_back(world):
    """And not at all if its time was over before."""
    world.writer.is_away = True
    await world.say()
    await world.advance(5)
    assert world.passive is None
    world.writer.is_away = False
    await world.advance(2)
    assert world.passive == CRITICAL
    await world.advance(30)
    assert world.passive == PASSING
    writes = world.writer.writes
    world.writer.is_away = True
    await world.say()
    await world.advance(61)
    world.writer.is_away = False
    await world.advance(2)
    assert (world.passive, world.writer.writes) == (PASSING, writes)


async def test_instances_are_found_by_service_and_id(world):
    """On this agent's node first, then on the only one that has it; with a node, on that one."""
    for node, service_id in (("far", "web"), ("far", "w2"), ("far", "w3"), ("near", "w3")):
        service = Service(node=node, id=service_id, name="web")
        world.writer.apply(register_in_catalog(world.catalog, CatalogEntry(node, Node(name=node), service)))
    assert await world.say(service="WEB", service_id="Web") == (1, 0)
    assert world.passive == CRITICAL
    assert await world.say(service_id="w2") == (1, 0)
    assert world.catalog.checks["far/_passive:w2"].record.status == CRITICAL
    assert await world.say(service_id="w3") == (0, 1)
    assert await world.say(service_id="w3", node="near") == (1, 0)
    assert world.catalog.checks["near/_passive:w3"].record.status == CRITICAL
    assert await world.say(service_id="w2", node="near") == (0, 1)
    assert await world.say(service_id="w4") == (0, 1)
    assert await world.say(service="shop") == (0, 1)
    assert world.scheduler.counters.outcomes_unknown == 4
    world.writer.apply(deregister_service(world.catalog, "near", "w3", reason="was deregistered", now_s=0.0))
    assert await world.say(service_id="w3") == (1, 0)


async def test_only_so_many_of_a_service_are_out():
    """Of three instances one, at 34 %; a second that is as bad stays."""
    world = PassiveWorld(max_ejection_percent=34).begin()
    for service_id in ("web", "w2", "w3"):
        world.service(service_id=service_id)
    await world.say()
    await world.say(service_id="w2")
    (state,) = world.scheduler.passive.states("web")
    assert (state.instances, state.ejected, state.ejected_max, state.withheld) == (3, 1, 1, {"cap": 1})
    assert "n1/_passive:w2" not in world.catalog.checks
    assert [host.id for host in state.hosts] == ["web", "w2"]
