"""Read workers and DNS: several processes at one port, which answer names as one."""

import os
import signal
import socket

import dns.message
import dns.query
import pytest
from tests.agents import eventually, running_agent
from tests.integration.test_workers import WORKERS, metrics, workers_of

QUESTIONS = 40
"""Each from a port of its own, by which the system chooses who gets it: that three processes do not all get one
happens once in millions of runs."""


@pytest.fixture
def agent(tmp_path):
    """An agent with two workers, of whose services nothing else is awaited."""
    config = {"degrading": {"settling": "0s"}}
    with running_agent(tmp_path / "agent", config=config, arguments=("--workers", str(WORKERS))) as agent:
        yield agent


def ask(agent, name, qtype="A", *, tcp=False):
    """The code and the records' data."""
    host, _, port = agent.dns.rpartition(":")
    send = dns.query.tcp if tcp else dns.query.udp
    reply = send(dns.message.make_query(name, qtype), host, port=int(port), timeout=10)
    return dns.rcode.to_text(reply.rcode()), sorted(str(each) for rrset in reply.answer for each in rrset)


def answers_by(agent):
    """How many questions each process has answered, the main process first."""
    found = metrics(agent)
    total = sum(count for name, count in found.items() if name.startswith("regista_dns_answers_total"))
    workers = [found[f'regista_worker_dns_answers_total{{worker="{n}"}}'] for n in range(1, WORKERS + 1)]
    return [total - sum(workers), *workers]


@pytest.mark.parametrize("tcp", [False, True], ids=["UDP", "TCP"])
def test_all_processes_answer(agent, tcp):
    """Each process gets a share of the questions, all give the same answer, and the metrics tell of all of them."""
    agent.register(Name="web", Address="10.0.0.1")
    for _ in range(QUESTIONS):
        assert ask(agent, "web.service.consul", tcp=tcp) == ("NOERROR", ["10.0.0.1"])
    counts = answers_by(agent)
    assert sum(counts) == QUESTIONS
    assert all(counts), counts


def test_a_question_after_a_write_is_answered_with_it(agent):
    """Whoever has been told that a write is made finds it over DNS at once, whichever process answers."""
    for number in range(60):
        agent.register(Name="moving", Address=f"10.0.1.{number}")
        assert ask(agent, "moving.service.consul") == ("NOERROR", [f"10.0.1.{number}"])
    assert all(answers_by(agent))


def test_no_question_is_lost_with_a_worker(agent):
    """While a worker is away the main process answers its questions too, those included that it had not read."""
    agent.register(Name="web", Address="10.0.0.1")
    victim = workers_of(agent)[0]
    os.kill(victim, signal.SIGSTOP)
    asked = [Question(agent, "web.service.consul") for _ in range(QUESTIONS)]
    os.kill(victim, signal.SIGKILL)
    assert {each.answer() for each in asked} == {"10.0.0.1"}
    eventually(lambda: metrics(agent)["regista_worker_restarts_total"] == 1)
    for tcp in (False, True):
        for _ in range(QUESTIONS):
            assert ask(agent, "web.service.consul", tcp=tcp) == ("NOERROR", ["10.0.0.1"])
    eventually(lambda: metrics(agent)["regista_workers"] == WORKERS, within_s=20)
    before = answers_by(agent)[1]
    eventually(lambda: ask(agent, "web.service.consul") and answers_by(agent)[1] > before)


def test_names_are_answered_while_the_main_process_hangs(agent):
    """While the main process is stopped, the workers answer their share."""
    agent.register(Name="web", Address="10.0.0.1")
    asked = []
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        asked = [Question(agent, "web.service.consul") for _ in range(QUESTIONS)]
        eventually(lambda: sum(each.is_answered() for each in asked) >= 1)
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    assert {each.answer() for each in asked} == {"10.0.0.1"}


def test_the_dns_port_is_not_shared_with_another_agent(agent, tmp_path):
    """A second agent with workers does not start at the DNS port of the first."""
    port = agent.dns.rpartition(":")[2]
    with running_agent(tmp_path / "other") as other:
        code, said = other.fails_to_start("--workers", "1", "--dns-port", port)
    assert code != 0
    assert f"DNS can't listen on 127.0.0.1:{port}" in said


class Question:
    """A question that was sent, from a port of its own."""

    def __init__(self, agent, name):
        host, _, port = agent.dns.rpartition(":")
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(10)
        self._socket.sendto(dns.message.make_query(name, "A").to_wire(), (host, int(port)))
        self._wire = b""

    def is_answered(self):
        """Whether an answer has arrived."""
        if not self._wire:
            self._socket.setblocking(False)
            try:
                self._wire = self._socket.recv(4096)
            except BlockingIOError:
                return False
            finally:
                self._socket.settimeout(10)
        return True

    def answer(self):
        """The address in the answer."""
        wire = self._wire or self._socket.recv(4096)
        self._socket.close()
        ((rrset,),) = [dns.message.from_wire(wire).answer]
        return str(rrset[0])
