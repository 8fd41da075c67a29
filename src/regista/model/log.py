"""The words of the ordered log: what a writer asks for, and what every replica is told.

A `Transaction` is a wish: changes that come into force together, if its conditions hold. A `Batch` is the same
changes after they were given their place in the log. One index per transaction; nothing shares an index, and
nothing has two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeAlias, TypeVar

import msgspec

from regista.model.causes import UNKNOWN_CAUSE, Cause
from regista.model.records import Record

R_co = TypeVar("R_co", bound=Record, covariant=True)


class Put(msgspec.Struct, frozen=True, gc=False):
    """This record is what its kind and key stand for from now on.

    Attributes:
        replaces: the record that stood there, so that a reader of the log knows what has gone.
        was_create_index, was_modify_index: that record's indexes, so that it can be put back as it was; 0 if there
            was none, or they are not known.
    """

    record: Record
    replaces: Record | None = None
    was_create_index: int = 0
    was_modify_index: int = 0


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Nothing stands for this record's kind and key any more.

    Carries the record as it was, so that a reader of the log knows what has gone.

    Attributes:
        was_create_index, was_modify_index: see `Put`.
    """

    record: Record
    was_create_index: int = 0
    was_modify_index: int = 0


Change: TypeAlias = Put | Delete


class Condition(msgspec.Struct, frozen=True, gc=False):
    """The record of this kind and key was last changed at `modify_index`; 0 if there must be none."""

    kind: str
    key: str
    modify_index: int


class Transaction(msgspec.Struct, frozen=True):
    """Changes that commit together or not at all; no two of them name the same kind and key."""

    changes: tuple[Change, ...] = ()
    conditions: tuple[Condition, ...] = ()
    cause: Cause = UNKNOWN_CAUSE


class Batch(msgspec.Struct, frozen=True):
    """A committed transaction.

    Attributes:
        index: its place in the log, above every earlier one.
        at_s: when it was committed, in seconds since the epoch; for people, not for ordering.
        cause: who brought it about, and why.
    """

    index: int
    at_s: float
    changes: tuple[Change, ...]
    cause: Cause = UNKNOWN_CAUSE


class Entry(msgspec.Struct, Generic[R_co], frozen=True, gc=False):
    """A record with the index that created it and the index that last changed it."""

    record: R_co
    create_index: int
    modify_index: int


class Snapshot(msgspec.Struct, frozen=True):
    """All that a new replica needs.

    Attributes:
        index: the index of the last transaction in it; 0 for an empty store.
        floor_index: the log still has every batch after this one.
        entries: every record, in no particular order; may be read once.
        recent: the batches after `floor_index`, oldest first; they are contained in `entries` already.
    """

    index: int
    floor_index: int
    entries: Iterable[Entry[Record]]
    recent: Iterable[Batch]
