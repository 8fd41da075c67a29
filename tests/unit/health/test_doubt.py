"""The verdicts of `regista.health.doubt`, and what the scheduler makes of them."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.health.world import NODE, World

from regista.health import Observation
from regista.health.doubt import TRUST, Doubt, Loss, decide_answer, decide_loss, decide_time, target_host
from regista.model import CRITICAL, PASSING, CheckDefinition, Delete, Node, Put, Transaction, node_item_key

SILENT = Observation(CRITICAL, "i/o timeout", is_silent=True)
REFUSED = Observation(CRITICAL, "connection refused")


def after_losses(count, *, hosts=3, state=TRUST, every_s=0.0, start_s=0.0, abstain_s=30.0):
    """The doubt after so many checks were lost, on so many hosts in turn."""
    for number in range(count):
        loss = Loss(f"c{number}", f"h{number % hosts}", start_s + number * every_s)
        state = decide_loss(state, loss, abstain_s=abstain_s)
    return state


# ---- the machine ----


def test_five_losses_on_three_hosts_are_doubted():
    """The fifth loss on at least three hosts makes the prober abstain, for so long and no longer."""
    assert after_losses(4).phase == "trusting"
    doubt = after_losses(5)
    assert (doubt.phase, doubt.until_s) == ("abstaining", 30.0)
    assert decide_time(doubt, 29.9) is doubt
    assert decide_time(doubt, 30.0).phase == "believing"


def test_two_hosts_are_believed():
    """However many checks fall silent on two hosts: these may well be down."""
    assert after_losses(1000, hosts=2).phase == "trusting"


def test_one_check_counts_once():
    """The same checks, lost again before their thresholds are reached, are no more than before."""
    doubt = TRUST
    for _ in range(10):
        doubt = after_losses(4, state=doubt)
    assert doubt.phase == "trusting"


def test_losses_far_apart_are_believed():
    """Losses that are spread over minutes have nothing to do with each other."""
    assert after_losses(100, every_s=10.0).phase == "trusting"
    assert after_losses(5, every_s=7.0).phase == "abstaining"


def test_answers_prove_the_network():
    """Losses between which others answer are believed, unless there are four for each answer."""
    assert decide_answer(after_losses(3), was_withheld=False) is TRUST
    doubt = decide_answer(after_losses(4), was_withheld=False)
    assert decide_loss(doubt, Loss("x", "hx", 0.0), abstain_s=30).phase == "abstaining"
    assert decide_answer(doubt, was_withheld=False) is TRUST


def test_answer_of_a_withheld_target_ends_the_doubt():
    """A target that was taken for unreachable and answers shows that the network is back."""
    assert decide_answer(after_losses(50), was_withheld=True) is TRUST


def test_a_few_answers_of_others_do_not():
    """Targets that can be reached some other way say little as long as most others are lost."""
    doubt = after_losses(40)
    for _ in range(10):
        doubt = decide_answer(doubt, was_withheld=False)
        assert doubt.phase == "abstaining"
    assert decide_answer(doubt, was_withheld=False) is TRUST


def test_believing_ends_with_an_answer():
    """A prober that believed what it heard does not doubt the same outage again; an answer makes it ready to."""
    doubt = decide_time(after_losses(5), 30.0)
    assert after_losses(100, state=doubt, start_s=31.0) is doubt
    assert decide_answer(doubt, was_withheld=False) is TRUST


def test_off():
    """With no time to abstain nothing is doubted."""
    assert after_losses(100, abstain_s=0) is TRUST


EVENTS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 6), st.sampled_from(["loss", "loss", "answer", "time"])),
    max_size=300,
)


@given(EVENTS)
def test_nobody_abstains_longer_than_allowed(events):
    """Whatever happens, an abstention ends in time, and what is remembered stays small."""
    doubt, now_s, began_s = TRUST, 0.0, None
    for check, host, what in events:
        now_s += 1.0
        before = doubt = decide_time(doubt, now_s)
        if what == "loss":
            doubt = decide_loss(doubt, Loss(f"c{check}", f"h{host}", now_s), abstain_s=10)
        elif what == "answer":
            doubt = decide_answer(doubt, was_withheld=check == 0)
        if doubt.phase == "abstaining":
            began_s = now_s if before.phase != "abstaining" else began_s
            assert now_s - began_s < 10
        assert len(doubt.lost) <= 64


# ---- targets ----


@pytest.mark.parametrize(
    ("definition", "host"),
    [
        (CheckDefinition(http="http://Web.Example:8080/health"), "web.example"),
        (CheckDefinition(http="https://[2001:db8::7]:1/"), "2001:db8::7"),
        (CheckDefinition(http="http://127.0.0.1:80/"), ""),
        (CheckDefinition(http="http://localhost/"), ""),
        (CheckDefinition(http="http://[::1]:80/"), ""),
        (CheckDefinition(http="http://[no"), ""),
        (CheckDefinition(tcp="10.0.0.1:80"), "10.0.0.1"),
        (CheckDefinition(tcp="[2001:db8::7]:80"), "2001:db8::7"),
        (CheckDefinition(tcp=":80"), ""),
        (CheckDefinition(tcp="0.0.0.0:80"), ""),
        (CheckDefinition(tcp="web.localhost:80"), ""),
        (CheckDefinition(udp="10.0.0.1:53"), "10.0.0.1"),
        (CheckDefinition(grpc="10.0.0.1:80/some.Service"), "10.0.0.1"),
        (CheckDefinition(h2ping="10.0.0.1:443"), "10.0.0.1"),
        (CheckDefinition(ttl_s=1), ""),
        (CheckDefinition(script_args=("true",)), ""),
    ],
)
def test_target_host(definition, host):
    """A check's host is known for every kind that asks over the network, and empty for this machine."""
    assert target_host(definition) == host


# ---- in the scheduler ----


class Fleet(World):
    """Checks on hosts of their own, each probed every ten seconds."""

    def __init__(self, count, *, host="10.0.0.{}", **settings):
        super().__init__(**settings)
        self.targets = [f"http://{host.format(number + 1)}:80/" for number in range(count)]
        for number, target in enumerate(self.targets):
            definition = CheckDefinition(http=target, interval_s=10.0)
            self.check(definition, check_id=f"c{number}", status=PASSING)
        self.begin()

    def answer(self, observation, *, but=0):
        """Has all targets but the last few answer so."""
        self.probe.answers.update(dict.fromkeys(self.targets[: len(self.targets) - but], observation))

    def critical_count(self):
        return sum(entry.record.status == CRITICAL for entry in self.catalog.checks.values())


async def test_own_network_that_is_gone_for_a_while_takes_few_down(caplog):
    """When everybody falls silent for 20 s the first four losses get through, and the others are withheld."""
    fleet = Fleet(50)
    await fleet.advance(20)
    fleet.answer(SILENT)
    with caplog.at_level(logging.INFO, logger="regista.health.withholding"):
        await fleet.advance(20)
        assert fleet.critical_count() == 4
        assert fleet.scheduler.abstention.startswith("Nothing comes back from 50 checks on 50 hosts")
        held = [key for key in fleet.catalog.checks if fleet.scheduler.told_hold(key)]
        assert len(held) == 46
        assert fleet.scheduler.told_hold(held[0]).startswith("Its last failure is withheld. Nothing comes back")
        fleet.answer(PASSING)
        await fleet.advance(20)
    assert fleet.critical_count() == 0
    assert fleet.scheduler.abstention == ""
    assert fleet.scheduler.counters.transitions == {CRITICAL: 4, PASSING: 4}
    assert fleet.scheduler.counters.abstentions == 1
    assert 46 < fleet.scheduler.counters.withheld["network"] <= 2 * 46
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2
    assert "doubts its own network" in told[0]
    assert "trusts its network" in told[1]


async def test_lasting_silence_is_believed(caplog):
    """When nobody answers for longer, everything is critical 30 s after the doubt began, and stays so."""
    fleet = Fleet(50)
    await fleet.advance(20)
    fleet.answer(SILENT)
    with caplog.at_level(logging.INFO, logger="regista.health.withholding"):
        await fleet.advance(29)
        assert fleet.critical_count() == 4
        await fleet.advance(3)
        for _ in range(20):
            await fleet.advance(0.1)
        assert fleet.critical_count() == 50
        await fleet.advance(300)
    assert fleet.critical_count() == 50
    assert fleet.scheduler.counters.abstentions == 1
    assert [record.getMessage() for record in caplog.records][1:] == [
        "there was no answer for 30s; what was withheld is believed now"
    ]


async def test_refusals_are_believed_at_once():
    """Targets that refuse are there: fifty that do so at once are critical within an interval."""
    fleet = Fleet(50)
    await fleet.advance(20)
    fleet.answer(REFUSED)
    await fleet.advance(11)
    assert fleet.critical_count() == 50
    assert fleet.scheduler.counters.abstentions == 0


async def test_loss_of_half_is_believed_at_once():
    """While every second target answers the network works: what falls silent is out within an interval.

    Even where five losses in a row look like more: what was withheld then is believed at the next answers.
    """
    fleet = Fleet(50)
    await fleet.advance(20)
    for target in fleet.targets[::2]:
        fleet.probe.answers[target] = SILENT
    await fleet.advance(11)
    assert fleet.critical_count() == 25


async def test_loopback_is_never_withheld():
    """Targets on this machine are no witnesses for the network, neither against it nor for it."""
    fleet = Fleet(50, host="127.0.0.{}")
    await fleet.advance(20)
    fleet.answer(SILENT)
    await fleet.advance(11)
    assert fleet.critical_count() == 50


async def test_own_address_is_this_machine():
    """A target under the address of the agent's own node counts as one on this machine."""
    fleet = Fleet(50, host="10.9.9.9:1/{}?")
    fleet.writer.apply(Transaction((Put(Node(name=NODE, address="10.9.9.9")),)))
    for number in range(5):
        definition = CheckDefinition(http=f"http://10.0.0.{number}/", interval_s=10.0)
        fleet.check(definition, check_id=f"far{number}", status=PASSING)
    await fleet.advance(20)
    fleet.probe.answers.update({f"http://10.0.0.{number}/": SILENT for number in range(5)})
    await fleet.advance(15)
    assert fleet.scheduler.counters.abstentions == 1
    assert fleet.critical_count() == 4


async def test_withheld_check_that_goes_is_forgotten():
    """A check that is deleted while its failure is withheld is not judged later."""
    fleet = Fleet(20)
    await fleet.advance(20)
    fleet.answer(SILENT)
    await fleet.advance(15)
    held = [key for key in fleet.catalog.checks if fleet.scheduler.told_hold(key)]
    for key in held:
        record = fleet.catalog.checks[key].record
        fleet.writer.apply(Transaction((Delete(record),)))
        fleet.check(record.definition, check_id=record.id, status=PASSING)
        fleet.probe.answers[record.definition.http] = PASSING
    await fleet.advance(60)
    assert all(fleet.status(key) == PASSING for key in held)


async def test_fresh_check_is_not_withheld():
    """A check that was never well is judged as it is found, whatever the others do."""
    fleet = Fleet(20)
    await fleet.advance(20)
    fleet.answer(SILENT)
    await fleet.advance(12)
    fleet.probe.answers["http://10.1.1.1/"] = SILENT
    fleet.check(CheckDefinition(http="http://10.1.1.1/", interval_s=1.0), check_id="new")
    await fleet.advance(2)
    assert fleet.output(node_item_key(NODE, "new")) == "i/o timeout"


def test_trust_is_empty():
    """Without doubt nothing is remembered."""
    assert Doubt() == TRUST
