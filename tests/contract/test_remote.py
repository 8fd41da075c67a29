"""A replica that follows another's log over a socket: whatever happens, it comes to say the same."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import meeting_records

from regista.catalog import Asides, Catalog
from regista.model import Check, Delete, Put, Service, Transaction
from regista.store import LogServer, RemoteStore, SqliteStore, StoreSettings, unix_connection

SMALL = StoreSettings(log_bytes_min=64 * 1024, log_bytes_max=64 * 1024)


class Pair:
    """A replica with its log, and one that follows it."""

    def __init__(self, main: Catalog, store: SqliteStore, server: LogServer, other: Catalog, remote: RemoteStore):
        self.main = main
        self.store = store
        self.server = server
        self.other = other
        self.remote = remote

    def pause(self):
        """Has the follower read nothing."""
        self.remote._transport.pause_reading()

    def resume(self):
        """Has it go on."""
        self.remote._transport.resume_reading()

    async def same(self):
        """Returns once the follower has all; asserts that it says the same."""
        await self.remote.barrier()
        for _ in range(1000):
            if said(self.other) == said(self.main):
                break
            await asyncio.sleep(0.005)
        assert said(self.other) == said(self.main)
        assert self.other.index == self.main.index


def said(catalog):
    """All that a replica says: its entries, and what is beside the log."""
    asides = Asides(catalog)
    entries = {(entry.record.kind, entry.record.key): entry for entry in catalog.entries()}
    return entries, {name: text for name in asides.names() if (text := asides.text(name))}


@contextlib.asynccontextmanager
async def paired(store_settings=SMALL, *, tail_batches=4096):
    """Two replicas, of which one follows the other."""
    main, other = Catalog(), Catalog()
    store = SqliteStore(None, store_settings, wall_clock=lambda: 1000.0)
    main.load(await store.open(main.apply))
    server = LogServer(store, main, Asides(main), tail_batches=tail_batches)
    main.subscribe(server.push)
    main.subscribe_asides(server.note)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log"
        listening = await asyncio.get_running_loop().create_unix_server(server, str(path))
        remote = RemoteStore(
            unix_connection(path), name="a test", on_aside=Asides(other).say, on_renewed=other.renew
        )
        other.load(await remote.open(other.apply))
        try:
            yield Pair(main, store, server, other, remote)
        finally:
            await remote.close()
            server.close()
            listening.close()
            await store.close()


def put(*records):
    return Transaction(tuple(Put(record) for record in records))


_steps = st.lists(
    st.tuples(st.just("commit"), st.booleans(), meeting_records)
    | st.tuples(st.just("output"), st.integers(0, 3), st.text(max_size=3))
    | st.just(("pause",))
    | st.just(("resume",)),
    max_size=30,
)


@given(_steps)
@settings(max_examples=30, deadline=None)
def test_a_follower_comes_to_say_the_same(steps):
    """Whatever is committed and said beside the log, while the follower reads or not, in the end it says the same."""

    async def run():
        async with paired(tail_batches=3) as pair:
            checks = [Check(node="n", id=f"c{number}", name="c") for number in range(4)]
            await pair.store.commit(put(*checks))
            for step in steps:
                if step[0] == "commit":
                    _, is_put, record = step
                    await pair.store.commit(Transaction((Put(record) if is_put else Delete(record),)))
                elif step[0] == "output":
                    pair.main.set_output(checks[step[1]].key, step[2])
                elif step[0] == "pause":
                    pair.pause()
                else:
                    pair.resume()
            pair.resume()
            await pair.same()

    asyncio.run(run())


async def test_what_a_batch_takes_back_is_said_after_it():
    """New output of a check that has turned meanwhile reaches a follower that was behind, and is not lost."""
    async with paired() as pair:
        check = Check(node="n", id="c", name="c", status="passing", output="well")
        await pair.store.commit(put(check))
        await pair.same()
        pair.pause()
        for number in range(200):
            await pair.store.commit(
                put(Service(node="n", id="s", name="s", meta={"x": "y" * 30_000 + str(number)}))
            )
        pair.main.set_output(check.key, "still well")
        await pair.store.commit(put(Check(node="n", id="c", name="c", status="critical", output="ill")))
        pair.main.set_output(check.key, "more ill")
        pair.resume()
        await pair.same()
        entry = pair.other.checks[check.key]
        assert (entry.record.status, pair.other.output(entry)) == ("critical", "more ill")


async def test_a_follower_that_the_log_has_left_behind_gets_a_snapshot():
    """A follower whose place is no longer in the log starts again, in place; who waits there is woken."""
    async with paired(tail_batches=2) as pair:
        web = Service(node="n", id="web", name="web")
        gone = Service(node="n", id="gone", name="gone")
        await pair.store.commit(put(web, gone))
        await pair.same()
        woken = []
        for name in ("service/web", "service/gone", "service/new"):
            pair.other.topics.watch((name,), lambda name=name: woken.append(name))
        pair.pause()
        await pair.store.commit(Transaction((Delete(gone),)))
        for number in range(300):
            await pair.store.commit(
                put(Service(node="n", id="web", name="web", meta={"x": "y" * 30_000 + str(number)}))
            )
        await pair.store.commit(put(Service(node="n", id="new", name="new")))
        assert pair.store.floor_index > 2
        pair.resume()
        await pair.same()
        assert pair.server.snapshots_count == 2
        assert set(woken) == {"service/web", "service/gone", "service/new"}
        topics = pair.other.topics
        assert topics.index(("service/web",)) >= pair.main.topics.index(("service/web",))


async def test_a_follower_keeps_what_it_has_when_the_server_goes():
    """When the connection ends, the replica can still be read, and each write says that the server is away."""
    async with paired() as pair:
        await pair.store.commit(put(Service(node="n", id="web", name="web")))
        await pair.same()
        pair.server.close()
        await pair.remote.lost.wait()
        assert list(pair.other.services) == ["n/web"]
        outcome = await asyncio.gather(
            pair.remote.commit(put(Service(node="n", id="x", name="x"))), return_exceptions=True
        )
        assert "away" in str(outcome[0])
