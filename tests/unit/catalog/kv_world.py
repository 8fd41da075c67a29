"""A replica that plans are committed to, and keys as a simple dict knows them; for the tests of keys and locks."""

from __future__ import annotations

import dataclasses

from regista.catalog import Catalog, LockDelays, create_session, plan_kv
from regista.model import Batch, Check, Conflict, KvEntry, Node, Put, Session, Transaction

NODE = "n1"
NOW_S = 1000.0
IDS = tuple(f"{number:08d}-0000-4000-8000-000000000000" for number in range(1, 40))


class World:
    """A replica with a node and two checks, a clock, and the lock-delays."""

    def __init__(self, **limits):
        self.now_s = NOW_S
        self.catalog = Catalog(**limits)
        self.delays = LockDelays(self.catalog, clock=lambda: self.now_s)
        checks = (Check(node=NODE, id=name, name=name, status="passing") for name in ("serfHealth", "c"))
        self.commit(Transaction((Put(Node(name=NODE)), *map(Put, checks))))

    def commit(self, transaction):
        """The index after it.

        Raises:
            Conflict: a condition does not hold.
        """
        for condition in transaction.conditions:
            found = self.catalog.find(condition.kind, condition.key)
            if (found.modify_index if found else 0) != condition.modify_index:
                raise Conflict("another was faster", index=self.catalog.index)
        if transaction.changes:
            self.catalog.apply(Batch(self.catalog.index + 1, NOW_S, transaction.changes))
        return self.catalog.index

    def step(self, step):
        """Makes one step, and commits it; whether it could be made."""
        is_done, transaction = plan_kv(self.catalog, step)
        self.commit(transaction)
        return is_done

    def session(self, number=0, *, checks=("serfHealth",), **fields):
        """A new session; its id."""
        session = Session(id=IDS[number], node=NODE, node_checks=checks, **({"lock_delay_s": 0.0} | fields))
        self.commit(create_session(self.catalog, session))
        return session.id

    def record(self, key):
        entry = self.catalog.kv.entries.get(key)
        return entry.record if entry else None


@dataclasses.dataclass
class Row:
    """A key as the model knows it."""

    value: bytes
    flags: int
    lock_index: int
    session: str
    create_index: int
    modify_index: int

    @property
    def content(self):
        return (self.value, self.flags, self.lock_index, self.session)


def rows_of(catalog):
    """The keys of a replica in the model's form."""
    return {
        key: Row(
            entry.record.value,
            entry.record.flags,
            entry.record.lock_index,
            entry.record.session,
            entry.create_index,
            entry.modify_index,
        )
        for key, entry in catalog.kv.entries.items()
    }


def entry(key, value=b"", *, flags=0, session=""):
    return KvEntry(key=key, value=value, flags=flags, session=session)
