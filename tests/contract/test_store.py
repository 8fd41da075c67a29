"""What `regista.store` promises, held against every store."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import tempfile
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import meeting_records, records

from regista.model import (
    BadInput,
    Batch,
    Cause,
    Change,
    Check,
    Compacted,
    Condition,
    Conflict,
    Delete,
    Entry,
    Node,
    Overloaded,
    Put,
    Record,
    Service,
    Snapshot,
    StoreUnavailable,
    Transaction,
    caused_by,
)
from regista.store import LogServer, RemoteStore, SqliteStore, Store, StoreSettings, unix_connection

SMALL = StoreSettings(log_bytes_min=64 * 1024, log_bytes_max=64 * 1024)


class Witness:
    """Listens to a store as a replica does, and insists on order."""

    def __init__(self) -> None:
        self.index = 0
        self.batches: list[Batch] = []

    def on_batch(self, batch: Batch) -> None:
        assert batch.index == self.index + 1, "a batch came out of order or was left out"
        self.index = batch.index
        self.batches.append(batch)


@dataclasses.dataclass
class SqliteKind:
    """How one kind of store is made, stalled and opened again."""

    directory: Path | None
    now_s: float = 1000.0

    @property
    def is_durable(self) -> bool:
        return self.directory is not None

    def wall_clock(self) -> float:
        return self.now_s

    @contextlib.asynccontextmanager
    async def opened(
        self,
        settings: StoreSettings = StoreSettings(),  # noqa: B008 - frozen
    ) -> AsyncIterator[tuple[SqliteStore, Witness, Snapshot]]:
        """An open store, closed at the end."""
        store, witness = SqliteStore(self.directory, settings, wall_clock=self.wall_clock), Witness()
        snapshot = await store.open(witness.on_batch)
        witness.index = snapshot.index
        try:
            yield store, witness, snapshot
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def stalled(self, store: SqliteStore) -> AsyncIterator[None]:
        """Nothing is written meanwhile; what waits at the end is one group."""
        gate = threading.Event()
        holding = asyncio.ensure_future(store._in_writer(gate.wait))
        await asyncio.sleep(0)
        try:
            yield
        finally:
            gate.set()
            await holding


class Held:
    """A replica in its plainest form, and nothing beside the log."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.index = snapshot.index
        self._held = {(entry.record.kind, entry.record.key): entry for entry in snapshot.entries}

    def apply(self, batch: Batch) -> None:
        for change in batch.changes:
            key = (change.record.kind, change.record.key)
            before = self._held.pop(key, None)
            if isinstance(change, Put):
                created = before.create_index if before else batch.index
                self._held[key] = Entry(change.record, created, batch.index)
        self.index = batch.index

    def entries(self) -> list[Entry[Record]]:
        return list(self._held.values())

    def names(self) -> Sequence[tuple[str, str]]:
        return ()

    def text(self, _name: tuple[str, str]) -> str:
        return ""


@dataclasses.dataclass
class RemoteKind(SqliteKind):
    """A store whose log is served over a Unix socket by one in memory."""

    _log: SqliteStore | None = None

    @contextlib.asynccontextmanager
    async def opened(
        self,
        settings: StoreSettings = StoreSettings(),  # noqa: B008 - frozen
    ) -> AsyncIterator[tuple[RemoteStore, Witness, Snapshot]]:
        """An open store that follows another, both closed at the end."""
        log = self._log = SqliteStore(None, settings, wall_clock=self.wall_clock)
        batches: list[Batch] = []
        held = Held(await log.open(batches.append))
        server = LogServer(log, held, held)

        def on_batch(batch: Batch) -> None:
            held.apply(batch)
            server.push(batch)

        log._on_batch = on_batch
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "log"
            listening = await asyncio.get_running_loop().create_unix_server(server, str(path))
            store, witness = RemoteStore(unix_connection(path), name="a test"), Witness()
            snapshot = await store.open(witness.on_batch)
            witness.index = snapshot.index
            try:
                yield store, witness, snapshot
            finally:
                await store.close()
                server.close()
                listening.close()
                await log.close()

    @contextlib.asynccontextmanager
    async def stalled(self, store: Store) -> AsyncIterator[None]:
        """Nothing is written by the log that is followed."""
        assert self._log is not None
        async with super().stalled(self._log):
            yield


KINDS = {
    "sqlite on disk": SqliteKind,
    "sqlite in memory": lambda _: SqliteKind(None),
    "remote": lambda _: RemoteKind(None),
}
"""Each kind of store by its name. A new store is one more line here."""


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    """Each kind of store in turn."""
    return KINDS[request.param](tmp_path)


@pytest.fixture(params=["sqlite on disk"])
def durable_kind(tmp_path):
    """Each kind of store that outlives its process."""
    return SqliteKind(tmp_path)


def node(name: str, address: str = "") -> Node:
    return Node(name=name, address=address)


def put(*records: Record, conditions: Sequence[Condition] = ()) -> Transaction:
    return Transaction(tuple(Put(record) for record in records), tuple(conditions))


def at(name: str, modify_index: int) -> Condition:
    return Condition("node", name, modify_index)


async def commit_together(
    kind: SqliteKind, store: SqliteStore, transactions: Sequence[Transaction]
) -> list[int | BaseException]:
    """The outcomes of transactions that all waited at the same time."""
    async with kind.stalled(store):
        tasks = [asyncio.ensure_future(store.commit(transaction)) for transaction in transactions]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


# ---- order ----


async def test_a_new_store_is_empty(kind):
    """A new store has index 0, nothing in it, and a log that is complete."""
    async with kind.opened() as (store, _, snapshot):
        assert (snapshot.index, snapshot.floor_index) == (0, 0)
        assert (list(snapshot.entries), list(snapshot.recent)) == ([], [])
        assert list(await store.changes(0)) == []
        assert await store.barrier() == 0


async def test_indexes_follow_one_another(kind):
    """Each of many commits at once gets an index of its own, and listeners see them all, in order."""
    async with kind.opened() as (store, witness, _):
        indexes = await asyncio.gather(*(store.commit(put(node(f"n{i}"))) for i in range(60)))
        assert sorted(indexes) == list(range(1, 61))
        assert [batch.index for batch in witness.batches] == list(range(1, 61))


async def test_commits_of_one_caller_keep_their_order(kind):
    """Transactions come into force in the order in which they were handed in."""
    async with kind.opened() as (store, witness, _):
        assert await commit_together(kind, store, [put(node("n", str(i))) for i in range(20)]) == list(
            range(1, 21)
        )
        assert [batch.changes[0].record.address for batch in witness.batches] == [str(i) for i in range(20)]


async def test_callers_read_their_own_writes(kind):
    """Whenever a commit returns, the listener was already told of it."""
    async with kind.opened() as (store, witness, _):

        async def write(i: int) -> None:
            index = await store.commit(put(node(f"n{i}")))
            assert witness.index >= index
            assert witness.batches[index - 1].changes[0].record.name == f"n{i}"

        await asyncio.gather(*(write(i) for i in range(60)))


async def test_the_time_of_a_batch_is_the_wall_clocks(kind):
    """A batch says when it was committed."""
    kind.now_s = 1234.5
    async with kind.opened() as (store, witness, _):
        await store.commit(put(node("n")))
        assert witness.batches[0].at_s == 1234.5
        assert [batch.at_s for batch in await store.changes(0)] == [1234.5]


async def test_the_listener_hears_on_the_loop(kind):
    """Listeners need no lock: they are called on the thread of the event loop."""
    threads = set()
    store = SqliteStore(kind.directory, StoreSettings(), wall_clock=kind.wall_clock)
    await store.open(lambda _: threads.add(threading.get_ident()))
    await store.commit(put(node("n")))
    await store.close()
    assert threads == {threading.get_ident()}


# ---- conditions ----


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (at("absent", 0), True),
        (at("absent", 1), False),
        (at("old", 1), True),
        (at("old", 0), False),
        (at("old", 2), False),
        (at("new", 3), True),
        (at("new", 2), False),
        (at("gone", 0), True),
        (at("gone", 4), False),
        (at("gone", 5), False),
        (Condition("service", "old", 0), True),
        (Condition("service", "old", 1), False),
    ],
)
async def test_a_condition_is_on_the_index_of_the_last_change(kind, condition, holds):
    """A condition holds exactly if the record was last changed at that index, or for 0 if there is none."""
    async with kind.opened() as (store, witness, _):
        await store.commit(put(node("old")))
        await store.commit(put(node("new")))
        await store.commit(put(node("new", "changed")))
        await store.commit(put(node("gone")))
        await store.commit(Transaction((Delete(node("gone")),)))
        try:
            await store.commit(put(node("other"), conditions=[condition]))
        except Conflict:
            assert not holds
            assert witness.index == 5
        else:
            assert holds
            assert witness.index == 6


async def test_every_condition_counts(kind):
    """One condition that does not hold among many that do is enough."""
    async with kind.opened() as (store, _, _):
        await store.commit(put(node("a"), node("b")))
        with pytest.raises(Conflict):
            await store.commit(put(node("c"), conditions=[at("a", 1), at("b", 0), at("c", 0)]))
        assert await store.commit(put(node("c"), conditions=[at("a", 1), at("b", 1), at("c", 0)])) == 2


async def test_a_conflict_changes_nothing(kind):
    """A transaction whose condition does not hold leaves no part of itself and uses up no index."""
    async with kind.opened() as (store, _, _):
        await store.commit(put(node("a", "1")))
        with pytest.raises(Conflict):
            await store.commit(
                Transaction((Put(node("a", "2")), Put(node("b")), Delete(node("a"))), (at("a", 7),))
            )
        assert await store.commit(put(node("c"), conditions=[at("a", 1), at("b", 0)])) == 2
        assert [batch.changes for batch in await store.changes(0)] == [(Put(node("a", "1")),), (Put(node("c")),)]


async def test_transactions_of_one_group_see_each_other(kind):
    """Conditions are judged at a transaction's place in the log, also against those that wait beside it."""
    async with kind.opened() as (store, witness, _):
        outcomes = await commit_together(
            kind,
            store,
            [
                put(node("a", "1"), conditions=[at("a", 0)]),  # index 1
                put(node("a", "2"), conditions=[at("a", 0)]),  # comes too late
                put(node("a", "3"), conditions=[at("a", 1)]),  # index 2
                put(node("b", "1"), conditions=[at("a", 1)]),  # comes too late
                Transaction((Delete(node("a")),), (at("a", 2),)),  # index 3
                put(node("a", "4"), conditions=[at("a", 0), at("b", 0)]),  # index 4
                put(node("b", "2"), conditions=[at("a", 4)]),  # index 5
            ],
        )
        assert [each if isinstance(each, int) else type(each) for each in outcomes] == [
            1, Conflict, 2, Conflict, 3, 4, 5,
        ]  # fmt: skip
        assert witness.index == 5


async def test_of_many_who_want_one_thing_one_gets_it(kind):
    """Of many writers that rest on the same absence, exactly one wins and all others are told."""
    async with kind.opened() as (store, _, _):
        wishes = [put(node("lock", str(i)), conditions=[at("lock", 0)]) for i in range(30)]
        outcomes = await asyncio.gather(*(store.commit(wish) for wish in wishes), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(Conflict) == 29
        assert 1 in outcomes


async def test_the_change_in_the_way_is_known_before_the_conflict(kind):
    """Who is refused can plan again at once: its replica has the change that stood in the way."""
    async with kind.opened() as (store, witness, _):

        async def write_late(wish: Transaction) -> None:
            with pytest.raises(Conflict) as caught:
                await store.commit(wish)
            assert witness.index >= caught.value.index >= 1

        async with kind.stalled(store):
            first = asyncio.ensure_future(store.commit(put(node("a"))))
            late = [write_late(put(node("a"), conditions=[at("a", 0)])) for _ in range(5)]
            waiting = asyncio.gather(*late)
            await asyncio.sleep(0)
        await waiting
        assert await first == 1


# ---- callers who go, records that can't be kept, limits ----


async def test_a_caller_who_goes_does_not_undo(kind):
    """A caller that is cancelled while it waits does not take its transaction back, nor harm another's."""
    async with kind.opened() as (store, witness, _):
        async with kind.stalled(store):
            tasks = [asyncio.ensure_future(store.commit(put(node(name)))) for name in "abc"]
            await asyncio.sleep(0)
            tasks[1].cancel()
        first, gone, last = await asyncio.gather(*tasks, return_exceptions=True)
        assert (first, last) == (1, 3)
        assert isinstance(gone, asyncio.CancelledError)
        await store.barrier()
        assert [batch.changes[0].record.name for batch in witness.batches] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "bad",
    [
        Node(name="lone \ud800 surrogate"),
        Node(name="n", address="\udcff"),
        Node(name="n", meta={"count": 3}),  # type: ignore[dict-item]  # what an unchecked decoder may let through
        Service(node="n", id="i", name="s", ttl_s=float("nan")),
        Check(node="n", id="i", name="s", notes=None),  # type: ignore[arg-type]  # as above
    ],
    ids=["surrogate in key", "surrogate", "number for text", "not a number", "nothing for text"],
)
async def test_what_could_not_be_read_back_is_refused(kind, bad):
    """A record that the next start could not read is refused alone; those beside it are written."""
    async with kind.opened() as (store, witness, _):
        condition = Condition(bad.kind, bad.key, 0)
        good, refused, also_good = await commit_together(
            kind, store, [put(node("a")), put(node("b"), bad, conditions=[condition]), put(node("c"))]
        )
        assert (good, also_good) == (1, 2)
        assert isinstance(refused, BadInput)
        assert [batch.changes[0].record.name for batch in witness.batches] == ["a", "c"]


async def test_a_full_queue_is_told(kind):
    """More writes than may wait are refused with the limit's name and numbers, and change nothing."""
    async with kind.opened(StoreSettings(commit_queue_max=3)) as (store, witness, _):
        async with kind.stalled(store):
            waiting = [asyncio.ensure_future(store.commit(put(node(name)))) for name in "abc"]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as caught:
                await store.commit(put(node("d")))
            assert (caught.value.limit, caught.value.used, caught.value.most) == ("store.commit_queue_max", 3, 3)
        assert await asyncio.gather(*waiting) == [1, 2, 3]
        assert await store.commit(put(node("e"))) == 4
        assert [batch.changes[0].record.name for batch in witness.batches] == ["a", "b", "c", "e"]


async def test_who_goes_leaves_its_place_in_the_queue(kind):
    """Cancelled and refused callers do not fill the queue for ever."""
    async with kind.opened(StoreSettings(commit_queue_max=2)) as (store, _, _):
        for _ in range(3):
            async with kind.stalled(store):
                tasks = [
                    asyncio.ensure_future(store.commit(put(node("a")))),
                    asyncio.ensure_future(store.commit(put(node("a"), conditions=[at("a", 999)]))),
                ]
                await asyncio.sleep(0)
                tasks[0].cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.barrier()
        assert await store.commit(put(node("a"))) == 4


# ---- reading the log ----


async def test_changes_begin_after_the_index_asked_for(kind):
    """Whoever was away gets exactly the batches that it missed, as they were."""
    async with kind.opened() as (store, witness, _):
        for i in range(5):
            await store.commit(put(node("n", str(i)), node(f"m{i}")))
        await store.commit(Transaction((Delete(node("n", "4")),)))
        for after_index in range(7):
            assert list(await store.changes(after_index)) == witness.batches[after_index:]
        assert list(await store.changes(100)) == []


async def test_the_log_says_what_a_put_replaced(kind):
    """A put in place of a record of another name carries that record in the log."""
    web, api = Service(node="n", id="1", name="web"), Service(node="n", id="1", name="api")
    async with kind.opened() as (store, _, _):
        await store.commit(put(web))
        await store.commit(Transaction((Put(api, web), Put(node("n")))))
        assert [batch.changes for batch in await store.changes(0)] == [
            (Put(web),),
            (Put(api, web), Put(node("n"))),
        ]


async def test_the_log_says_when_what_it_replaced_was_written(kind):
    """The indexes of what a change replaces or deletes are kept beside it."""
    wishes = [(Put(node("n", "2"), node("n", "1"), 3, 9), Put(node("m"))), (Delete(node("n", "2"), 3, 12),)]
    async with kind.opened() as (store, _, _):
        for changes in wishes:
            await store.commit(Transaction(changes))
        assert [batch.changes for batch in await store.changes(0)] == wishes


async def test_the_log_says_who_brought_a_change_about(kind):
    """A transaction's cause is told to the listener, and is the same in the log."""
    causes = [caused_by("request", source="10.0.0.7", path="PUT /é", reason='"why"'), Cause(), caused_by("reaper")]
    async with kind.opened() as (store, witness, _):
        for cause in causes:
            await store.commit(Transaction(put(node("n")).changes, cause=cause))
        assert [batch.cause for batch in witness.batches] == causes
        assert [batch.cause for batch in await store.changes(0)] == causes


async def test_the_log_is_read_in_pages(kind):
    """Whoever asks for a few batches gets the first of them."""
    async with kind.opened() as (store, witness, _):
        for i in range(5):
            await store.commit(put(node("n", str(i))))
        assert list(await store.changes(1, batches_max=2)) == witness.batches[1:3]
        assert list(await store.changes(4, batches_max=2)) == witness.batches[4:]


async def test_a_time_finds_the_last_transaction_before_it(kind):
    """The index at a time is that of the last transaction at or before it; 0 before the first."""
    async with kind.opened() as (store, _, _):
        assert await store.index_at(kind.now_s) == 0
        began_s = kind.now_s
        for _ in range(7):
            await store.commit(put(node("n", str(kind.now_s))))
            kind.now_s += 10
        found = [await store.index_at(began_s + after_s) for after_s in (-1, 0, 9, 10, 35, 60, 1000)]
        assert found == [0, 1, 1, 2, 4, 7, 7]


async def test_a_time_before_the_log_is_told(kind):
    """Once the log has forgotten its beginning, a time before what it has is refused with the floor."""
    async with kind.opened(StoreSettings(log_retention_s=160)) as (store, _, _):
        began_s = kind.now_s
        for _ in range(4):
            await store.commit(put(node("n", str(kind.now_s))))
            kind.now_s += 100
        with pytest.raises(Compacted) as caught:
            await store.index_at(began_s)
        assert caught.value.floor_index == store.floor_index == 2
        assert await store.index_at(began_s + 250) == 3


async def test_a_barrier_is_behind_every_write_before_it(kind):
    """A barrier's index is at or above every write handed in before it, and the listener has it by then."""
    async with kind.opened() as (store, witness, _):
        tasks = [asyncio.ensure_future(store.commit(put(node(f"n{i}")))) for i in range(30)]
        await asyncio.sleep(0)
        index = await store.barrier()
        assert index == 30
        assert witness.index >= index
        await asyncio.gather(*tasks)


# ---- retention ----


async def test_old_changes_leave_the_log(kind):
    """The log forgets what is older than the retention time, and says from where it goes on."""
    async with kind.opened(StoreSettings(log_retention_s=160)) as (store, _, _):
        for _ in range(4):
            await store.commit(put(node("n", str(kind.now_s))))
            kind.now_s += 100
        with pytest.raises(Compacted) as caught:
            await store.changes(0)
        floor_index = caught.value.floor_index
        assert floor_index == 2
        assert [batch.index for batch in await store.changes(floor_index)] == [3, 4]
        with pytest.raises(Compacted):
            await store.changes(floor_index - 1)


async def test_a_large_log_is_cut(kind):
    """The log forgets its oldest changes when it is over its size."""
    text = "x" * 1000
    async with kind.opened(SMALL) as (store, witness, _):
        for i in range(20):
            await commit_together(kind, store, [put(node("n", f"{text}{i}{j}")) for j in range(10)])
        with pytest.raises(Compacted) as caught:
            await store.changes(0)
        kept = list(await store.changes(caught.value.floor_index))
        assert kept == witness.batches[caught.value.floor_index :]
        assert 30 <= len(kept) <= 75


async def test_a_busy_log_still_reaches_back(kind):
    """However much was written since the start, the log keeps about as much history as its size allows."""
    async with kind.opened(SMALL) as (store, witness, _):
        for _ in range(8):
            await commit_together(kind, store, [put(node("n", str(i))) for i in range(1000)])
        with pytest.raises(Compacted) as caught:
            await store.changes(0)
        assert 400 <= witness.index - caught.value.floor_index <= 2000


async def test_a_floor_survives_reopening(durable_kind):
    """After reopening the log begins where it began before, and no index comes back."""
    settings = StoreSettings(log_retention_s=16)
    async with durable_kind.opened(settings) as (store, _, _):
        for _ in range(5):
            await store.commit(put(node("n", str(durable_kind.now_s))))
            durable_kind.now_s += 10
    async with durable_kind.opened(settings) as (store, _, snapshot):
        assert (snapshot.index, snapshot.floor_index) == (5, 3)
        assert [batch.index for batch in snapshot.recent] == [4, 5]
        with pytest.raises(Compacted):
            await store.changes(2)
        durable_kind.now_s += 1000
        await store.commit(Transaction((Delete(node("n")),)))
    async with durable_kind.opened(settings) as (store, _, snapshot):
        assert (snapshot.index, snapshot.floor_index, list(snapshot.entries)) == (6, 5, [])
        assert await store.commit(put(node("m"))) == 7


# ---- closing and opening ----


async def test_closing_writes_what_waits(kind):
    """Whoever handed in a write before the store was closed gets its index."""
    async with kind.opened() as (store, witness, _):
        async with kind.stalled(store):
            tasks = [asyncio.ensure_future(store.commit(put(node(f"n{i}")))) for i in range(10)]
            await asyncio.sleep(0)
            closing = asyncio.ensure_future(store.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.commit(put(node("late")))
        await closing
        assert await asyncio.gather(*tasks) == list(range(1, 11))
        assert witness.index == 10


async def test_a_closed_store_says_so(kind):
    """After closing, nothing hangs: each call says that the store is closed, and closing again does nothing."""
    async with kind.opened() as (store, _, _):
        await store.close()
        await store.close()
        for call in (store.commit(put(node("n"))), store.changes(0), store.barrier()):
            with pytest.raises(StoreUnavailable, match="closed"):
                await call


@dataclasses.dataclass
class Model:
    """What a store should hold: a dict, an index, and the batches since the start."""

    held: dict[tuple[str, str], Entry[Record]] = dataclasses.field(default_factory=dict)
    index: int = 0
    batches: list[tuple[Change, ...]] = dataclasses.field(default_factory=list)

    def commit(self, transaction: Transaction) -> int | None:
        """The index that the transaction gets; None for a conflict."""
        for condition in transaction.conditions:
            entry = self.held.get((condition.kind, condition.key))
            if (entry.modify_index if entry else 0) != condition.modify_index:
                return None
        self.index += 1
        self.batches.append(transaction.changes)
        for change in transaction.changes:
            key = (change.record.kind, change.record.key)
            before = self.held.pop(key, None)
            if isinstance(change, Put):
                self.held[key] = Entry(change.record, before.create_index if before else self.index, self.index)
        return self.index

    def compare(self, snapshot: Snapshot) -> None:
        entries = list(snapshot.entries)
        assert {(entry.record.kind, entry.record.key): entry for entry in entries} == self.held
        assert len(entries) == len(self.held)
        assert snapshot.index == self.index
        assert [batch.index for batch in snapshot.recent] == list(range(snapshot.floor_index + 1, self.index + 1))
        assert [batch.changes for batch in snapshot.recent] == self.batches[snapshot.floor_index :]


REOPEN = "reopen"
_any_records = meeting_records | records
_steps = st.lists(
    st.just(REOPEN)
    | st.lists(
        st.tuples(
            st.lists(st.tuples(st.booleans(), _any_records), min_size=1, max_size=3),
            st.lists(st.tuples(meeting_records, st.sampled_from(["right", "absent", "wrong"])), max_size=2),
        ),
        min_size=1,
        max_size=6,
    ),
    min_size=1,
    max_size=6,
)


def _transaction(model: Model, wish, conditions) -> Transaction:
    """The transaction for what was drawn, with conditions as they are right just before its group."""
    changes = {(record.kind, record.key): Put(record) if is_put else Delete(record) for is_put, record in wish}
    indexes = []
    for record, rightness in conditions:
        entry = model.held.get((record.kind, record.key))
        index = {"right": entry.modify_index if entry else 0, "absent": 0, "wrong": model.index + 1}[rightness]
        indexes.append(Condition(record.kind, record.key, index))
    return Transaction(tuple(changes.values()), tuple(indexes))


async def _run_against_model(kind: SqliteKind, steps) -> None:
    model = Model()
    remaining = list(steps)
    while remaining:
        async with kind.opened(StoreSettings(log_retention_s=50)) as (store, witness, snapshot):
            model.compare(snapshot)
            while remaining and (step := remaining.pop(0)) != REOPEN:
                kind.now_s += 10
                transactions = [_transaction(model, wish, conditions) for wish, conditions in step]
                expected = [model.commit(transaction) for transaction in transactions]
                outcomes = await commit_together(kind, store, transactions)
                assert [each if isinstance(each, int) else None for each in outcomes] == expected
                assert all(isinstance(each, int | Conflict) for each in outcomes)
                assert witness.index == model.index
            assert [batch.changes for batch in witness.batches] == model.batches[snapshot.index :]
    if kind.is_durable:
        async with kind.opened() as (_, _, snapshot):
            model.compare(snapshot)


@given(_steps)
@settings(max_examples=25, deadline=None)
def test_a_store_on_disk_is_a_dict_with_a_log(steps):
    """Whatever is committed in whatever groups, reopening yields what a dict would hold, with the same indexes.

    Above all `create_index` after a put, a deletion and a put of one key within one group.
    """
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_run_against_model(SqliteKind(Path(directory)), steps))


@given(_steps.map(lambda steps: [step for step in steps if step != REOPEN]))
@settings(max_examples=25, deadline=None)
def test_a_store_in_memory_is_a_dict_with_a_log(steps):
    """Whatever is committed in whatever groups, a store in memory judges and tells it as a dict would."""
    asyncio.run(_run_against_model(SqliteKind(None), steps))


async def test_put_delete_put_in_one_group_is_a_new_record(durable_kind):
    """A record that is deleted and put again has a new create index, even if nobody saw it gone."""
    async with durable_kind.opened() as (store, _, _):
        await store.commit(put(node("old"), node("kept")))
        gone = Transaction((Delete(node("old")),))
        await commit_together(
            durable_kind,
            store,
            [put(node("new")), gone, put(node("old", "2")), put(node("old", "3")), put(node("kept", "2"))],
        )
    async with durable_kind.opened() as (_, _, snapshot):
        indexes = {entry.record.name: (entry.create_index, entry.modify_index) for entry in snapshot.entries}
        assert indexes == {"new": (2, 2), "old": (4, 5), "kept": (1, 6)}


async def test_a_proof_leaves_no_trace(kind):
    """To try whether it can be written takes no index and no batch, and what is committed around it stays."""
    async with kind.opened() as (store, witness, _):
        await store.prove()
        await store.commit(put(node("a")))
        await store.prove()
        assert await store.barrier() == 1
        assert [batch.index for batch in await store.changes(0)] == [1]
        assert [batch.index for batch in witness.batches] == [1]
        assert await store.commit(put(node("b"))) == 2


def test_a_store_has_every_method_of_the_protocol():
    """Each store offers what the protocol names."""
    for name in ("open", "commit", "changes", "barrier", "prove", "close"):
        assert asyncio.iscoroutinefunction(getattr(SqliteStore, name))
        assert getattr(SqliteStore, name).__doc__
        assert getattr(Store, name).__doc__
