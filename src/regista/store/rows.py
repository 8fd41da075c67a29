"""Transactions as the rows of the SQLite file, and back.

Whatever goes in must come out again at the next start, so a transaction that would not is refused before it is
acknowledged, and a row that does not is damage.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from regista.model import (
    UNKNOWN_CAUSE,
    BadInput,
    Batch,
    Cause,
    Change,
    Delete,
    Entry,
    Put,
    Record,
    Transaction,
    decode_record,
    encode_record,
)


class EncodedChange(msgspec.Struct, frozen=True, gc=False):
    """A change as the tables keep it; `value` is the record's JSON."""

    is_put: bool
    kind: str
    key: str
    value: bytes


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """A transaction as the tables keep it.

    Attributes:
        conditions: kind, key and index of each.
        log_text, cause_text: its row in the log.
    """

    changes: tuple[EncodedChange, ...]
    conditions: tuple[tuple[str, str, int], ...]
    log_text: bytes
    cause_text: bytes

    @property
    def log_bytes(self) -> int:
        """The texts of its row in the log together."""
        return len(self.log_text) + len(self.cause_text)


def stored_key(key: str) -> str:
    """The key as it stands in the file: NUL, at which SQLite's JSON functions end a text, is escaped."""
    if "\x00" in key or "\x01" in key:
        return key.replace("\x01", "\x01a").replace("\x00", "\x01b")
    return key


def encode_transaction(transaction: Transaction) -> Encoded:
    """The transaction as the tables keep it.

    Raises:
        BadInput: it could not be read back: a text that is no Unicode, a number out of range, a value of a type
            that its field does not have.
    """
    changes: list[EncodedChange] = []
    log_parts: list[bytes] = []
    try:
        for change in transaction.changes:
            encoded = _encode_change(change)
            changes.append(encoded)
            kind = encoded.kind.encode()
            if isinstance(change, Put) and change.replaces is not None:
                log_parts.append(b'["was","%b",%b]' % (kind, encode_record(change.replaces)))
            if change.was_modify_index:
                log_parts.append(b'["at","",[%d,%d]]' % (change.was_create_index, change.was_modify_index))
            log_parts.append(b'["%b","%b",%b]' % (b"put" if encoded.is_put else b"delete", kind, encoded.value))
        conditions = tuple((each.kind, stored_key(each.key), each.modify_index) for each in transaction.conditions)
        msgspec.json.encode(conditions)
        cause = transaction.cause
        cause_text = b"" if cause == UNKNOWN_CAUSE else msgspec.json.encode(cause)
    except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, TypeError) as error:
        raise BadInput(
            f"the record can't be kept: {error}. Send text in UTF-8 and values of the fields' types."
        ) from error
    return Encoded(tuple(changes), conditions, b"[%b]" % b",".join(log_parts), cause_text)


def fold(batches: Sequence[tuple[Batch, Encoded]]) -> tuple[list[Any], list[Any], list[Any]]:
    """What the batches come to together: rows to put, keys to delete first, rows for the log.

    A row to put holds the index that created it if nothing stood there before, and the one that last changed it.
    """
    puts: dict[tuple[str, str], list[Any]] = {}
    deletes: dict[tuple[str, str], None] = {}
    log_rows: list[Any] = []
    for batch, encoded in batches:
        for change in encoded.changes:
            key = (change.kind, change.key)
            if change.is_put:
                created = puts[key][2] if key in puts else batch.index
                puts[key] = [*key, created, batch.index, change.value.decode()]
            else:
                puts.pop(key, None)
                deletes[key] = None
        log_rows.append([batch.index, batch.at_s, encoded.log_text.decode(), encoded.cause_text.decode()])
    return list(puts.values()), list(deletes), log_rows


def decode_entry(kind: str, key: str, create_index: int, modify_index: int, value: str) -> Entry[Record]:
    """The entry in a row of `record`.

    Raises:
        KeyError, TypeError, ValueError, msgspec.MsgspecError: it is not such a row.
    """
    record = decode_record(kind, value)
    if stored_key(record.key) != key or not 0 < create_index <= modify_index:
        raise ValueError(f"{kind} {key} does not fit its row")
    return Entry(record, create_index, modify_index)


def decode_changes(text: str) -> tuple[Change, ...]:
    """The changes in a row of the log.

    Raises:
        KeyError, TypeError, ValueError, msgspec.MsgspecError: it is not such a row.
    """
    return tuple(_read_changes(_changes_decoder.decode(text)))


def decode_cause(text: str) -> Cause:
    """The cause in a row of the log; unknown where the row is from before causes were kept.

    Raises:
        msgspec.MsgspecError: it is not such a row.
    """
    return _decode_cause(text) if text else UNKNOWN_CAUSE


# The same caller writes again and again, and its rows then share one cause.
_decode_cause = functools.lru_cache(maxsize=1024)(msgspec.json.Decoder(Cause).decode)
_changes_decoder = msgspec.json.Decoder(list[tuple[str, str, msgspec.Raw]])
_indexes_decoder = msgspec.json.Decoder(tuple[int, int])


def _read_changes(parts: Sequence[tuple[str, str, msgspec.Raw]]) -> Iterator[Change]:
    replaces: Record | None = None
    was = (0, 0)
    for verb, kind, value in parts:
        if verb == "at":
            was = _indexes_decoder.decode(value)
            continue
        record = decode_record(kind, bytes(value))
        if verb == "was":
            replaces = record
            continue
        if verb == "put":
            yield Put(record, replaces, *was)
        elif verb == "delete":
            yield Delete(record, *was)
        else:
            raise ValueError(f"{verb!r} is no change")
        replaces, was = None, (0, 0)


def _encode_change(change: Change) -> EncodedChange:
    record = change.record
    value = encode_record(record)
    is_put = isinstance(change, Put)
    if is_put:
        # A record that was built with wrong types encodes well, and would keep the store from opening ever again.
        decode_record(record.kind, value)
    return EncodedChange(is_put, record.kind, stored_key(record.key), value)
