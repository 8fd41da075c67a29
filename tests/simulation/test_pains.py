"""What users of service discovery suffer from, one scenario each: the agent's own absence, and mass losses."""

import collections

import pytest
from tests.simulation.processes import PORT, Process
from tests.simulation.scenarios import Run

from regista.health import HealthSettings
from regista.model import CRITICAL, CheckDefinition, Delete, Service

_TTL_S = 30.0
_EVERY_S = 10.0


def programs(count, *, kind="lease", services=1, interval_s=10.0, after_s=0.0):
    """Programs of one kind; probed ones are found dead by the first refused connection."""
    made = []
    for number in range(count):
        host = f"10.2.{number // 250}.{1 + number % 250}"
        definition = None
        if kind == "ttl":
            definition = CheckDefinition(ttl_s=_TTL_S, deregister_critical_service_after_s=after_s)
        elif kind != "lease":
            definition = CheckDefinition(
                http=f"http://{host}:{PORT}/health",
                interval_s=interval_s,
                timeout_s=2.0,
                deregister_critical_service_after_s=after_s,
            )
        ttl_s = 0.0 if kind == "http" else _TTL_S
        service = f"s{number % services}"
        made.append(Process(f"{service}-{number}", service, host, kind, definition, ttl_s, _EVERY_S))
    return made


def all_crash(run, processes):
    run.world.history.note("world: many are killed")
    for process in processes:
        run.clients.crash(process)


def all_are_cut_off(run, processes, is_cut_off):
    for process in processes:
        run.world.change(process, is_cut_off=is_cut_off)


@pytest.fixture
def run():
    return Run(1, HealthSettings())


# ---- a pause makes the server expire many living instances at once ----


@pytest.mark.timeout(300)
def test_a_frozen_server_expires_nobody(run):
    """The server is frozen for 5 minutes while 10,000 clients keep beating into its socket: nobody expires."""
    run.start(*programs(10_000, services=20))
    run.world.agenda.at(25.0, run.world.stall_agent, 300.0)
    run.world.run(390.0)
    assert run.removed() == []
    assert len(run.world.catalog.services) == 10_000


def test_a_frozen_disk_expires_nobody(run):
    """The store takes no writes for 5 minutes: no instance and no TTL check expires, then or afterwards."""
    run.start(*programs(200, services=4))
    run.world.agenda.at(45.0, run.world.refuse_writes, 300.0)
    run.world.run(600.0)
    assert run.removed() == []
    assert len(run.world.catalog.services) == 200


def test_who_registers_in_vain_is_not_removed(run):
    """A program that starts anew while the store takes no writes keeps its place until it can register again."""
    processes = programs(20)
    run.start(*processes)
    run.world.agenda.at(60.0, run.world.refuse_writes, 120.0)
    for process in processes[:10]:
        run.world.agenda.at(65.0, run.clients.crash, process)
        run.world.agenda.at(66.0, run.clients.start, process)
    run.world.run(300.0)
    assert run.removed() == []


def test_restarts_renew_nobody_for_ever(run):
    """The agent is restarted 50 times within a TTL: a dead instance is still gone within two of them."""
    processes = programs(10)
    run.start(*processes)
    run.world.agenda.at(60.0, run.clients.crash, processes[0])
    for number in range(50):
        moment_s = 60.0 + (number + 1) * 0.55
        run.world.agenda.at(moment_s, lambda: run.world.spawn(run.world.restart_agent(0.01)))
    gone = []
    run.world.agenda.at(
        60.0 + 2 * _TTL_S + 1.0, lambda: gone.append(processes[0].key in run.world.catalog.services)
    )
    run.world.run(200.0)
    assert gone == [False]
    assert len(run.removed()) == 1


@pytest.mark.timeout(300)
def test_a_mass_loss_is_let_go_at_the_rate_that_is_set(run):
    """30 % of 10,000 are killed at one instant: they go no faster than is set, and none of the others goes."""
    processes = programs(10_000, kind="both", services=20, interval_s=30.0)
    run.start(*processes)
    killed = processes[:3000]
    seconds = collections.Counter()

    def count(batch):
        ended = sum(isinstance(each, Delete) and isinstance(each.record, Service) for each in batch.changes)
        seconds[int(run.world.now_s)] += ended

    run.world.catalog.subscribe(count)
    run.world.agenda.at(40.0, all_crash, run, killed)
    run.world.run(40.0 + _TTL_S + 30.0 + 20.0)
    settings = run.world.settings
    assert max(seconds.values()) <= settings.expiries_per_s + settings.expiries_burst
    gone = {process.id for process in processes if process.key not in run.world.catalog.services}
    assert gone == {process.id for process in killed}


# ---- self-preservation that can't be understood, never ends, or fires in small systems ----


def test_killed_instances_are_gone_in_two_minutes_where_probes_confirm_it(run):
    """Scaled from 100 to 40 by `kill -9`, with probes: the registry has 40 within 2 minutes, without an operator."""
    processes = programs(100, kind="both")
    run.start(*processes)
    left = []
    run.world.agenda.at(100.0, all_crash, run, processes[:60])
    run.world.agenda.at(220.0, lambda: left.append(len(run.world.catalog.services)))
    run.world.run(300.0)
    assert left == [40]
    assert run.checkers.protections.count == 0


def test_killed_instances_are_gone_after_protection_where_only_silence_speaks(run):
    """Scaled from 100 to 40 without any probe: all are kept for the time that is set, dialled, and then gone."""
    processes = programs(100)
    run.start(*processes)
    hold_s = run.world.settings.protection_s_max
    left = {}
    run.world.agenda.at(100.0, all_crash, run, processes[:60])
    for moment_s in (100.0 + hold_s, 100.0 + _TTL_S + hold_s + 60.0):
        run.world.agenda.at(moment_s, lambda at_s=moment_s: left.update({at_s: len(run.world.catalog.services)}))
    run.world.run(1000.0)
    kept, after = left.values()
    # Until most are silent, the few that are allowed to go may have gone.
    assert kept >= 100 - 15
    assert after == 40
    assert run.checkers.protections.count > 0
    assert not run.world.scheduler.protections()


@pytest.mark.parametrize("kind", ["lease", "ttl", "both", "http"])
def test_who_hangs_is_kept_from_one_knock_to_the_next(kind):
    """60 % hang: they are kept while their ports answer, go by the next knock if they end, and else in the end."""
    settings = HealthSettings(protection_s_max=120, protection_silent_s_max=600)
    run = Run(1, settings)
    processes = programs(100, kind=kind, after_s=60.0 if kind != "lease" else 0.0)
    run.start(*processes)
    hung = processes[:60]
    counts = {}

    def count():
        counts[run.world.now_s] = len(run.world.catalog.services)

    run.world.agenda.at(100.0, lambda: [run.world.change(process, is_hung=True) for process in hung])
    # A TTL check is kept, and once it is critical its instance is: each for the whole time.
    for moment_s in (300.0, 800.0, 2400.0):
        run.world.agenda.at(moment_s, count)
    for number, process in enumerate(hung[:20]):
        run.world.agenda.at(350.0 + 10 * number, run.clients.crash, process)
    run.world.run(2500.0)
    assert list(counts.values()) == [100, 80, 40]
    verifications = run.world.scheduler.counters.verifications
    assert verifications["given-up"] >= 40


def test_a_loss_in_small_parts_is_one_loss(run):
    """Of 100 instances that are cut off one after the other, two seconds apart, no more go than if it were at once."""
    processes = programs(100)
    run.start(*processes)
    for number, process in enumerate(processes[:60]):
        run.world.agenda.at(100.0 + 2 * number, all_are_cut_off, run, [process], True)
    run.world.run(400.0)
    assert len(run.removed()) <= 15
    assert run.checkers.protections.count > 0


@pytest.mark.parametrize("kind", ["lease", "ttl", "both", "http"])
def test_a_partition_that_heals_removes_nobody(run, kind):
    """60 % are cut off for 5 minutes, and come back: nobody was removed, and all are as they were."""
    processes = programs(100, kind=kind, after_s=60.0 if kind != "lease" else 0.0)
    run.start(*processes)
    run.world.agenda.at(100.0, all_are_cut_off, run, processes[:60], True)
    run.world.agenda.at(400.0, all_are_cut_off, run, processes[:60], False)
    run.world.agenda.at(799.0, run.checkers.check_settled)
    run.world.run(800.0)
    assert run.removed() == []
    assert run.checkers.protections.count > 0


@pytest.mark.parametrize("size", [1, 2, 5])
def test_small_services_lose_one_as_ever(run, size):
    """In a service of at most 5 one dead instance is gone its TTL, and at most a second, after its last word."""
    processes = programs(size)
    run.start(*processes)
    run.world.agenda.at(100.0, run.clients.crash, processes[0])
    run.world.run(200.0)
    ledger = run.checkers.ledgers.of(processes[0])
    assert _TTL_S <= ledger.removed_s - ledger.heard_s <= _TTL_S + 1.0
    assert len(run.removed()) == 1


def test_protection_says_what_it_does(run):
    """While it protects it tells number, share, since when, until when, and the command that ends it."""
    processes = programs(100)
    run.start(*processes)
    told = []
    run.world.agenda.at(100.0, all_are_cut_off, run, processes[:60], True)
    run.world.agenda.at(180.0, lambda: told.extend(run.world.scheduler.protections()))
    run.world.run(200.0)
    of_all = next(each for each in told if not each.scope)
    assert of_all.held >= 45
    assert of_all.share == of_all.held / of_all.of
    assert of_all.limit == run.world.settings.protection_share
    assert of_all.until - of_all.since == pytest.approx(run.world.settings.protection_s_max)
    assert "protection off" in of_all.command


# ---- checks that flap ----


def test_a_blinking_check_wakes_its_callers_twice_at_most(run):
    """A check that passes and fails in turns for an hour changes its status at most twice, and is marked."""
    process = programs(1, kind="http")[0]
    run.start(process)
    changes = []

    def blink():
        run.world.change(process, is_failing=not process.is_failing)
        run.world.agenda.after(10.0, blink)

    run.world.agenda.at(30.0, blink)
    run.world.agenda.at(29.0, lambda: run.world.catalog.subscribe(changes.append))
    marked = []
    run.world.agenda.at(3600.0, lambda: marked.append(process.check_key in run.world.catalog.marks.of("flapping")))
    run.world.run(3630.0)
    assert len(changes) <= 2
    assert marked == [True]


# ---- an agent whose own network is cut ----


def test_an_agent_that_is_cut_off_doubts_itself(run):
    """When nobody can be reached for 20 seconds, a few are called ill before the agent doubts itself, and no more."""
    processes = programs(50, kind="http")
    run.start(*processes)
    ill = set()

    def look(batch):
        ill.update(each.record.key for each in batch.changes if each.record.status == CRITICAL)

    run.world.agenda.at(99.0, lambda: run.world.catalog.subscribe(look))
    run.world.agenda.at(100.0, all_are_cut_off, run, processes, True)
    run.world.agenda.at(120.0, all_are_cut_off, run, processes, False)
    run.world.run(130.0)
    assert len(ill) < 5
    assert run.world.scheduler.counters.abstentions == 1


def test_an_agent_that_is_cut_off_believes_it_in_the_end(run):
    """When nobody can be reached for longer than it doubts itself, it says of each that it is ill."""
    processes = programs(50, kind="http")
    run.start(*processes)
    passing = []
    run.world.agenda.at(100.0, all_are_cut_off, run, processes, True)
    abstain_s = run.world.settings.abstain_s
    run.world.agenda.at(100.0 + abstain_s + 25.0, lambda: passing.extend(run.world.passing("s0")))
    run.world.run(200.0)
    assert passing == []
