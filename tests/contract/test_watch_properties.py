"""The six properties of a watch, over every channel: ordered, unique, atomic, reliable, resumable, bookmarkable.

A writer makes random transactions, all with `Flags` of their own, and kills the agent now and then. Each channel has
a follower in a thread of its own, which hangs up, comes back and dawdles at random, and notes what it hears. What it
noted is then held against what was written, by one checker for each property.

Source of the names: the guarantees of etcd's watch.
"""

import contextlib
import dataclasses
import itertools
import random
import threading
import time

import httpx
import pytest
from tests.agents import Client, running_agent
from tests.ports import free_port
from tests.receiver import OK, SECRET, firsts, receiving
from tests.sse import Listener

KEYS = [f"p/{name}" for name in "abcdefgh"]
TRANSACTIONS = 80
WITHIN_S = 60.0


@dataclasses.dataclass(frozen=True)
class Write:
    """A transaction that was acknowledged: `number` is in the flags of each of its keys."""

    number: int
    index: int
    keys: tuple


@dataclasses.dataclass(frozen=True)
class Told:
    """An event."""

    index: int
    position: int
    key: str


@dataclasses.dataclass(frozen=True)
class Mark:
    """A place without an event: everything up to it is said to have been told."""

    index: int


@dataclasses.dataclass(frozen=True)
class Gap:
    """What happened after `after`, up to `index`, is said not to be told."""

    after: int
    index: int


@dataclasses.dataclass(frozen=True)
class State:
    """An answer: the index that it names, and the transaction that each key is of."""

    index: int
    numbers: dict


class Writer:
    """Writes, and knows what it has written."""

    def __init__(self, agent, rng):
        self.agent = agent
        self.rng = rng
        self.writes = []

    def write(self):
        number = len(self.writes) + 1
        keys = tuple(self.rng.sample(KEYS, self.rng.randint(1, 4)))
        operations = [{"KV": {"Verb": "set", "Key": key, "Value": "", "Flags": number}} for key in keys]
        reply = self.agent.put("/v1/txn", operations)
        assert reply.status == 200, reply
        self.writes.append(Write(number, reply.json["Results"][0]["KV"]["ModifyIndex"], keys))

    def run(self, count, *, kills=0):
        """Writes so often, and kills the agent so often in between."""
        killing = set(self.rng.sample(range(count), kills))
        for number in range(count):
            self.write()
            if number in killing:
                self.agent.kill()
                self.agent.start()


# ---- followers ----


class Follower:
    """Follows a channel in a thread of its own until it is stopped; `noted` is what it heard, in order."""

    def __init__(self, agent, rng, address):
        self.noted = []
        self._agent = agent
        self._address = address
        self._rng = rng
        self._is_over = False
        self._error = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over = True
        self._thread.join(30)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def wait_until(self, condition):
        """Returns when `condition(self.noted)` is true."""
        end_s = time.monotonic() + WITHIN_S
        while not condition(self.noted):
            assert self._error is None, self._error
            assert time.monotonic() < end_s, f"not heard within {WITHIN_S} s; the last: {self.noted[-3:]}"
            time.sleep(0.02)

    def _run(self):
        try:
            while not self._is_over:
                with contextlib.suppress(httpx.TransportError, OSError):
                    self.follow_once()
                self._dawdle(0.05)
        except Exception as error:  # noqa: BLE001 - raised where the follower is left
            self._error = error

    def _dawdle(self, most_s):
        time.sleep(self._rng.random() * most_s)


class StreamFollower(Follower):
    """The event stream."""

    def __init__(self, agent, rng, address, *, query="type=kv&key=p/&after=1"):
        super().__init__(agent, rng, address)
        self._listener = Listener(f"/v1/regista/events?{query}", timeout_s=2.0, hears_bookmarks=True)

    def follow_once(self):
        with self._listener.open(self._address) as events:
            for heard in itertools.islice(events, self._rng.randint(1, 25)):
                index, _, position = heard.id.partition(".")
                if heard.type == "regista.reread":
                    data = heard.data["data"]
                    self.noted.append(Gap(data["after"], data["index"]))
                elif heard.type == "bookmark":
                    if not position:
                        self.noted.append(Mark(int(index)))
                else:
                    self.noted.append(Told(int(index), int(position), heard.data["data"]["key"]))
                if self._rng.random() < 0.1:
                    self._dawdle(0.02)
                if self._is_over:
                    return


class QueryFollower(Follower):
    """Blocking queries over all the keys, and now and then one without an index."""

    def __init__(self, agent, rng, address):
        super().__init__(agent, rng, address)
        self._index = 0

    def follow_once(self):
        with Client(self._address.http, timeout_s=5) as client:
            for _ in range(self._rng.randint(1, 25)):
                waits = f"&index={self._index}&wait=1s" if self._index and self._rng.random() < 0.9 else ""
                reply = client.get(f"/v1/kv/p/?recurse{waits}")
                assert reply.status in (200, 404), reply
                numbers = {each["Key"]: each["Flags"] for each in reply.json} if reply.status == 200 else {}
                self._index = reply.index
                state = State(reply.index, numbers)
                # An answer after a wait that brought nothing is no news.
                if not self.noted or self.noted[-1] != state:
                    self.noted.append(state)
                if self._rng.random() < 0.1:
                    self._dawdle(0.02)
                if self._is_over:
                    return


# ---- checkers ----


def check_events(noted, writes, *, gaps_allowed=False):
    """All six, of a channel that tells events."""
    told = [each for each in noted if isinstance(each, Told)]
    gaps = [each for each in noted if isinstance(each, Gap)]
    assert gaps_allowed or not gaps
    places = [(each.index, each.position) for each in told]
    assert len(set(places)) == len(places), "unique: nothing is told twice"
    assert places == sorted(places), "ordered: nothing is told before what came before it"
    by_index = {write.index: write for write in writes}
    missed = {write.index for write in writes if any(gap.after < write.index <= gap.index for gap in gaps)}
    for index, events in itertools.groupby(told, key=lambda each: each.index):
        keys = sorted(each.key for each in events)
        whole = sorted(by_index[index].keys)
        is_told_of = index in missed and set(keys) <= set(whole)
        assert keys == whole or is_told_of, "atomic: a transaction is told whole, in one piece"
    heard = {each.index for each in told}
    assert heard | missed >= set(by_index), "reliable, resumable: nothing is missing that is not told to be"
    assert heard <= set(by_index)
    seen = set()
    for each in noted:
        if isinstance(each, Told):
            seen.add(each.index)
        else:
            before = {index for index in by_index if index <= each.index}
            assert before <= seen | missed, "bookmarkable: everything up to a mark was told before it"


def check_states(noted, writes):
    """All six, of a channel that tells states."""
    states = [{}]
    for write in writes:
        states.append({**states[-1], **dict.fromkeys(write.keys, write.number)})
    position = 0
    for before, now in itertools.pairwise([State(0, {}), *noted]):
        assert now.index >= before.index, "ordered: the index never goes back"
        assert now.numbers in states[position:], (
            "ordered, atomic: each is the state after a transaction, later or equal"
        )
        position = states.index(now.numbers, position)
        known = [write for write in writes if write.index <= now.index]
        newest = states[len(known)]
        assert now.numbers == newest, "bookmarkable: the state has everything up to its index"
    indexes = [each.index for each in noted]
    assert len(set(indexes)) == len(indexes), "unique: another answer has another index"
    assert noted[-1].numbers == states[-1], "reliable, resumable: the last state is heard"


# ---- the runs ----


@pytest.fixture(params=[11, 12, 13])
def rng(request):
    """The dice; the seed is in the name of the test."""
    return random.Random(request.param)


@pytest.fixture
def port():
    """A port that is free, for all lives of an agent."""
    return free_port()


class At:
    """Where the agent is, in whatever life."""

    def __init__(self, port):
        self.http = f"127.0.0.1:{port}"


def test_the_event_stream(tmp_path, rng, port):
    """Over hang-ups, dawdling and power cuts."""
    config = {"streams": {"heartbeat": "50ms"}}
    arguments = ("--http-port", str(port))
    with running_agent(tmp_path, keeps_data=True, config=config, arguments=arguments) as agent:
        writer = Writer(agent, rng)
        with StreamFollower(agent, random.Random(rng.random()), At(port)) as follower:
            writer.run(TRANSACTIONS, kills=2)
            last = writer.writes[-1].index
            follower.wait_until(lambda noted: any(isinstance(each, Mark) and each.index >= last for each in noted))
        check_events(follower.noted, writer.writes)


def test_the_event_stream_of_one_who_is_only_slow(tmp_path, rng, port):
    """Behind a burst that is far more than what is kept for those who keep up."""
    config = {"streams": {"heartbeat": "50ms", "batches_max": 4, "backlog_bytes_max": 65536}}
    arguments = ("--http-port", str(port))
    with running_agent(tmp_path, config=config, arguments=arguments) as agent:
        writer = Writer(agent, rng)
        with StreamFollower(agent, random.Random(rng.random()), At(port)) as follower:
            writer.run(5 * TRANSACTIONS)
            last = writer.writes[-1].index
            follower.wait_until(lambda noted: any(isinstance(each, Mark) and each.index >= last for each in noted))
        check_events(follower.noted, writer.writes)


def test_blocking_queries(tmp_path, rng, port):
    """Over hang-ups, dawdling and power cuts."""
    arguments = ("--http-port", str(port))
    with running_agent(tmp_path, keeps_data=True, arguments=arguments) as agent:
        writer = Writer(agent, rng)
        with QueryFollower(agent, random.Random(rng.random()), At(port)) as follower:
            writer.run(TRANSACTIONS, kills=2)
            last = dict(
                item for write in writer.writes for item in dict.fromkeys(write.keys, write.number).items()
            )
            follower.wait_until(lambda noted: noted and noted[-1].numbers == last)
        check_states(follower.noted, writer.writes)


QUICK = {"retry_first": "10ms", "retry_most": "50ms", "cursor": "50ms"}


def deliveries(received):
    """What a receiver took, as events and gaps: each once, where it came first."""
    noted = []
    for each in firsts(received):
        if each.type == "regista.reread":
            data = each.event["data"]
            noted.append(Gap(data["after"], data["index"]))
        else:
            index, _, position = each.id.partition(".")
            noted.append(Told(int(index), int(position), each.event["data"]["key"]))
    return noted


def test_webhooks(tmp_path, rng, port):
    """Over failures of the receiver and power cuts; what comes again is the same again, with the same id."""
    config = {"notify": QUICK}
    dice = random.Random(rng.random())

    def decide(_):
        return OK if dice.random() < 0.8 else 500

    with (
        receiving(decide) as receiver,
        running_agent(tmp_path, keeps_data=True, config=config, arguments=("--http-port", str(port))) as agent,
    ):
        wanted = {"url": receiver.url, "secret": SECRET, "types": ["kv"], "key_prefix": "p/"}
        reply = agent.request("POST", "/v1/regista/subscriptions", wanted)
        assert reply.status == 200, reply
        writer = Writer(agent, rng)
        writer.run(TRANSACTIONS, kills=2)
        count = sum(len(write.keys) for write in writer.writes)
        accepted = receiver.wait_for_accepted(count, within_s=WITHIN_S)
        bodies = {}
        for each in receiver.accepted:
            assert each.is_signed
            assert bodies.setdefault(each.id, each.body) == each.body
        check_events(deliveries(accepted), writer.writes)


COMPACTING = {"log_retention": "0s", "log_bytes_min": 65536}


def test_a_gap_in_the_event_stream_is_told(tmp_path, rng, port):
    """One who comes back after the log was compacted hears of a gap, and everything that is not in it."""
    config = {"store": COMPACTING, "streams": {"heartbeat": "50ms", "batches_max": 4}}
    with running_agent(tmp_path, config=config, arguments=("--http-port", str(port))) as agent:
        writer = Writer(agent, rng)
        writer.run(20)
        first = writer.writes[0].index
        for number in range(200):
            agent.put(f"/v1/kv/filler/{number}", b"x" * 2000)
        query = f"type=kv&key=p/&after={first - 1}"
        with StreamFollower(agent, random.Random(rng.random()), At(port), query=query) as follower:
            follower.wait_until(lambda noted: any(isinstance(each, Gap) for each in noted))
            writer.run(20)
            last = writer.writes[-1].index
            follower.wait_until(lambda noted: any(isinstance(each, Mark) and each.index >= last for each in noted))
        check_events(follower.noted, writer.writes, gaps_allowed=True)


def test_a_gap_in_the_deliveries_of_a_webhook_is_told(tmp_path, rng, port):
    """A receiver that was away while the log was compacted hears of a gap, and everything that is not in it."""
    config = {"notify": QUICK, "store": COMPACTING, "streams": {"batches_max": 4}}
    with (
        receiving() as receiver,
        running_agent(tmp_path, config=config, arguments=("--http-port", str(port))) as agent,
    ):
        wanted = {"url": receiver.url, "secret": SECRET, "types": ["kv"], "key_prefix": "p/"}
        assert agent.request("POST", "/v1/regista/subscriptions", wanted).status == 200
        writer = Writer(agent, rng)
        writer.run(5)
        receiver.wait_for_accepted(1)
        receiver.stop()
        writer.run(20)
        for number in range(200):
            agent.put(f"/v1/kv/filler/{number}", b"x" * 2000)
        receiver.start()
        receiver.wait_for(lambda _: any(each.type == "regista.reread" for each in receiver.accepted))
        writer.run(5)
        last = writer.writes[-1]

        def is_told(_):
            noted = deliveries(receiver.accepted)
            told = sum(isinstance(each, Told) and each.index == last.index for each in noted)
            return told == len(last.keys) or any(
                isinstance(each, Gap) and each.index >= last.index for each in noted
            )

        receiver.wait_for(is_told)
        check_events(deliveries(receiver.accepted), writer.writes, gaps_allowed=True)
