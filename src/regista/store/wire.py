"""The messages between a server of a log and those who follow it, as MessagePack.

    follower                          server
    Open ─────────────────────────▶
           ◀───────────── Begin, Entries…, Recent…, Whole      everything, as of an index
           ◀─────────────────────────────── News, News, …      each batch after it, in order
           ◀─────────────────────────────────────── Aside      what is kept beside the log
    Commit, Ask ──────────────────▶
           ◀─────────────────────────────── Reply, Refusal     by the number of the question

`Begin` may come again: to a follower whose place the log does not reach back to any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import msgspec

from regista.model import (
    KINDS,
    BadInput,
    Batch,
    Cause,
    Change,
    Compacted,
    Condition,
    Conflict,
    Delete,
    Entry,
    Overloaded,
    Put,
    Record,
    RegistaError,
    StoreUnavailable,
    Transaction,
)
from regista.store.frames import frame

# ---- what is in the messages ----


class WireChange(msgspec.Struct, array_like=True, gc=False):
    """A `Put` or `Delete`; records are encoded, and what was replaced is of the same kind."""

    is_put: bool
    kind: str
    record: bytes
    replaces: bytes
    was_create_index: int
    was_modify_index: int


class WireBatch(msgspec.Struct, array_like=True, gc=False):
    """A `Batch`."""

    index: int
    at_s: float
    changes: list[WireChange]
    cause: Cause


class WireEntry(msgspec.Struct, array_like=True, gc=False):
    """An `Entry`."""

    kind: str
    record: bytes
    create_index: int
    modify_index: int


# ---- from the follower ----


class Open(msgspec.Struct, array_like=True, tag=1):
    """The first message: asks for everything, and for what comes.

    Attributes:
        name: of the follower, for the log.
    """

    name: str


class Commit(msgspec.Struct, array_like=True, tag=2):
    """A `Transaction` to be committed."""

    number: int
    changes: list[WireChange]
    conditions: list[tuple[str, str, int]]
    cause: Cause


class Ask(msgspec.Struct, array_like=True, tag=3):
    """A question to the store: `changes`, `index_at`, `barrier` or `prove`, with its arguments."""

    number: int
    what: str
    arguments: list[Any]


# ---- from the server ----


class Begin(msgspec.Struct, array_like=True, tag=11):
    """A snapshot follows."""

    index: int
    floor_index: int


class Entries(msgspec.Struct, array_like=True, tag=12):
    """Some of the snapshot's entries."""

    entries: list[WireEntry]


class Recent(msgspec.Struct, array_like=True, tag=13):
    """Some of the snapshot's recent batches."""

    batches: list[WireBatch]


class Whole(msgspec.Struct, array_like=True, tag=14):
    """The snapshot has come to its end."""


class News(msgspec.Struct, array_like=True, tag=15):
    """The next batch; and where the log begins."""

    floor_index: int
    batch: WireBatch


class Aside(msgspec.Struct, array_like=True, tag=16):
    """What is kept beside the log of a record, as of the batch before; what it means is not the store's."""

    what: str
    key: str
    text: str


class Reply(msgspec.Struct, array_like=True, tag=17):
    """The answer to a question: an index, or batches."""

    number: int
    index: int = 0
    batches: list[WireBatch] = []


class Refusal(msgspec.Struct, array_like=True, tag=18):
    """The error that a question met: its class, its text, and its other facts."""

    number: int
    error: str
    text: str
    facts: dict[str, Any]


FromFollower: TypeAlias = Open | Commit | Ask
FromServer: TypeAlias = Begin | Entries | Recent | Whole | News | Aside | Reply | Refusal

_encoder = msgspec.msgpack.Encoder()
_record_decoders = {kind: msgspec.msgpack.Decoder(record_type) for kind, record_type in KINDS.items()}

from_follower: msgspec.msgpack.Decoder[FromFollower] = msgspec.msgpack.Decoder(FromFollower)
from_server: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)


def framed(message: FromFollower | FromServer) -> bytes:
    """The message as it goes on the wire.

    Raises:
        UnicodeEncodeError, OverflowError, TypeError, msgspec.MsgspecError: it holds what can't be sent.
    """
    return frame(_encoder.encode(message))


def encode_changes(changes: Iterable[Change]) -> list[WireChange]:
    """Changes for the wire; raises as `framed`."""
    encode = _encoder.encode
    return [
        WireChange(
            isinstance(change, Put),
            change.record.kind,
            encode(change.record),
            encode(change.replaces) if isinstance(change, Put) and change.replaces is not None else b"",
            change.was_create_index,
            change.was_modify_index,
        )
        for change in changes
    ]


def decode_changes(changes: Iterable[WireChange]) -> tuple[Change, ...]:
    """Changes from the wire.

    Raises:
        KeyError, msgspec.MsgspecError: one has no sound record.
    """
    return tuple(_decode_change(change) for change in changes)


def _decode_change(change: WireChange) -> Change:
    decode = _record_decoders[change.kind].decode
    record = decode(change.record)
    was = change.was_create_index, change.was_modify_index
    if not change.is_put:
        return Delete(record, *was)
    return Put(record, decode(change.replaces) if change.replaces else None, *was)


def encode_batch(batch: Batch) -> WireBatch:
    """A batch for the wire."""
    return WireBatch(batch.index, batch.at_s, encode_changes(batch.changes), batch.cause)


def decode_batch(batch: WireBatch) -> Batch:
    """A batch from the wire."""
    return Batch(batch.index, batch.at_s, decode_changes(batch.changes), batch.cause)


def encode_entries(entries: Sequence[Entry[Record]]) -> list[WireEntry]:
    """Entries for the wire."""
    encode = _encoder.encode
    return [
        WireEntry(entry.record.kind, encode(entry.record), entry.create_index, entry.modify_index)
        for entry in entries
    ]


def decode_entry(entry: WireEntry) -> Entry[Record]:
    """An entry from the wire."""
    record = _record_decoders[entry.kind].decode(entry.record)
    return Entry(record, entry.create_index, entry.modify_index)


def encode_commit(number: int, transaction: Transaction) -> Commit:
    """A transaction for the wire; raises as `framed`."""
    conditions = [(each.kind, each.key, each.modify_index) for each in transaction.conditions]
    return Commit(number, encode_changes(transaction.changes), conditions, transaction.cause)


def decode_commit(message: Commit) -> Transaction:
    """A transaction from the wire; raises as `decode_changes`."""
    conditions = tuple(Condition(*each) for each in message.conditions)
    return Transaction(decode_changes(message.changes), conditions, message.cause)


# ---- errors ----

_FACTS: dict[type[RegistaError], tuple[str, ...]] = {
    BadInput: ("field",),
    Compacted: ("floor_index",),
    Conflict: ("index",),
    Overloaded: ("limit", "used", "most", "retry_after_s"),
    StoreUnavailable: (),
}
"""Every error that a `Store` raises once it is open, with its facts besides the text."""


def encode_error(number: int, error: RegistaError) -> Refusal:
    """An error of a store's for the wire."""
    known = next((kind for kind in _FACTS if isinstance(error, kind)), StoreUnavailable)
    return Refusal(number, known.__name__, str(error), {name: getattr(error, name) for name in _FACTS[known]})


def decode_error(refusal: Refusal) -> RegistaError:
    """An error from the wire."""
    if refusal.error == "Compacted":
        return Compacted(**refusal.facts)
    if refusal.error == "Overloaded":
        facts = dict(refusal.facts)
        return Overloaded(facts.pop("limit"), **facts)
    if refusal.error == "Conflict":
        return Conflict(refusal.text, **refusal.facts)
    if refusal.error == "BadInput":
        return BadInput(refusal.text, **refusal.facts)
    return StoreUnavailable(refusal.text)
