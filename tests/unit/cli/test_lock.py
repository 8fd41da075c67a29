"""`regista lock`: one of many runs the program, and no longer than it holds the lock."""

import json
import sys
import threading
from urllib.parse import parse_qs, urlsplit

import pytest

from regista.cli import held_lock
from regista.cli.client import AgentClient
from regista.cli.held_lock import FLAGS, HeldLock, LockUnavailable

WAIT_S = 10.0


class LockServer:
    """Answers as the key-value store does for one key, waiting queries included."""

    def __init__(self, fake, *, holder="", flags=FLAGS, is_delayed=0):
        self.fake = fake
        self.holder = holder
        self.flags = flags
        self.is_delayed = is_delayed
        self.index = 5
        self.changed = threading.Condition()
        fake.say("/v1/session/create", {"ID": "s-1"}, method="PUT")
        fake.say("/v1/session/renew/s-1", [], method="PUT")
        fake.say("/v1/session/destroy/s-1", True, method="PUT")
        fake.answers[("GET", "/v1/kv/jobs/.lock")] = [self.get]
        fake.answers[("PUT", "/v1/kv/jobs/.lock")] = [self.put]

    def hold(self, holder):
        with self.changed:
            self.holder = holder
            self.index += 1
            self.changed.notify_all()

    def get(self, asked):
        index = int(parse_qs(urlsplit(asked.target).query).get("index", ["0"])[0])
        with self.changed:
            if index == self.index:
                self.changed.wait(0.5)
            headers = {"X-Consul-Index": str(self.index)}
            if not self.holder and self.index == 5:
                return 404, headers, b""
            entry = {"Flags": self.flags, "Session": self.holder or None}
            return 200, headers, json.dumps([entry]).encode()

    def put(self, asked):
        query = parse_qs(urlsplit(asked.target).query)
        assert query["flags"] == [str(FLAGS)]
        if "release" in query:
            if self.holder == "s-1":
                self.hold("")
            return 200, {}, b"true"
        if self.holder or self.is_delayed:
            self.is_delayed -= 1
            return 200, {}, b"false"
        self.hold("s-1")
        return 200, {}, b"true"

    def asked(self):
        """The writes, in order."""
        return [asked.line.partition("?")[0] for asked in self.fake.asked if asked.method == "PUT"]


@pytest.fixture
def held(agent):
    """A lock of a fake agent; what it pauses for is noted in `pauses`."""
    pauses = []

    def make(**options):
        clock = iter(range(1000)).__next__
        lock = HeldLock(
            AgentClient(agent.url),
            "jobs/.lock",
            name="n",
            clock=clock,
            pause=pauses.append,
            retries_max=1,
            **options,
        )
        lock.pauses = pauses
        return lock

    return make


def test_a_program_is_run_with_the_lock_held(regista, agent, tmp_path):
    """The lock is taken before the program starts and given back after it ended, and its exit code is ours."""
    server = LockServer(agent)
    script = "import os, sys; open(sys.argv[1], 'w').write(os.environ['CONSUL_LOCK_HELD']); sys.exit(7)"
    result = regista("lock", "/jobs/", sys.executable, "-c", script, str(tmp_path / "ran"))
    assert (result.exit_code, (tmp_path / "ran").read_text()) == (7, "true")
    assert server.asked() == [
        "PUT /v1/session/create", "PUT /v1/kv/jobs/.lock", "PUT /v1/kv/jobs/.lock", "PUT /v1/session/destroy/s-1"
    ]  # fmt: skip
    assert server.holder == ""
    assert agent.asked[0].body["TTL"] == "15s"
    assert agent.asked[0].body["Name"].startswith("Consul lock for '")


def test_a_program_that_cannot_be_run_gives_the_lock_back(regista, agent):
    """The lock is released whatever happens."""
    server = LockServer(agent)
    result = regista("lock", "jobs", "/no/such/program")
    assert (result.exit_code, server.holder) == (1, "")
    assert "Error executing handler: /no/such/program: No such file or directory" in result.stderr


def test_words_behind_the_program_are_its_own(regista, agent):
    """Options behind the program are not ours, and a shell's signs mean nothing."""
    LockServer(agent)
    script = "import sys; sys.exit(0 if sys.argv[1:] == ['--verbose', '$HOME; x'] else 1)"
    assert regista("lock", "jobs", sys.executable, "-c", script, "--verbose", "$HOME; x").exit_code == 0


def test_two_dashes_may_stand_before_the_program(regista, agent):
    """`--` between the prefix and the program is no part of the program; nothing behind it is a mistake."""
    LockServer(agent)
    script = "import sys; sys.exit(0 if sys.argv[1:] == ['--', '--verbose'] else 1)"
    assert regista("lock", "jobs", "--", sys.executable, "-c", script, "--", "--verbose").exit_code == 0
    result = regista("lock", "jobs", "--")
    assert (result.exit_code, "Missing argument 'COMMAND...'" in result.stderr) == (2, True)


def test_a_lock_that_is_held_is_waited_for(agent, held):
    """While somebody else holds it, nothing is written; it is taken when it is free."""
    server = LockServer(agent, holder="other")
    threading.Timer(0.1, server.hold, [""]).start()
    with held().held(try_s=None):
        assert server.holder == "s-1"
    assert server.asked().count("PUT /v1/kv/jobs/.lock") == 2


def test_a_lock_in_its_delay_is_tried_again(agent, held):
    """A free key that can't be acquired yet is tried again after a pause."""
    LockServer(agent, is_delayed=2)
    lock = held()
    with lock.held(try_s=None):
        assert lock.pauses.count(held_lock.LOCK_DELAY_S) >= 2


def test_giving_up(agent, held):
    """After the time given, the lock is not waited for any longer, and the session is destroyed."""
    server = LockServer(agent, holder="other")
    with pytest.raises(LockUnavailable, match=r"was not acquired within 3s"), held().held(try_s=3):
        pass
    assert server.asked()[-1] == "PUT /v1/session/destroy/s-1"


def test_a_key_that_is_no_lock_is_left_alone(agent, held):
    """A key with other flags is somebody's value."""
    LockServer(agent, holder="other", flags=1)
    with pytest.raises(LockUnavailable, match="is no lock"), held().held(try_s=None):
        pass


def test_a_lock_that_is_taken_away_ends_the_program(regista, agent, tmp_path):
    """When another session has the key, the program is told to end, and the command fails."""
    server = LockServer(agent)
    script = "import sys, time; open(sys.argv[1], 'w').close(); time.sleep(60)"
    taking = threading.Thread(target=lambda: (wait_for(tmp_path / "ran"), server.hold("other")))
    taking.start()
    result = regista("lock", "jobs", sys.executable, "-c", script, str(tmp_path / "ran"))
    taking.join()
    assert (result.exit_code, result.stderr) == (1, "The lock was lost, and the child was ended.\n")
    assert server.holder == "other"


def wait_for(path):
    gone = threading.Event()
    for _ in range(1000):
        if path.exists():
            return
        gone.wait(0.01)


def test_a_silent_agent_counts_as_a_lost_lock(agent, held):
    """When nobody can say who holds the lock, it counts as lost after as many tries as allowed."""
    LockServer(agent)
    lock = held()
    with lock.held(try_s=None):
        agent.answers[("GET", "/v1/kv/jobs/.lock")] = [(500, {}, b"No cluster leader")]
        assert lock.is_lost.wait(WAIT_S)


@pytest.mark.parametrize("text", ["0s", "-1s", "x"])
def test_a_try_must_be_a_duration(regista, agent, text):
    """A time that is none is a usage error, and nothing is sent."""
    assert regista("lock", "--try", text, "jobs", "true").exit_code == 2
    assert agent.asked == []
