"""What only the SQLite store promises: its lock, its file, its way with damage, full disks and growth."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from regista.model import (
    UNKNOWN_CAUSE,
    Batch,
    Change,
    Condition,
    Delete,
    Entry,
    Node,
    Put,
    RegistaError,
    Service,
    Snapshot,
    StoreDamaged,
    StoreInUse,
    StoreTooNew,
    StoreUnavailable,
    Transaction,
)
from regista.store import SqliteStore, StoreSettings, schema
from regista.store.retention import row_room_bytes
from regista.store.sqlite import FILE_NAME

PAGE_BYTES = 4096


@contextlib.asynccontextmanager
async def opened(
    directory: Path, settings: StoreSettings | None = None, *, batches: list[Batch] | None = None
) -> AsyncIterator[tuple[SqliteStore, Snapshot]]:
    """An open store, closed at the end."""
    store = SqliteStore(directory, settings or StoreSettings(), wall_clock=lambda: 1000.0)
    snapshot = await store.open((batches if batches is not None else []).append)
    try:
        yield store, snapshot
    finally:
        await store.close()


def put(*names: str, address: str = "") -> Transaction:
    return Transaction(tuple(Put(Node(name=name, address=address)) for name in names))


async def fill(directory: Path) -> Path:
    """The file of a closed store with 300 records and as many batches; some 60 pages."""
    async with opened(directory) as (store, _):
        await asyncio.gather(*(store.commit(put(f"node-{i:03}", address="x" * 200)) for i in range(300)))
    return directory / FILE_NAME


def digests(directory: Path) -> dict[str, str]:
    """What the files of the store hold, without what SQLite makes anew for each reader."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.iterdir()
        if path.name.startswith(FILE_NAME) and not path.name.endswith("-shm")
    }


# ---- one agent a directory ----


async def test_a_second_agent_is_refused(tmp_path):
    """A directory belongs to one agent; another is told whose it is and what to do."""
    async with opened(tmp_path) as (store, _):
        with pytest.raises(StoreInUse) as caught:
            await SqliteStore(tmp_path, StoreSettings(), wall_clock=lambda: 0.0).open(lambda _: None)
        assert f"(pid {os.getpid()})" in str(caught.value)
        assert str(tmp_path) in str(caught.value)
        assert "--data-dir" in str(caught.value)
        assert await store.commit(put("still-mine")) == 1
    async with opened(tmp_path) as (_, snapshot):
        assert snapshot.index == 1


async def test_a_lock_that_was_left_behind_is_no_lock(tmp_path):
    """The lock ends with its process: the file of an agent that was killed keeps nobody out."""
    (tmp_path / "regista.lock").write_text("4194303\n")
    async with opened(tmp_path) as (store, _):
        assert await store.commit(put("n")) == 1


async def test_a_store_that_could_not_be_opened_lets_the_directory_go(tmp_path):
    """After a refusal because of damage the directory is free again, so a restored file can be opened."""
    path = await fill(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreDamaged):
        async with opened(tmp_path):
            pass
    path.write_bytes(sound)
    async with opened(tmp_path) as (_, snapshot):
        assert snapshot.index == 300


async def test_a_directory_is_made_for_its_owner_alone(tmp_path):
    """A data directory that is not there is made, and nobody else may look into it."""
    directory = tmp_path / "a" / "b"
    async with opened(directory):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


# ---- damage ----


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def _a_few_bytes(path: Path) -> None:
    path.write_bytes(b"not a database")


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _header_only(path: Path) -> None:
    os.truncate(path, 100)


def _odd_length(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 3 * PAGE_BYTES - 1000)


def _overwrite(path: Path, offset: int, value: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(value)


def _pages_in_the_middle(path: Path) -> None:
    _overwrite(path, 10 * PAGE_BYTES, random.Random(2).randbytes(3 * PAGE_BYTES))


def _pages_of_zeros(path: Path) -> None:
    _overwrite(path, 10 * PAGE_BYTES, bytes(3 * PAGE_BYTES))


def _header_of_zeros(path: Path) -> None:
    _overwrite(path, 0, bytes(100))


def _all_zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _text_that_is_no_utf8(path: Path) -> None:
    data = path.read_bytes()
    _overwrite(path, data.index(b"xxxx"), b"\xff")


def _json_that_is_none(path: Path) -> None:
    data = path.read_bytes()
    _overwrite(path, data.index(b'{"name":"node-'), b"[")


def _sql(*statements: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)

    return damage


def _another_applications(*pragmas: str) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink()
        _sql(*pragmas, "CREATE TABLE album (title TEXT)", "INSERT INTO album VALUES ('Blue')")(path)

    return replace


DAMAGES: dict[str, tuple[Callable[[Path], None], type[RegistaError], str]] = {
    "garbage": (_garbage, StoreDamaged, "is damaged"),
    "a few bytes": (_a_few_bytes, StoreDamaged, "is damaged"),
    "half": (_half, StoreDamaged, "is damaged"),
    "header only": (_header_only, StoreDamaged, "is damaged"),
    "odd length": (_odd_length, StoreDamaged, "is damaged"),
    "pages in the middle": (_pages_in_the_middle, StoreDamaged, "is damaged"),
    "pages of zeros": (_pages_of_zeros, StoreDamaged, "is damaged"),
    "header of zeros": (_header_of_zeros, StoreDamaged, "is damaged"),
    "all zeros": (_all_zeros, StoreDamaged, "is damaged"),
    "text that is no UTF-8": (_text_that_is_no_utf8, StoreDamaged, "is damaged"),
    "JSON that is none": (_json_that_is_none, StoreDamaged, "is damaged"),
    "a table is missing": (_sql("DROP TABLE state"), StoreDamaged, "is damaged"),
    "no state": (_sql("DELETE FROM state"), StoreDamaged, "is damaged"),
    "state is text": (_sql("UPDATE state SET last_index = 'x'"), StoreDamaged, "is damaged"),
    "index behind": (_sql("UPDATE state SET last_index = 7"), StoreDamaged, "is damaged"),
    "unknown kind": (_sql("UPDATE record SET kind = 'horse'"), StoreDamaged, "is damaged"),
    "key of another": (_sql("UPDATE record SET key = 'x' WHERE key = 'node-007'"), StoreDamaged, "is damaged"),
    "log row": (_sql("UPDATE log SET changes = '[1]' WHERE idx = 7"), StoreDamaged, "is damaged"),
    "log verb": (_sql("""UPDATE log SET changes = '[["?","node",{"name":"n"}]]'"""), StoreDamaged, "is damaged"),
    "another application's": (_another_applications(), StoreDamaged, "not one of Regista's"),
    "another's in WAL": (_another_applications("PRAGMA journal_mode = WAL"), StoreDamaged, "not one of Regista's"),
    "another's, vacuumed": (
        _another_applications("PRAGMA auto_vacuum = FULL"),
        StoreDamaged,
        "not one of Regista's",
    ),
    "another's number": (_another_applications("PRAGMA user_version = 99"), StoreDamaged, "not one of Regista's"),
    "too new": (_sql("PRAGMA user_version = 99"), StoreTooNew, "schema version 99"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damage_is_told_and_nothing_is_touched(tmp_path, damage):
    """A file that can't be trusted is refused with what it is and what to do, and not a byte of it changes."""
    do_damage, error, words = DAMAGES[damage]
    path = await fill(tmp_path)
    do_damage(path)
    before = digests(tmp_path)
    with pytest.raises(error) as caught:
        async with opened(tmp_path):
            pass
    assert type(caught.value) is error
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert digests(tmp_path) == before


async def _copy_of_a_running_store(source: Path, target: Path) -> None:
    """Copies the files as a killed agent leaves them: what was written last is in the journal only."""
    os.mkdir(target)  # noqa: PTH102 - ruff takes Path.mkdir in a coroutine for slow
    await fill(source)
    async with opened(source) as (store, _):
        await store.commit(put("last", address="in the journal"))
        for name in (FILE_NAME, FILE_NAME + "-wal"):
            shutil.copy(source / name, target / name)
    assert (target / (FILE_NAME + "-wal")).stat().st_size


async def test_a_killed_agent_loses_nothing(tmp_path):
    """A file with its journal beside it is opened with everything that was acknowledged."""
    await _copy_of_a_running_store(tmp_path / "a", tmp_path / "b")
    async with opened(tmp_path / "b") as (store, snapshot):
        assert snapshot.index == 301
        assert "last" in {entry.record.name for entry in snapshot.entries}
        assert await store.commit(put("next")) == 302


async def test_damage_beside_a_journal_is_left_alone(tmp_path):
    """The journal that a killed agent left is not written into a damaged file."""
    await _copy_of_a_running_store(tmp_path / "a", tmp_path / "b")
    _pages_in_the_middle(tmp_path / "b" / FILE_NAME)
    before = digests(tmp_path / "b")
    with pytest.raises(StoreDamaged):
        async with opened(tmp_path / "b"):
            pass
    assert digests(tmp_path / "b") == before


async def test_a_torn_journal_ends_where_it_is_sound(tmp_path):
    """A journal that was cut short by a power cut holds no half of a transaction."""
    await _copy_of_a_running_store(tmp_path / "a", tmp_path / "b")
    journal = tmp_path / "b" / (FILE_NAME + "-wal")
    os.truncate(journal, journal.stat().st_size - 100)
    async with opened(tmp_path / "b") as (store, snapshot):
        assert snapshot.index == 300
        assert "last" not in {entry.record.name for entry in snapshot.entries}
        assert await store.commit(put("next")) == 301


@pytest.mark.parametrize("name", [FILE_NAME, FILE_NAME + "-wal"])
async def test_an_empty_file_is_a_new_store(tmp_path, name):
    """A file of no length, as a full disk may leave it, holds nothing that could be lost."""
    (tmp_path / name).touch()
    async with opened(tmp_path) as (store, snapshot):
        assert snapshot.index == 0
        assert await store.commit(put("n")) == 1


# ---- permissions and full disks ----


@contextlib.contextmanager
def _directory_of_somebody_else(mode: int) -> Iterator[Path]:
    """A directory with this mode, and no rights beyond it, not even root's."""
    with tempfile.TemporaryDirectory() as outer:
        directory = Path(outer) / "data"
        directory.mkdir()
        is_root = os.geteuid() == 0
        if is_root:
            os.chown(outer, 65534, 65534)
            os.chown(directory, 65534, 65534)
        directory.chmod(mode)
        try:
            if is_root:
                os.seteuid(65534)
            yield directory
        finally:
            if is_root:
                os.seteuid(0)
            directory.chmod(0o700)


@pytest.mark.parametrize("mode", [0o500, 0o000])
async def test_a_directory_that_may_not_be_written_is_told(mode):
    """Without the right to write into the directory the store says so, with the way out."""
    with _directory_of_somebody_else(mode) as directory:
        with pytest.raises(StoreUnavailable) as caught:
            async with opened(directory):
                pass
        assert str(directory) in str(caught.value)
        assert "permissions" in str(caught.value)


async def test_a_file_that_may_not_be_written_is_told():
    """With a file that may only be read, or not even that, the store says so and does not call it damaged."""
    with _directory_of_somebody_else(0o700) as directory:
        path = await fill(directory)
        for mode in (0o400, 0o000):
            path.chmod(mode)
            with pytest.raises(StoreUnavailable, match="permissions"):
                async with opened(directory):
                    pass
        path.chmod(0o600)
        async with opened(directory) as (_, snapshot):
            assert snapshot.index == 300


async def test_a_file_where_the_directory_should_be_is_told(tmp_path):
    """A data directory that is a file is refused with its name."""
    (tmp_path / "data").write_text("a file")
    with pytest.raises(StoreUnavailable, match="data directory"):
        async with opened(tmp_path / "data"):
            pass


async def _sql_in(store: SqliteStore, statement: str) -> int:
    """The number that a statement gives, through the store's own connection."""
    return await store._in_writer(lambda: int(store._file._connection.execute(statement).fetchone()[0]))


async def test_a_full_disk_stops_writes_only(tmp_path):
    """On a full disk each write is refused whole; when there is room again, the next one goes through."""
    batches: list[Batch] = []
    async with opened(tmp_path, batches=batches) as (store, _):
        await store.commit(put("before"))
        pages = await _sql_in(store, "PRAGMA page_count")
        await _sql_in(store, f"PRAGMA max_page_count = {pages + 2}")
        for _ in range(3):
            outcomes = await asyncio.gather(
                *(store.commit(put(f"big-{i}", "before", address="x" * 50_000)) for i in range(4)),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 4
            assert "full" in str(outcomes[0])
            assert "Reads go on" in str(outcomes[0])
        assert [batch.index for batch in batches] == [1]
        assert await store.barrier() == 1
        assert [batch.index for batch in await store.changes(0)] == [1]
        small = Transaction(put("small").changes, (Condition("node", "before", 1),))
        assert await store.commit(small) == 2
        await _sql_in(store, "PRAGMA max_page_count = 100000")
        assert await store.commit(put("big-0", address="x" * 50_000)) == 3
    async with opened(tmp_path) as (_, snapshot):
        assert snapshot.index == 3
        assert {entry.record.name for entry in snapshot.entries} == {"before", "small", "big-0"}
        assert list(snapshot.recent) == batches


async def test_an_outage_is_logged_once_at_its_beginning_and_at_its_end(tmp_path, caplog):
    """However many writes fail, the log has one line for the cause, and one when writes go through again."""
    async with opened(tmp_path) as (store, _):
        await store.commit(put("a"))
        for end in (store.prove, lambda: store.commit(put("b"))):
            await store._in_writer(lambda: store._file._connection.execute("PRAGMA query_only = 1"))
            for _ in range(3):
                with pytest.raises(StoreUnavailable):
                    await store.commit(put("c"))
            await store._in_writer(lambda: store._file._connection.execute("PRAGMA query_only = 0"))
            await end()
            await end()
    file = tmp_path / FILE_NAME
    begun = f"{file} can't be written: attempt to write a readonly database. Reads go on; nothing new is kept"
    assert [record.getMessage() for record in caplog.records] == [begun, f"{file} can be written again"] * 2


async def test_a_file_is_no_data_directory(tmp_path):
    """Where a file stands in the directory's place, that is said."""
    path = tmp_path / "data"
    path.write_text("")
    with pytest.raises(StoreUnavailable, match=r"data can't be used: it is no directory\. "):
        await SqliteStore(path, StoreSettings(), wall_clock=lambda: 0.0).open(lambda _: None)


async def test_a_proof_tells_a_store_that_cannot_be_written(tmp_path):
    """A store that takes no writes says so when it is tried, again and again, and no longer once it does."""
    async with opened(tmp_path) as (store, _):
        await store._in_writer(lambda: store._file._connection.execute("PRAGMA query_only = 1"))
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="can't be written"):
                await store.prove()
        await store._in_writer(lambda: store._file._connection.execute("PRAGMA query_only = 0"))
        await store.prove()
        assert await store.commit(put("a")) == 1


async def test_a_failing_read_is_an_answer_too(tmp_path):
    """If conditions can't be looked up, whoever waits is told; nobody hangs and later writes go on."""
    async with opened(tmp_path) as (store, _):
        await store.commit(put("a"))
        await store._in_writer(lambda: store._file._connection.execute("ALTER TABLE record RENAME TO away"))
        wish = Transaction(put("b").changes, (Condition("node", "b", 0),))
        outcomes = await asyncio.gather(store.commit(wish), store.commit(wish), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
        await store._in_writer(lambda: store._file._connection.execute("ALTER TABLE away RENAME TO record"))
        assert await store.commit(wish) == 2


async def test_a_log_that_cannot_be_read_is_told_in_our_words(tmp_path):
    """Whoever asks for changes gets one of the store's errors, not SQLite's."""
    async with opened(tmp_path) as (store, _):
        await store.commit(put("a"))
        await store._in_writer(lambda: store._file._connection.execute("UPDATE log SET changes = '[[]]'"))
        with pytest.raises(StoreDamaged, match="is damaged"):
            await store.changes(0)


async def test_keys_with_nul_are_kept_apart(tmp_path):
    """NUL ends no name: two keys that differ behind it are two records, also after reopening."""
    names = ["a", "a\x00", "a\x00b", "a\x00c", "a\x01", "a\x01a", "a\x01b"]
    async with opened(tmp_path) as (store, _):
        for i, name in enumerate(names, start=1):
            wish = Transaction(put(name).changes, (Condition("node", name, 0),))
            assert await store.commit(wish) == i
        await store.commit(Transaction((Delete(Node(name="a\x00b")),), (Condition("node", "a\x00b", 3),)))
    async with opened(tmp_path) as (_, snapshot):
        assert sorted(entry.record.name for entry in snapshot.entries) == sorted(set(names) - {"a\x00b"})


# ---- the schema ----


def _schema_of(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


@pytest.mark.parametrize("version", range(schema.VERSION + 1))
def test_every_older_file_becomes_a_current_one(version):
    """From each version the migrations lead to the schema of a new file, and say so in its number."""
    with (
        contextlib.closing(schema.connect(None)) as old,
        contextlib.closing(schema.connect(None)) as new,
    ):
        for step in schema.MIGRATIONS[:version]:
            step(old)
        old.execute(f"PRAGMA user_version = {version}")
        for connection in (old, new):
            schema.migrate(connection)
            assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert _schema_of(old) == _schema_of(new)
        schema.migrate(new)
        assert _schema_of(old) == _schema_of(new)


async def test_a_file_of_version_1_is_read(tmp_path):
    """What an agent from before causes were kept has written is all there, with causes that are not known."""
    node, changed = Node(name="n", address="1"), Node(name="n", address="2")
    with contextlib.closing(schema.connect(tmp_path / FILE_NAME)) as old:
        schema.MIGRATIONS[0](old)
        old.execute("PRAGMA user_version = 1")
        old.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        value = '{"name":"n","address":"2"}'
        old.execute("INSERT INTO record VALUES ('node', 'n', 1, 2, ?)", (value,))
        old.execute('INSERT INTO log VALUES (1, 900.0, \'[["put","node",{"name":"n","address":"1"}]]\')')
        was = '["was","node",{"name":"n","address":"1"}]'
        old.execute("INSERT INTO log VALUES (2, 901.0, ?)", (f'[{was},["put","node",{value}]]',))
        old.execute("UPDATE state SET last_index = 2")
    async with opened(tmp_path) as (store, snapshot):
        assert list(snapshot.entries) == [Entry(changed, 1, 2)]
        wanted = [Batch(1, 900.0, (Put(node),)), Batch(2, 901.0, (Put(changed, node),))]
        assert list(snapshot.recent) == wanted
        assert list(await store.changes(0)) == wanted
        assert {batch.cause for batch in wanted} == {UNKNOWN_CAUSE}
        assert await store.commit(put("m")) == 3
    async with opened(tmp_path) as (_, snapshot):
        assert snapshot.index == 3


async def test_the_file_says_whose_it_is(tmp_path):
    """The file carries Regista's application id and the version of its schema, for people and for `file`."""
    path = await fill(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert schema.APPLICATION_ID.to_bytes(4, "big") == b"RGIS"


async def test_the_file_can_be_read_with_the_sqlite3_command(tmp_path):
    """When all else fails, a person finds the records as JSON text under their kind and key."""
    path = await fill(tmp_path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        row = connection.execute("SELECT json_extract(value, '$.name') FROM record WHERE key = 'node-007'")
        assert row.fetchone() == ("node-007",)


# ---- growth ----


def test_a_row_takes_at_least_its_length():
    """The room that a row takes is never less than its text, and never more than a page and a half beyond it."""
    for text_bytes in range(0, 20_000, 7):
        room_bytes = row_room_bytes(text_bytes)
        assert text_bytes < room_bytes <= max(2 * text_bytes + 40, text_bytes + 1.5 * PAGE_BYTES)


def _service(number: int, port: int, meta_bytes: int) -> Service:
    return Service(
        node=f"node-{number % 97}",
        id=f"service-{number}",
        name=f"name-{number % 500}",
        port=port,
        tags=("primary", "v1"),
        meta={"version": "1.2.3", "note": "x" * meta_bytes},
        incarnation=f"{number:032x}",
    )


async def _churn(directory: Path, rng: random.Random, *, changes_count: int, ids_count: int, meta_bytes: int):
    """Registers and deregisters at random, two hundred transactions of ten changes at once.

    Returns:
        The bytes of the open store's files, the largest and the last, and the services that are left.
    """
    held: dict[int, Service] = {}
    sizes = []
    async with opened(directory) as (store, _):
        for _ in range(changes_count // 2000):
            numbers = iter(rng.sample(range(ids_count), 2000))
            transactions = []
            for ten in zip(*[numbers] * 10, strict=True):
                changes: list[Change] = []
                for number in ten:
                    if number in held and rng.random() < 0.5:
                        changes.append(Delete(held.pop(number)))
                    else:
                        held[number] = _service(number, rng.randrange(65536), meta_bytes)
                        changes.append(Put(held[number]))
                transactions.append(Transaction(tuple(changes)))
            await asyncio.gather(*map(store.commit, transactions))
            sizes.append(_files_bytes(directory))
    return max(sizes), sizes[-1], list(held.values())


def _files_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir() if not path.name.endswith("-shm"))


async def _bytes_of_a_fresh_store(directory: Path, services: Sequence[Service]) -> int:
    """The file of a store that holds these services and no history."""
    async with opened(directory, StoreSettings(log_retention_s=0)) as (store, _):
        for begin in range(0, len(services), 1000):
            await store.commit(Transaction(tuple(map(Put, services[begin : begin + 1000]))))
        await store._in_writer(lambda: store._file._connection.execute("DELETE FROM log"))
        await store._in_writer(lambda: store._file._connection.execute("VACUUM"))
    return _files_bytes(directory)


@pytest.mark.parametrize(
    ("changes_count", "ids_count", "meta_bytes"),
    [(200_000, 30_000, 200), (30_000, 6_000, 2_000)],
    ids=["usual records", "records a little above half a page"],
)
async def test_churn_does_not_grow_the_file(tmp_path, record_property, changes_count, ids_count, meta_bytes):
    """However often services come and go, the file with its journal stays within three times the live records."""
    rng = random.Random(20)
    largest, last, services = await _churn(
        tmp_path / "churned", rng, changes_count=changes_count, ids_count=ids_count, meta_bytes=meta_bytes
    )
    live = await _bytes_of_a_fresh_store(tmp_path / "fresh", services)
    record_property("live_bytes", live)
    record_property("largest", largest / live)
    record_property("last", last / live)
    assert last <= 3 * live
    assert largest <= 3 * live
