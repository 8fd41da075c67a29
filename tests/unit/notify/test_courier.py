"""Delivering to one subscription: with a sender and a store that are told what to do."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import Catalog, create_subscription, delete_subscription, replace_subscription, stamped
from regista.model import (
    UNKNOWN_CAUSE,
    Batch,
    Compacted,
    Delivery,
    KvEntry,
    Put,
    StoreUnavailable,
    Subscription,
    Transaction,
)
from regista.notify.courier import Courier, Means
from regista.notify.cursors import Cursors
from regista.notify.outgoing import BatchEvents
from regista.notify.retries import Outcome, RetryPolicy
from regista.store import LogTail

DELIVERED = Outcome(200)
FAILED = Outcome(500, "it answered 500")
REFUSED = Outcome(400, "it answered 400")
GONE = Outcome(410, "it answered 410")

POLICY = RetryPolicy(first_s=1.0, most_s=1.0, attempts_max=4, refusals_max=2, age_max_s=1e9)


class Log:
    """The log and the replica of it, in memory; written by plans."""

    def __init__(self):
        self.catalog = Catalog()
        self.batches = []
        self.floor_index = 0
        self.fails = 0
        self.tail = LogTail(self, index=0, batches_max=4)
        self.catalog.subscribe(self.tail.push)

    async def write(self, plan, *, cause):
        if self.fails:
            self.fails -= 1
            raise StoreUnavailable("try again later")
        await asyncio.sleep(0)
        transaction = stamped(plan(self.catalog), cause)
        if transaction.changes:
            self.commit(transaction)
        return self.catalog.index

    def commit(self, transaction):
        batch = Batch(self.catalog.index + 1, 0.0, transaction.changes)
        self.batches.append(batch)
        self.catalog.apply(batch)

    def put_keys(self, *keys):
        for key in keys:
            self.commit(Transaction((Put(KvEntry(key=key)),)))

    async def changes(self, after_index, *, batches_max=-1):
        if after_index < self.floor_index:
            raise Compacted(floor_index=self.floor_index)
        return [each for each in self.batches if each.index > after_index][
            : batches_max if batches_max > 0 else None
        ]


class Sender:
    """Gives the outcomes that it is told to, then success.

    Attributes:
        sent: every message, in order, with its outcome.
    """

    def __init__(self, outcomes=()):
        self.outcomes = list(outcomes)
        self.sent = []
        self.changed = asyncio.Event()

    async def send(self, message):
        await asyncio.sleep(0)
        outcome = self.outcomes.pop(0) if self.outcomes else DELIVERED
        self.sent.append((message, outcome))
        self.changed.set()
        return outcome

    @property
    def delivered(self):
        return [message for message, outcome in self.sent if outcome.is_delivered]


class Dice:
    """Always rolls the same."""

    def __init__(self, roll):
        self._roll = roll

    def random(self):
        return self._roll


def means_of(log, sender, **changes):
    fields = {
        "tail": log.tail,
        "events": BatchEvents(),
        "sender": sender,
        "writer": log,
        "cursors": Cursors(log, every_s=0.0),
        "policy": POLICY,
        "dead_letters_max": 100,
        "wall_clock": lambda: 1000.0,
        "rng": Dice(0.0),
        "source": "/regista/dc1",
    }
    return Means(**{**fields, **changes})


async def subscribe(log, **fields):
    wanted = Subscription(id="s1", url="http://receiver/", secret="secret", **fields)
    await log.write(lambda catalog: create_subscription(catalog, wanted, subscriptions_max=9), cause=UNKNOWN_CAUSE)


@contextlib.asynccontextmanager
async def delivering(log, means):
    """A courier that runs; it is cut off at the end, as by a power cut."""
    courier = Courier(means, log.catalog.subscriptions["s1"], log.catalog.deliveries.get("s1"))
    task = asyncio.create_task(courier.run())
    try:
        yield courier
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    """Returns when it is so, after giving the others their turns."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a condition of many parts, which no event tells of
            await asyncio.sleep(0)


def keys(messages):
    return [message.body.decode().partition('"key":"')[2].partition('"')[0] for message in messages]


async def test_only_what_is_wanted_is_sent():
    """Others' events are passed, and the cursor moves past them without a write."""
    log, sender = Log(), Sender()
    await subscribe(log, types=("kv.*",), key_prefix="a/")
    means = means_of(log, sender)
    async with delivering(log, means) as courier:
        log.put_keys("b/1", "a/1", "b/2", "a/2", "b/3")
        await until(lambda: courier.place.index == log.catalog.index)
    assert keys(sender.delivered) == ["a/1", "a/2"]
    assert "s1" not in log.catalog.deliveries


def written_index(log):
    return log.catalog.deliveries["s1"].record.index


async def test_a_cursor_that_only_passes_others_events_is_written_now_and_then():
    """After a crash it must not look older than the log; and where nothing happens, nothing is written."""
    log, sender = Log(), Sender()
    await subscribe(log, types=("config",))
    means = means_of(log, sender, cursors=Cursors(log, every_s=0.0, idle_s=0.001))
    writing = asyncio.create_task(means.cursors.keep_writing())
    async with delivering(log, means) as courier:
        log.put_keys("1", "2", "3")
        await until(lambda: "s1" in log.catalog.deliveries and written_index(log) == log.catalog.index - 1)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        await until(lambda: courier.place.index == log.catalog.index)
        assert not means.cursors._has_idled(), "its own write is no reason for another"
        log.put_keys("4")
        await until(lambda: courier.place.index == log.catalog.index)
        assert means.cursors._has_idled()
    assert sender.sent == []


async def test_what_is_given_up_is_a_dead_letter_and_the_next_goes_on():
    """Refused as often as allowed, an event is kept with the reason; the order of the others stays."""
    log, sender = Log(), Sender([DELIVERED, FAILED, REFUSED, REFUSED])
    await subscribe(log, types=("kv",))
    async with delivering(log, means_of(log, sender)) as courier:
        log.put_keys("1", "2", "3")
        await until(lambda: len(sender.delivered) == 2)
        assert (courier.state.delivered, courier.state.retried, courier.state.dead) == (2, 2, 1)
    assert keys(sender.delivered) == ["1", "3"]
    (letter,) = log.catalog.dead_letters.of("s1")
    assert (letter.record.attempts, letter.record.error) == (3, "it answered 400")
    assert [message.attempt for message, _ in sender.sent] == [1, 1, 2, 3, 1]


async def test_a_store_that_is_away_holds_up_a_dead_letter():
    """It is written as soon as the store takes it, and the next event goes on only then."""
    log, sender = Log(), Sender([REFUSED, REFUSED])
    await subscribe(log, types=("kv",))
    async with delivering(log, means_of(log, sender, store_pause_s=0.0)):
        log.fails = 5
        log.put_keys("1", "2")
        await until(lambda: sender.delivered)
    assert log.fails == 0
    assert len(log.catalog.dead_letters.of("s1")) == 1


async def test_a_receiver_that_is_gone_is_left_alone_until_somebody_enables_it():
    """410 disables the subscription, in the log; enabled, it begins with the event that it had come to."""
    log, sender = Log(), Sender([GONE])
    await subscribe(log, types=("kv",))
    async with delivering(log, means_of(log, sender)) as courier:
        log.catalog.subscribe(lambda _: courier.change(log.catalog.subscriptions["s1"].record))
        log.put_keys("1", "2")
        await until(lambda: not log.catalog.subscriptions["s1"].record.is_enabled)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(sender.sent) == 1
        again = Subscription(id="s1", url="http://receiver/", secret="", types=("kv",))
        await log.write(
            lambda catalog: replace_subscription(catalog, again, now_s=0.0, rotation_s=0.0), cause=UNKNOWN_CAUSE
        )
        await until(lambda: len(sender.delivered) == 2)
    assert keys([message for message, _ in sender.sent]) == ["1", "1", "2"]


@pytest.mark.parametrize("answer", [GONE, REFUSED, FAILED])
async def test_an_answer_to_a_subscription_that_was_changed_meanwhile_decides_nothing(answer):
    """What the old receiver says while the new one is written neither disables, buries nor puts off."""
    log, sender = Log(), Sender([answer])
    await subscribe(log, types=("kv",))
    policy = RetryPolicy(first_s=1e6, most_s=1e6, attempts_max=1, refusals_max=1, age_max_s=1e9)
    async with delivering(log, means_of(log, sender, policy=policy, rng=Dice(1.0))) as courier:
        log.catalog.subscribe(lambda _: courier.change(log.catalog.subscriptions["s1"].record))
        log.put_keys("1")
        await until(lambda: courier.is_sending)
        moved = Subscription(id="s1", url="http://other/", secret="", types=("kv",))
        log.commit(replace_subscription(log.catalog, moved, now_s=0.0, rotation_s=0.0))
        await until(lambda: sender.delivered)
    assert [message.url for message, _ in sender.sent] == ["http://receiver/", "http://other/"]
    assert log.catalog.subscriptions["s1"].record.is_enabled
    assert log.catalog.dead_letters.of("s1") == []


async def test_the_log_tells_that_a_receiver_fails_after_a_restart_too(caplog):
    """Each process tells it once, and a failure that came too soon after another is told while it lasts."""
    log, sender = Log(), Sender([FAILED] * 2)
    now_s = 1000.0
    means = means_of(log, sender, wall_clock=lambda: now_s)
    await subscribe(log, types=("kv",))

    def told():
        return [each.getMessage() for each in caplog.records if "it answered 500" in each.getMessage()]

    async with delivering(log, means) as courier:
        log.put_keys("1")
        await until(lambda: len(sender.sent) == 2)
        await means.cursors.write()
        assert len(told()) == 1
    sender.outcomes = [FAILED, DELIVERED, FAILED]
    async with delivering(log, means_of(log, sender, wall_clock=lambda: now_s)) as courier:
        assert courier.attempts == 2
        await until(lambda: len(sender.delivered) == 1)
        assert len(told()) == 2
        log.put_keys("2")
        await until(lambda: len(sender.delivered) == 2)
        assert len(told()) == 2, "once a minute"
        now_s += 30.0
        sender.outcomes = [FAILED] * 3
        log.put_keys("3")
        await until(lambda: sender.outcomes == [FAILED] * 2)
        assert len(told()) == 2
        now_s += 31.0
        await until(lambda: not sender.outcomes)
        assert len(told()) == 3


async def test_an_event_that_is_no_longer_wanted_is_passed():
    """A filter that is changed while an event is tried lets go of it."""
    log, sender = Log(), Sender([FAILED])
    await subscribe(log, types=("kv",))
    means = means_of(log, sender, rng=Dice(1.0))
    async with delivering(log, means) as courier:
        log.put_keys("a", "b")
        await until(lambda: courier.state.next_attempt_s is not None)
        courier.change(Subscription(id="s1", url="http://receiver/", secret="secret", key_prefix="b"))
        await until(lambda: sender.delivered)
    assert keys(sender.delivered) == ["b"]


async def test_a_gap_is_told_before_what_follows():
    """Where the log no longer reaches back, the receiver is told so, and hears what is committed from then on."""
    log, sender = Log(), Sender([FAILED])
    await subscribe(log, types=("kv",))
    log.put_keys(*"123456789")
    log.floor_index = 6
    async with delivering(log, means_of(log, sender)) as courier:
        await until(lambda: courier.state.rereads)
        log.put_keys("after")
        await until(lambda: len(sender.delivered) == 2)
    assert [message.id for message, _ in sender.sent][:2] == ["reread.1", "reread.1"]
    assert keys(sender.delivered) == ["", "after"]


async def test_a_cursor_from_another_log_is_a_gap():
    """One that names what its own log had not committed when it was written came with a snapshot."""
    log, sender = Log(), Sender()
    await subscribe(log, types=("kv",))
    async with delivering(log, means_of(log, sender)):
        log.put_keys("1")
        await until(lambda: sender.delivered)
    other = Log()
    entries = [log.catalog.subscriptions["s1"]]
    means = means_of(log, sender)
    means.cursors.move(Courier(means, entries[0], None)._delivery(courier_place(log)), is_news=True)
    await means.cursors.write()
    saved = [entries[0].record, log.catalog.deliveries["s1"].record]
    other.commit(Transaction(tuple(Put(record) for record in saved)))
    async with delivering(other, means_of(other, sender)) as courier:
        await until(lambda: courier.state.rereads)
    assert sender.sent[-1][0].type == "regista.reread"


async def test_a_gap_that_a_foreign_cursor_left_is_told_however_long_that_takes():
    """A receiver that is away when a snapshot was restored is told to read anew, though the log has grown past it."""
    log, sender = Log(), Sender([FAILED])
    subscription = Subscription(id="s1", url="http://receiver/", secret="secret", types=("kv",))
    log.commit(Transaction((Put(subscription), Put(Delivery(subscription="s1", index=9)))))
    means = means_of(log, sender)
    async with delivering(log, means):
        await until(lambda: sender.sent)
        log.put_keys(*(f"{number}" for number in range(20)))
        await means.cursors.write()
    assert log.catalog.deliveries["s1"].modify_index > 9
    async with delivering(log, means_of(log, sender)) as courier:
        await until(lambda: sender.delivered)
        log.put_keys("after")
        await until(lambda: len(sender.delivered) == 2)
        assert courier.state.rereads == 1
    assert [message.type for message in sender.delivered] == ["regista.reread", "kv.created"]
    assert keys(sender.delivered) == ["", "after"]


def courier_place(log):
    place = Courier(means_of(log, None), log.catalog.subscriptions["s1"], None).place
    return type(place)(log.catalog.index)


async def test_a_subscription_that_is_deleted_leaves_nothing():
    """Its cursor is not written again by whoever was about to."""
    log, sender = Log(), Sender()
    await subscribe(log)
    means = means_of(log, sender)
    async with delivering(log, means):
        log.put_keys("1")
        await until(lambda: sender.delivered)
        await until(lambda: means.cursors._latest)
        await means.cursors.write()
        assert "s1" in log.catalog.deliveries
        log.put_keys("2")
        await until(lambda: len(sender.delivered) == 2)
        await log.write(lambda catalog: delete_subscription(catalog, "s1"), cause=UNKNOWN_CAUSE)
        await means.cursors.write()
    assert log.catalog.deliveries == {}


outcomes = st.lists(st.sampled_from([DELIVERED, DELIVERED, DELIVERED, FAILED, REFUSED]), max_size=30)


@given(outcomes, st.lists(st.integers(1, 6), max_size=8), st.booleans())
def test_each_event_is_delivered_or_a_dead_letter_through_any_restarts(told, cuts, writes_cursors):
    """In order, at least once, the same each time: however attempts end, and wherever the power is cut."""
    asyncio.run(_deliver_all(told, cuts, writes_cursors=writes_cursors))


async def _deliver_all(told, cuts, *, writes_cursors):
    log, sender = Log(), Sender(told)
    await subscribe(log, types=("kv",))
    wanted = [f"k{number}" for number in range(12)]
    for first in range(0, 12, 3):
        log.commit(Transaction(tuple(Put(KvEntry(key=key)) for key in wanted[first : first + 3])))
    for cut in cuts:
        means = means_of(log, sender)
        async with delivering(log, means):
            until_count = len(sender.sent) + cut
            await until(
                lambda count=until_count: len(sender.sent) >= count or _settled(log, sender) >= set(wanted)
            )
        if writes_cursors:
            await means.cursors.write()
    async with delivering(log, means_of(log, sender)):
        await until(lambda: _settled(log, sender) >= set(wanted))
    first_settled = {}
    for number, (message, outcome) in enumerate(sender.sent):
        if outcome.is_delivered:
            first_settled.setdefault(keys([message])[0], number)
    order = sorted(first_settled, key=first_settled.get)
    assert order == [key for key in wanted if key in first_settled], "the order is kept"
    bodies = {}
    for message, _ in sender.sent:
        assert bodies.setdefault(message.id, message.body) == message.body


def _settled(log, sender):
    letters = {
        each.record.body.partition('"key":"')[2].partition('"')[0] for each in log.catalog.dead_letters.of("s1")
    }
    return set(keys(sender.delivered)) | letters
