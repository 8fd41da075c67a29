"""Keys, locks, sessions and transactions against a dict that does the same in the simplest way."""

from __future__ import annotations

import copy

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.catalog.kv_world import IDS, NODE, Row, World, entry, rows_of

from regista.catalog import (
    KvOperation,
    acquire_key,
    delete_key,
    delete_key_at,
    delete_keys,
    destroy_session,
    plan_kv,
    plan_operations,
    release_key,
    set_check_status,
    set_key,
    set_key_at,
)
from regista.catalog.session_writes import create_session
from regista.model import BadInput, Conflict, Session, node_item_key

KEYS = ("a", "a/b", "a/c", "b")
PREFIXES = ("", "a", "a/", "b", "none")

keys = st.sampled_from(KEYS)
values = st.sampled_from([b"", b"1", b"2"])
flags = st.sampled_from([0, 2**64 - 1])
numbers = st.integers(0, 3)
guesses = st.sampled_from(["right", "wrong", "zero"])


class Model:
    """What a dict makes of each operation; `index` is that of the transaction that it is part of."""

    def __init__(self):
        self.rows = {}
        self.sessions = {}

    def write(self, key, value, flags, *, lock_index, session, index):
        before = self.rows.get(key)
        row = Row(value, flags, lock_index, session, before.create_index if before else index, index)
        if before is None or before.content != row.content:
            self.rows[key] = row

    def set(self, key, value, flags, index):
        before = self.rows.get(key)
        self.write(key, value, flags, lock_index=0, session=before.session if before else "", index=index)
        return True

    def cas(self, key, value, flags, at, index):
        before = self.rows.get(key)
        return (before.modify_index if before else 0) == at and self.set(key, value, flags, index)

    def lock(self, key, value, flags, session, index):
        before = self.rows.get(key)
        if before and before.session not in ("", session):
            return False
        lock_index = before.lock_index if before else 0
        if not (before and before.session):
            lock_index += 1
        self.write(key, value, flags, lock_index=lock_index, session=session, index=index)
        return True

    def unlock(self, key, value, flags, session, index):
        before = self.rows.get(key)
        if not before or before.session != session:
            return False
        self.write(key, value, flags, lock_index=before.lock_index, session="", index=index)
        return True

    def delete(self, key):
        self.rows.pop(key, None)
        return True

    def delete_cas(self, key, at):
        before = self.rows.get(key)
        if before is None:
            return True
        return before.modify_index == at and self.delete(key)

    def end(self, session, index):
        behavior = self.sessions.pop(session)[0]
        for key, row in list(self.rows.items()):
            if row.session == session and behavior == "delete":
                del self.rows[key]
            elif row.session == session:
                self.write(key, row.value, row.flags, lock_index=row.lock_index, session="", index=index)


class KvMachine(RuleBasedStateMachine):
    """Every rule does the same to the replica and to the model."""

    @initialize(deletions_max=st.sampled_from([1, 2, 100]))
    def begin(self, deletions_max):
        self.world = World(kv_deletions_max=deletions_max)
        self.catalog = self.world.catalog
        self.model = Model()
        self.made = 0
        self.indexes = {}
        self.woken = set()
        self.before = {}
        for name in KEYS:
            self.watch(self.catalog.kv.key_topic(name), name)
        for prefix in PREFIXES:
            self.watch(self.catalog.kv.prefix_topic(prefix), prefix + "*")

    def watch(self, topic, name):
        self.catalog.topics.watch([topic], lambda: self.woken.add(name))

    def guess(self, key, guess):
        row = self.model.rows.get(key)
        right = row.modify_index if row else 0
        return {"right": right, "wrong": right + 1, "zero": 0}[guess]

    def id_of(self, number):
        """A session that is there, or one that is not."""
        there = sorted(self.model.sessions)
        return there[number % len(there)] if there and number else IDS[-1]

    def check(self, step, expected):
        """Makes the step, which must do what the model did."""
        assert self.world.step(step) == expected

    @property
    def next_index(self):
        return self.catalog.index + 1

    # ---- single operations ----

    @rule(key=keys, value=values, flags=flags)
    def put(self, key, value, flags):
        expected = self.model.set(key, value, flags, self.next_index)
        self.check(lambda draft: set_key(draft, entry(key, value, flags=flags)), expected)

    @rule(key=keys, value=values, guess=guesses)
    def put_at(self, key, value, guess):
        at = self.guess(key, guess)
        expected = self.model.cas(key, value, 0, at, self.next_index)
        self.check(lambda draft: set_key_at(draft, entry(key, value), at), expected)

    @rule(key=keys, value=values, flags=flags, number=numbers)
    def acquire(self, key, value, flags, number):
        session = self.id_of(number)
        wanted = entry(key, value, flags=flags, session=session)

        def step(draft):
            return acquire_key(draft, wanted, self.world.delays)

        if session not in self.model.sessions:
            try:
                self.world.step(step)
            except BadInput as error:
                assert "invalid session" in str(error)  # noqa: PT017 - a state machine has no raises of its own
            else:
                raise AssertionError("locked by nobody")
            return
        self.check(step, self.model.lock(key, value, flags, session, self.next_index))

    @rule(key=keys, value=values, number=numbers)
    def release(self, key, value, number):
        session = self.id_of(number)
        expected = self.model.unlock(key, value, 0, session, self.next_index)
        self.check(lambda draft: release_key(draft, entry(key, value, session=session)), expected)

    @rule(key=keys)
    def delete(self, key):
        self.check(lambda draft: delete_key(draft, key), self.model.delete(key))

    @rule(key=keys, guess=guesses)
    def delete_at(self, key, guess):
        at = self.guess(key, guess)
        self.check(lambda draft: delete_key_at(draft, key, at), self.model.delete_cas(key, at))

    @rule(prefix=st.sampled_from(PREFIXES))
    def delete_below(self, prefix):
        for key in [key for key in self.model.rows if key.startswith(prefix)]:
            self.model.delete(key)
        self.check(lambda draft: delete_keys(draft, prefix), expected=True)

    # ---- sessions ----

    @rule(behavior=st.sampled_from(["release", "delete"]), check=st.sampled_from(["serfHealth", "c"]))
    def create(self, behavior, check):
        if (
            self.made >= len(IDS) - 1
            or self.catalog.checks[node_item_key(NODE, check)].record.status == "critical"
        ):
            return
        session = Session(id=IDS[self.made], node=NODE, behavior=behavior, node_checks=(check,), lock_delay_s=0.0)
        self.made += 1
        self.world.commit(create_session(self.catalog, session))
        self.model.sessions[session.id] = (behavior, check)

    @rule(number=numbers)
    def destroy(self, number):
        session = self.id_of(number)
        if session in self.model.sessions:
            self.model.end(session, self.next_index)
        self.world.commit(destroy_session(self.catalog, session))

    @rule(status=st.sampled_from(["critical", "warning", "passing"]))
    def change_status(self, status):
        if status == "critical":
            for session, (_, check) in sorted(self.model.sessions.items()):
                if check == "c":
                    self.model.end(session, self.next_index)
        self.world.commit(set_check_status(self.catalog, node_item_key(NODE, "c"), status, ""))

    # ---- several at once ----

    @rule(key=keys, guesses=st.tuples(guesses, guesses), data=st.tuples(values, values))
    def two_writers_at_once(self, key, guesses, data):
        """Both plan on the same picture; the second to commit plans again if the first stood in its way."""
        at = [self.guess(key, guess) for guess in guesses]
        steps = [
            lambda draft, value=value, at=at: set_key_at(draft, entry(key, value, flags=7), at)
            for value, at in zip(data, at, strict=True)
        ]
        plans = [plan_kv(self.catalog, step) for step in steps]
        for step, plan, value, index in zip(steps, plans, data, at, strict=True):
            expected = self.model.cas(key, value, 7, index, self.next_index)
            assert self.commit_or_plan_again(step, plan) == expected

    def commit_or_plan_again(self, step, plan):
        """As the writer does, which plans anew where nothing can tell it that its picture is old."""
        is_done, transaction = plan if plan[1].changes else plan_kv(self.catalog, step)
        try:
            self.world.commit(transaction)
        except Conflict:
            is_done, transaction = plan_kv(self.catalog, step)
            self.world.commit(transaction)
        return is_done

    @rule(
        wishes=st.lists(
            st.tuples(
                st.sampled_from(["set", "cas", "lock", "unlock", "delete", "delete-cas"]), keys, values, guesses
            ),
            min_size=1,
            max_size=4,
        ),
        number=numbers,
    )
    def transact(self, wishes, number):
        session = self.id_of(number)
        model = copy.deepcopy(self.model)
        index = self.next_index
        operations, is_done = [], True
        for verb, key, value, guess in wishes:
            at = self.guess(key, guess)
            operations.append(KvOperation(verb, entry(key, value, session=session), at))
            is_done &= {
                "set": lambda key=key, value=value: model.set(key, value, 0, index),
                "cas": lambda key=key, value=value, at=at: model.cas(key, value, 0, at, index),
                "lock": lambda key=key, value=value: (
                    session in model.sessions and model.lock(key, value, 0, session, index)
                ),
                "unlock": lambda key=key, value=value: model.unlock(key, value, 0, session, index),
                "delete": lambda key=key: model.delete(key),
                "delete-cas": lambda key=key, at=at: model.delete_cas(key, at),
            }[verb]()
        outcome = plan_operations(self.catalog, operations, delays=self.world.delays, now_s=0.0)
        assert bool(outcome.errors) != is_done
        self.world.commit(outcome.transaction)
        if is_done:
            self.take_over_contents(model)

    def take_over_contents(self, model):
        """What several operations came to, where nothing tells how often a key changed on the way.

        A key that was deleted and written again in one transaction is the same key, written over; and one that is
        as it was before has not changed.
        """
        for key, row in model.rows.items():
            before = self.model.rows.get(key)
            if before is not None and before.content == row.content:
                model.rows[key] = before
            elif before is not None:
                row.create_index = before.create_index
        self.model = model

    # ---- what holds at any time ----

    @invariant()
    def keys_are_those_of_the_model(self):
        """No update is lost, none is made twice, and a refused transaction has left nothing."""
        assert rows_of(self.catalog) == self.model.rows

    @invariant()
    def every_lock_has_one_holder_that_lives(self):
        held = {key: session for session, keys in self.catalog.kv.held.items() for key in keys}
        assert held == {key: row.session for key, row in self.model.rows.items() if row.session}
        assert set(held.values()) <= set(self.model.sessions) == set(self.catalog.sessions.entries)

    @invariant()
    def no_index_goes_back_and_others_do_not_move_it(self):
        shelf = self.catalog.kv
        now = {name: shelf.index_of(name) for name in KEYS}
        now |= {prefix + "*": shelf.index_below(prefix) for prefix in PREFIXES}
        for name, index in now.items():
            assert 1 <= self.indexes.get(name, 1) <= index <= max(1, self.catalog.index)
        self.indexes = now

    @invariant()
    def who_waits_is_woken_by_what_it_waits_for_and_nothing_else(self):
        changed = {
            key for key in {*self.before, *self.model.rows} if self.before.get(key) != self.model.rows.get(key)
        }
        wanted = changed | {prefix + "*" for prefix in PREFIXES if any(key.startswith(prefix) for key in changed)}
        assert self.woken == wanted
        self.woken.clear()
        self.before = copy.deepcopy(self.model.rows)


KvMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestKv = KvMachine.TestCase
