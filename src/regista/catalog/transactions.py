"""Transactions of several operations on keys, nodes, instances and checks: all of them, or none.

Theory of operation. Operations are made one after the other on one draft, so each sees what those before it did,
and all come into force at one index. There are two phases. First every operation is looked at by itself (is there
a key, may it be locked yet); if one fails there, none is tried. Then each is tried, and goes on being tried after
another failed, so that the caller is told of every one that can't be.

Source: Consul 1.9 (behaviour), `get-or-empty` Consul 1.14.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from regista.catalog import catalog_steps, kv_writes
from regista.catalog.catalog_steps import CheckStep, NodeStep, Refused, ServiceStep
from regista.catalog.live_drafts import LiveDraft
from regista.catalog.lock_delays import LockDelays
from regista.catalog.replica import Catalog
from regista.model import CallerError, Check, Entry, KvEntry, Node, Service, Transaction

KV_READS = frozenset(("get", "get-tree", "get-or-empty", "check-index", "check-session", "check-not-exists"))
KV_WRITES = frozenset(("set", "cas", "lock", "unlock", "delete", "delete-tree", "delete-cas"))


@dataclasses.dataclass(frozen=True, slots=True)
class KvOperation:
    """One operation on a key.

    Attributes:
        wanted: the key with the value, flags and session that the operation names.
    """

    verb: str
    wanted: KvEntry
    index: int = 0


Step: TypeAlias = NodeStep | ServiceStep | CheckStep
Operation: TypeAlias = KvOperation | Step


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """What an operation gave.

    Attributes:
        shows_value: whether it was asked for; a write shows the key without.
    """

    entry: Entry[KvEntry] | Entry[Node] | Entry[Service] | Entry[Check]
    shows_value: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a transaction came to.

    Attributes:
        results: of the operations that have one; entries that it changed have the index `next_index`.
        errors: the position and the words of each operation that failed; nothing is changed if there is any.
    """

    results: tuple[Result, ...]
    errors: tuple[tuple[int, str], ...]
    transaction: Transaction
    next_index: int


def is_read_only(operations: Iterable[Operation]) -> bool:
    """Whether none of them can write; a verb for keys that nobody knows counts as a read (Consul 1.9)."""
    return not any(
        operation.verb in KV_WRITES if isinstance(operation, KvOperation) else operation.verb != "get"
        for operation in operations
    )


def plan_operations(
    catalog: Catalog, operations: Sequence[Operation], *, delays: LockDelays, now_s: float
) -> Outcome:
    """What the operations come to on the replica as it is.

    Args:
        now_s: seconds since the epoch.
    """
    draft = LiveDraft(catalog)
    problems = [_problem_before(operation, delays) for operation in operations]
    errors = [(position, problem) for position, problem in enumerate(problems) if problem]
    results: list[Result] = []
    if not errors:
        for position, operation in enumerate(operations):
            try:
                if isinstance(operation, KvOperation):
                    results += _kv_results(draft, operation, delays)
                else:
                    found = catalog_steps.take_step(draft, operation, now_s=now_s)
                    results += [Result(found)] if found is not None else []
            except (Refused, CallerError) as error:
                errors.append((position, str(error)))
    if errors:
        return Outcome((), tuple(errors), Transaction(), draft.next_index)
    return Outcome(tuple(results), (), draft.transaction(), draft.next_index)


def _problem_before(operation: Operation, delays: LockDelays) -> str:
    """What is wrong with an operation whatever the others do; "" if nothing is."""
    if not isinstance(operation, KvOperation):
        return catalog_steps.problem_before(operation)
    key = operation.wanted.key
    if not key and operation.verb != "delete-tree":
        return "Must provide key"
    if operation.verb == "lock" and delays.is_closed(key):
        return f'failed to lock key "{key}" due to lock delay'
    return ""


def _kv_results(draft: LiveDraft, operation: KvOperation, delays: LockDelays) -> list[Result]:
    """What the operation gives, after it was made.

    Raises:
        Refused, BadInput: it can't be made.
    """
    key = operation.wanted.key
    if operation.verb in _STEPS:
        refusal, step = _STEPS[operation.verb]
        if not step(draft, operation, delays):
            raise Refused(refusal.format(key=key))
    elif operation.verb == "get-tree":
        return [Result(entry) for entry in kv_writes.find_keys(draft, key)]
    elif operation.verb in KV_READS:
        _check(draft.find(KvEntry, key), operation)
    else:
        raise Refused(f'unknown KV verb "{operation.verb}"')
    if operation.verb.startswith("delete") or operation.verb == "check-not-exists":
        return []
    found = draft.find(KvEntry, key)
    if found is None:
        return [Result(Entry(KvEntry(key=key), 0, 0))]
    return [Result(found, shows_value=operation.verb.startswith("get"))]


def _check(found: Entry[KvEntry] | None, operation: KvOperation) -> None:
    """Does nothing if the key is as the operation says.

    Raises:
        Refused: it is not.
    """
    key, verb = operation.wanted.key, operation.verb
    if verb == "check-not-exists":
        if found is not None:
            raise Refused(f'key "{key}" exists')
    elif found is None:
        if verb != "get-or-empty":
            what = {"check-index": "failed to check index, ", "check-session": "failed to check session, "}
            raise Refused(f'{what.get(verb, "")}key "{key}" doesn\'t exist')
    elif verb == "check-index" and found.modify_index != operation.index:
        raise Refused(
            f'failed index check for key "{key}", current modify index {found.modify_index} != {operation.index}'
        )
    elif verb == "check-session" and found.record.session != operation.wanted.session:
        raise Refused(
            f'failed session check for key "{key}", '
            f'current session "{found.record.session}" != "{operation.wanted.session}"'
        )


_Step: TypeAlias = Callable[[LiveDraft, KvOperation, LockDelays], bool]

_STEPS: dict[str, tuple[str, _Step]] = {
    "set": ("", lambda draft, op, _: kv_writes.set_key(draft, op.wanted)),
    "cas": (
        'failed to set key "{key}", index is stale',
        lambda draft, op, _: kv_writes.set_key_at(draft, op.wanted, op.index),
    ),
    "lock": (
        'failed to lock key "{key}", lock is already held',
        lambda draft, op, delays: kv_writes.acquire_key(draft, op.wanted, delays),
    ),
    "unlock": (
        'failed to unlock key "{key}", lock isn\'t held, or is held by another session',
        lambda draft, op, _: kv_writes.release_key(draft, op.wanted),
    ),
    "delete": ("", lambda draft, op, _: kv_writes.delete_key(draft, op.wanted.key)),
    "delete-tree": ("", lambda draft, op, _: kv_writes.delete_keys(draft, op.wanted.key)),
    "delete-cas": (
        'failed to delete key "{key}", index is stale',
        lambda draft, op, _: kv_writes.delete_key_at(draft, op.wanted.key, op.index),
    ),
}
"""What is said when the step is refused, and the step."""

assert _STEPS.keys() == KV_WRITES
