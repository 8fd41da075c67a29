"""What silence ends and what it does not, with a clock that the test holds: protection, its end, and the rates."""

import itertools
import logging

import pytest
from tests.unit.health.fleet import Fleet, ttl_check
from tests.unit.health.world import NODE, settle

from regista.catalog import deregister_service, set_service_maintenance
from regista.health import Observation
from regista.model import CRITICAL, PASSING, Check, CheckDefinition, node_item_key

REFUSED = 'Get "http://10.0.0.1:1/": dial tcp 10.0.0.1:1: connect: connection refused'


async def partitioned(*, count=100, lost=60, silent_s=45.0, **settings):
    """A fleet of which so many have been silent for so long, after a minute in which all was well."""
    fleet = Fleet(**settings).begin()
    fleet.add(count)
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:lost])
    await fleet.live(silent_s)
    return fleet


def http_check(service_id, **more):
    """An HTTP check for an instance, of the target that has its id; passing."""
    return Check(
        node=NODE,
        id=f"h-{service_id}",
        name="h",
        status=PASSING,
        service_id=service_id,
        definition=CheckDefinition(http=service_id, interval_s=10.0, **more),
        manager="agent",
    )


# ---- what goes ----


async def test_one_dead_instance_goes_at_its_ttl():
    """A dead instance among many that live goes when its TTL is over, without any delay."""
    fleet = Fleet().begin()
    fleet.add(100)
    await fleet.live(60)
    (dead,) = fleet.silent = {fleet.keys[50]}
    last_s = fleet.scheduler.lease_left_s(dead)
    await fleet.live(last_s - 0.5)
    assert dead in fleet.there
    await fleet.live(1.5)
    assert fleet.there == set(fleet.keys) - {dead}
    assert not fleet.scheduler.counters.endings_held


async def test_small_services_are_exempt():
    """A dead one of up to five instances goes as ever, and so do all five."""
    fleet = Fleet().begin()
    dead, *others = fleet.add(5)
    await fleet.live(60)
    fleet.silent = {dead}
    await fleet.live(31)
    assert fleet.there == set(others)
    fleet.silent = set(fleet.keys)
    await fleet.live(33)
    assert not fleet.there


async def test_share_of_a_service_goes():
    """As many as the share allows go; more within the window are held."""
    fleet = await partitioned(lost=15, silent_s=46)
    assert len(fleet.there) == 85
    assert not fleet.scheduler.protections()
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:17])
    await fleet.live(50)
    assert len(fleet.there) == 83
    fleet.silent.update(fleet.keys[:40])
    await fleet.live(50)
    assert len(fleet.there) == 83
    assert len(fleet.suspects) == 23


async def test_killed_processes_go_by_themselves():
    """Of a hundred that are probed sixty are killed: two minutes later forty are registered, with nobody's help."""
    fleet = Fleet().begin()
    fleet.add(100, checks=lambda service_id: [http_check(service_id)])
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:60])
    for key in fleet.silent:
        fleet.probe.answers[fleet.catalog.services[key].record.id] = Observation(CRITICAL, REFUSED)
    await fleet.live(120)
    assert fleet.there == set(fleet.keys[60:])
    assert fleet.scheduler.counters.endings_confirmed == 60
    assert not fleet.scheduler.counters.protections


@pytest.mark.parametrize("why", ["refused", "maintenance", "deregistered"])
async def test_what_confirms_a_loss(why):
    """Who is confirmed to be gone, or was sent away, is let go while the others are held."""
    fleet = await partitioned()
    known, *held = fleet.keys[:60]
    assert fleet.there == set(fleet.keys)
    if why == "refused":
        fleet.make_critical(known, REFUSED)
    elif why == "maintenance":
        service_id = fleet.catalog.services[known].record.id
        fleet.writer.apply(
            set_service_maintenance(fleet.catalog, NODE, service_id, is_enabled=True, reason="moving")
        )
    else:
        service_id = fleet.catalog.services[known].record.id
        fleet.writer.apply(deregister_service(fleet.catalog, NODE, service_id, reason="left", now_s=0.0))
    await fleet.live(2)
    assert fleet.there == set(fleet.keys) - {known}
    assert set(fleet.suspects) == set(held)


@pytest.mark.parametrize(
    "output",
    [
        'Get "http://10.0.0.1:1/": context deadline exceeded',
        "HTTP GET http://10.0.0.1:1/: 502 Bad Gateway Output: upstream: connect: connection refused",
    ],
)
async def test_what_does_not_confirm_a_loss(output):
    """A timeout, or a page that speaks of some refusal, confirms nothing."""
    fleet = await partitioned()
    fleet.make_critical(fleet.keys[0], output)
    await fleet.live(2)
    assert fleet.there == set(fleet.keys)


# ---- what is held, and how that ends ----


async def test_partition_that_heals_costs_nobody():
    """Sixty of a hundred are cut off for five minutes and come back: nobody was removed, and nothing is left."""
    fleet = await partitioned(silent_s=300)
    (of_all, of_web) = fleet.scheduler.protections()
    assert (of_all.scope, of_all.held, of_all.of) == ("", 60, 100)
    assert (of_web.scope, of_web.held, of_web.of, of_web.limit) == ("web", 60, 100, 0.15)
    assert of_web.share == pytest.approx(0.6)
    assert of_web.until - of_web.since == pytest.approx(600)
    assert of_web.command == "regista health protection off"
    assert set(fleet.suspects) == fleet.silent
    assert "more than 15% of the instances of service web fell silent" in fleet.suspects[fleet.keys[0]]
    fleet.silent.clear()
    await fleet.live(60)
    assert fleet.there == set(fleet.keys)
    assert not fleet.scheduler.protections()
    assert not fleet.suspects
    assert fleet.scheduler.counters.endings_survived == 60
    assert not fleet.scheduler.counters.deregistrations
    assert not fleet.verifier.dials


async def test_protection_ends_when_all_are_back_at_once():
    """When everybody is heard within one moment, protection is over the next."""
    fleet = await partitioned()
    for key in fleet.keys:
        fleet.scheduler.renew_service(key)
    await fleet.advance(1)
    assert not fleet.scheduler.protections()
    assert not fleet.suspects


async def test_those_left_go_when_most_are_back():
    """When so many are back that the rest is within the share, the rest has one more TTL and goes then."""
    fleet = await partitioned()
    dead = set(fleet.keys[:12])
    fleet.silent = set(dead)
    await fleet.live(12)
    assert not fleet.scheduler.protections()
    assert fleet.there == set(fleet.keys)
    assert set(fleet.suspects) == dead
    assert "most of the others are heard again" in fleet.suspects[fleet.keys[0]]
    await fleet.live(32)
    assert fleet.there == set(fleet.keys) - dead
    assert not fleet.suspects


async def test_protection_ends_by_verifying(caplog):
    """After its time each suspect's port is dialled: closed ones go, open ones stay until heard or closed."""
    fleet = await partitioned()
    fleet.verifier.open_ports = {1000, 1001, 1002}
    caplog.clear()
    with caplog.at_level(logging.INFO, "regista.health.phases"):
        await fleet.live(600)
    assert [record.message for record in caplog.records] == [
        "mass-expiry protection of all services is over",
        "mass-expiry protection of service web is over",
    ]
    alive = set(fleet.keys[:3])
    assert fleet.there == set(fleet.keys[60:]) | alive
    assert not fleet.scheduler.protections()
    assert set(fleet.suspects) == alive
    assert "its port answers" in fleet.suspects[fleet.keys[0]]
    assert len(fleet.verifier.dials) == 60
    assert set(fleet.verifier.dials) == {("10.0.0.1", 1000 + number) for number in range(60)}
    fleet.silent -= {fleet.keys[0]}
    fleet.verifier.open_ports = {1000, 1001}
    await fleet.live(35)
    assert fleet.there == set(fleet.keys[60:]) | set(fleet.keys[:2])
    assert set(fleet.suspects) == {fleet.keys[1]}
    assert fleet.scheduler.counters.verifications == {"answers": 4, "closed": 58}


async def test_an_open_port_does_not_keep_the_silent_for_ever():
    """Who hangs answers at its port as long as it likes: after the time for that, it goes, and not before."""
    fleet = await partitioned(protection_silent_s_max=1800.0)
    fleet.verifier.open_ports = {1000, 1001}
    await fleet.live(600)
    hanging = set(fleet.keys[:2])
    assert hanging <= fleet.there
    await fleet.live(1700)
    assert hanging <= fleet.there
    await fleet.live(150)
    assert fleet.there == set(fleet.keys[60:])
    assert fleet.scheduler.counters.verifications["given-up"] == 2
    assert not fleet.suspects


async def test_port_of_a_successor_saves_nobody():
    """A suspect at whose address and port another instance is registered, and heard, goes although that answers."""
    fleet = await partitioned()
    fleet.verifier.open_ports = {1000, 1001}
    port = fleet.catalog.services[fleet.keys[0]].record.port
    (heir,) = fleet.add(1, port=port - len(fleet.keys))
    await fleet.live(610)
    assert fleet.there == {fleet.keys[1], *fleet.keys[60:], heir}
    assert fleet.scheduler.counters.verifications["replaced"] == 1


async def test_no_port_is_as_good_as_closed():
    """A suspect without a port to dial goes when the time is up."""
    fleet = Fleet().begin()
    fleet.add(20, port=0)
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:10])
    await fleet.live(660)
    assert fleet.there == set(fleet.keys[10:])
    assert fleet.scheduler.counters.verifications == {"no-port": 10}


async def test_dial_that_says_nothing_is_repeated():
    """A port that could not be dialled for want of something here is dialled again, and nobody goes before."""
    fleet = await partitioned()
    fleet.verifier.cannot_tell = True
    await fleet.live(620)
    assert fleet.there == set(fleet.keys)
    fleet.verifier.cannot_tell = False
    fleet.verifier.open_ports = {1000}
    await fleet.live(20)
    assert fleet.there == {fleet.keys[0], *fleet.keys[60:]}


async def test_agent_that_cannot_dial_keeps_nobody_for_ever():
    """When nothing can be told of a port for a minute, its instance goes."""
    fleet = await partitioned()
    fleet.verifier.cannot_tell = True
    await fleet.live(590 + 75)
    assert fleet.there == set(fleet.keys[60:])


async def test_operator_ends_it():
    """Switched off, protection lets go of those held, at the rate, and of later ones; switched on, it holds again."""
    fleet = await partitioned(expiries_service_share=0.1)
    fleet.scheduler.enable_protection(is_enabled=False)
    assert not fleet.scheduler.protections()
    await fleet.live(1.5)
    assert 60 < len(fleet.there) < 100
    await fleet.live(10)
    assert fleet.there == set(fleet.keys[60:])
    fleet.silent.update(fleet.keys[60:70])
    await fleet.live(35)
    assert fleet.there == set(fleet.keys[70:])
    fleet.scheduler.enable_protection(is_enabled=True)
    await fleet.live(61)
    fleet.silent.update(fleet.keys[70:90])
    await fleet.live(60)
    assert fleet.there == set(fleet.keys[70:])


async def test_many_small_services_are_protected_together():
    """A partition that takes two of each three-instance service's three removes nobody."""
    fleet = Fleet().begin()
    for number in range(20):
        fleet.add(3, name=f"s{number}")
    await fleet.live(60)
    fleet.silent.update(key for number, key in enumerate(fleet.keys) if number % 3)
    await fleet.live(120)
    assert len(fleet.there) == 60
    assert [each.scope for each in fleet.scheduler.protections()] == [""]
    fleet.silent.clear()
    await fleet.live(60)
    assert len(fleet.there) == 60


async def test_a_service_that_is_well_again_waits_for_all_others():
    """Where all services together still protect, nobody of a service that does no longer is dialled or let go."""
    fleet = Fleet().begin()
    web, others = fleet.add(10), fleet.add(60, name="other")
    await fleet.live(60)
    fleet.silent.update(web[:6], others[:40])
    await fleet.live(60)
    fleet.silent -= set(web[2:6])
    await fleet.live(60)
    assert [each.scope for each in fleet.scheduler.protections()] == ["", "other"]
    assert not fleet.verifier.dials
    assert set(fleet.suspects) == set(web[:2] + others[:40])
    fleet.silent.clear()
    await fleet.live(20)
    assert fleet.there == set(fleet.keys)


async def test_half_a_ttl_of_waiting_finds_slow_beats():
    """Instances that beat only every two thirds of their TTL are held too: the first waits for the others."""
    fleet = Fleet(ttl_s=60.0).begin()
    fleet.add(100)
    fleet.ttl_s = 120.0  # A beat every 40 seconds.
    await fleet.live(120)
    fleet.silent.update(fleet.keys[:60])
    await fleet.live(200)
    assert fleet.there == set(fleet.keys)


async def test_many_are_judged_in_portions():
    """When 5,000 fall silent in one instant no tick holds or lets go of more than 1,000, and soon all are judged."""
    fleet = Fleet().begin()
    fleet.add(5000)
    for key in fleet.keys:
        fleet.scheduler.renew_service(key)
    counts = [fleet.scheduler.endings_counts()]
    await fleet.advance(30.3, step=lambda: counts.append(fleet.scheduler.endings_counts()))
    fleet.scheduler.enable_protection(is_enabled=False)
    assert not fleet.scheduler.protections()
    await fleet.advance(0.1, step=lambda: counts.append(fleet.scheduler.endings_counts()))
    held = [each["held"] for each in counts]
    assert max(held) == 5000
    assert held[-1] == 0
    assert max(abs(after - before) for before, after in itertools.pairwise(held)) == 1000
    assert fleet.scheduler.counters.endings_held == 5000


async def test_heard_while_others_are_judged():
    """Whoever is heard before its turn has come is not held, and whoever is later is free again."""
    fleet = Fleet().begin()
    fleet.add(5000)
    for key in fleet.keys:
        fleet.scheduler.renew_service(key)

    def hear_all_once_some_are_held():
        if fleet.scheduler.endings_counts()["held"]:
            for key in fleet.keys:
                fleet.scheduler.renew_service(key)

    await fleet.advance(31, step=hear_all_once_some_are_held)
    assert 0 < fleet.scheduler.counters.endings_held < 5000
    assert fleet.there == set(fleet.keys)
    assert not any(fleet.scheduler.endings_counts().values())
    assert not fleet.suspects
    assert not fleet.scheduler.protections()


async def test_log_names_a_few_of_many(caplog):
    """When very many services begin to protect in one instant, and end, the log says so in a few lines."""
    fleet = Fleet().begin()
    for number in range(50):
        fleet.add(6, name=f"s{number}")
    for key in fleet.keys:
        fleet.scheduler.renew_service(key)
    with caplog.at_level(logging.INFO, "regista.health.phases"):
        await fleet.advance(31)
        for key in fleet.keys:
            fleet.scheduler.renew_service(key)
        await fleet.advance(1)
    messages = [record.message for record in caplog.records]
    assert messages[0].startswith("300 of 300 instances of all services fell silent within 1m0s")
    assert messages[10] == messages[-1] == "and so for 41 services more"
    assert messages[11] == "mass-expiry protection of all services is over"
    assert len(messages) == 22


# ---- TTL checks and the reaper ----


async def test_held_ttl_checks_keep_their_status():
    """TTL checks of too many instances keep their status, say why, and are themselves again when heard."""
    fleet = Fleet().begin()
    fleet.add(100, has_lease=False, checks=lambda service_id: [ttl_check(service_id)])
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:60])
    await fleet.live(60)
    assert {entry.record.status for entry in fleet.catalog.checks.values()} == {PASSING}
    key = node_item_key(NODE, "c-web0")
    assert fleet.output(key).startswith('Its check "c-web0" was not heard from for 30s, but it is kept: since ')
    assert fleet.suspects[fleet.keys[0]] == fleet.output(key)
    await fleet.report("c-web0", PASSING, "here I am")
    assert fleet.output(key) == "here I am"
    fleet.silent.clear()
    await fleet.live(20)
    assert fleet.output(node_item_key(NODE, "c-web1")) == "all well"
    assert not fleet.suspects


async def test_ttl_checks_of_the_dead_expire_after_the_verification():
    """Held TTL checks whose instances' ports are closed turn critical, with their last words."""
    fleet = Fleet().begin()
    fleet.add(100, has_lease=False, checks=lambda service_id: [ttl_check(service_id)])
    await fleet.live(60)
    fleet.silent.update(fleet.keys[:60])
    await fleet.live(660)
    critical = fleet.catalog.check_indexes.by_status[CRITICAL]
    assert len(critical) == 60
    output = fleet.output(node_item_key(NODE, "c-web0"))
    assert output == "TTL expired (last output before timeout follows): all well"


async def test_checks_of_the_node_are_nobodys_loss():
    """A TTL check of the node itself expires as ever."""
    fleet = await partitioned()
    fleet.check(CheckDefinition(ttl_s=30), status=PASSING)
    await fleet.live(31)
    assert fleet.status() == CRITICAL


async def test_reaper_is_held_too():
    """Instances whose probes all time out are not deregistered, and one that is refused is."""
    fleet = Fleet().begin()
    reaped = {"deregister_critical_service_after_s": 60.0}
    fleet.add(20, has_lease=False, checks=lambda service_id: [http_check(service_id, **reaped)])
    await fleet.live(30)
    for number in range(12):
        fleet.probe.answers[f"web{number}"] = Observation(CRITICAL, "context deadline exceeded")
    fleet.probe.answers["web0"] = Observation(CRITICAL, REFUSED)
    await fleet.live(120)
    assert fleet.there == set(fleet.keys[1:])
    assert len(fleet.suspects) == 11
    fleet.probe.answers.clear()
    await fleet.live(15)
    assert not fleet.suspects
    assert fleet.there == set(fleet.keys[1:])


# ---- rates ----


async def test_thousands_that_end_at_once_end_at_the_rate():
    """Of 10,000 with protection off 3,000 die at one instant: 200 a second at the most, and none of the others."""
    fleet = Fleet(protection_share=1.0).begin()
    fleet.add(10_000)
    for key in fleet.keys:
        fleet.scheduler.renew_service(key)
    await fleet.advance(29.0)
    for key in fleet.keys[3000:]:
        fleet.scheduler.renew_service(key)
    left = []
    for _ in range(8):
        await fleet.advance(1.0)
        for _ in range(10):
            await settle()
        left.append(len(fleet.there))
    went = [before - after for before, after in zip([10_000, *left], left, strict=False)]
    assert sum(went[:2]) <= 2 * 200 + 100
    assert max(went[2:]) <= 201
    assert min(went[2:]) >= 190
    saved = next(key for key in fleet.keys[:3000] if key in fleet.there)
    fleet.scheduler.renew_service(saved)
    await fleet.advance(11.0)
    for _ in range(30):
        await settle()
    assert fleet.there == {saved, *fleet.keys[3000:]}
