"""What can be set of the Consul door."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class EventSettings:
    """Limits of user events, which are kept in memory only."""

    kept_max: int = setting(
        256,
        "How many user events are kept; the oldest goes first. More lets a client that was away for longer see "
        "what it missed, and makes the list longer that every client reads.",
        at_least=1,
        at_most=100_000,
    )
    bytes_max: int = setting(
        512,
        "How large a user event may be, name, payload and filters together as Consul encodes them; a larger one "
        "gets 413. Consul's limit is 512: its events travel by gossip. Raise it only if no client relies on that.",
        unit="bytes",
        at_least=64,
        at_most=64 * 1024,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class KvSettings:
    """Limits of the key-value store, its transactions and its sessions."""

    value_bytes_max: int = setting(
        512 * 1024,
        "How large a value may be; a larger one gets 413. Every value is kept in memory, and a change is kept in "
        "the log with what it replaces. Consul's name for it is `limits.kv_max_value_size`.",
        unit="bytes",
        at_least=1024,
        at_most=64 * 1024 * 1024,
    )
    key_bytes_max: int = setting(
        4096,
        "How long a key may be; a longer one gets 400. A change looks for those who wait for any beginning of its "
        "key, so longer keys make writes slower. A key in a path is also bound by `http.head_bytes_max`.",
        unit="bytes",
        at_least=64,
        at_most=16 * 1024,
    )
    transaction_ops_max: int = setting(
        128,
        "How many operations a transaction may have; one with more gets 413. Consul's limit is 64, and 128 since "
        "1.14. More keeps the agent busy for longer with one request.",
        at_least=1,
        at_most=10_000,
    )
    transaction_bytes_max: int = setting(
        512 * 1024,
        "How large the body of a transaction may be, or `kv.value_bytes_max` where that is more; a larger one "
        "gets 413. Consul's name for it is `limits.txn_max_req_len`.",
        unit="bytes",
        at_least=1024,
        at_most=64 * 1024 * 1024,
    )
    deletions_max: int = setting(
        10_000,
        "Of how many deleted keys the index is remembered, so that who waits for a key or prefix is told of its "
        "deletion once. More makes lists below prefixes with many deletions slower; beyond it, callers may be "
        "answered once with what they know already.",
        at_least=100,
        at_most=10_000_000,
    )
    lock_delays_max: int = setting(
        100_000,
        "How many keys can be closed by the lock-delay of an ended session at once; those closed first are open "
        "again beyond it. Each lasts a minute at the most.",
        at_least=100,
        at_most=10_000_000,
    )
    session_ttl_s_min: float = setting(
        10.0,
        "The shortest TTL that a session may have. Shorter finds dead holders of locks sooner, and ends sessions "
        "of slow ones. Consul's name for it is `session_ttl_min`.",
        unit="s",
        at_least=0.1,
        at_most=86400,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class DrainSettings:
    """Limits of drains, which take an instance out before it ends."""

    for_default_s: float = setting(
        30.0,
        "How long an instance drains when its caller names no `for`; then it is deregistered.",
        unit="s",
        at_least=0.1,
        at_most=86400,
    )
    for_max_s: float = setting(
        3600.0,
        "How long an instance may drain; a longer `for` gets 400. Longer lets slow work end; shorter keeps "
        "instances that were forgotten in a drain from staying for long.",
        unit="s",
        at_least=1,
        at_most=30 * 86400,
    )
    waiting_max: int = setting(
        256,
        "How many drains may wait (`wait=`) at once until all watchers know of them; one more gets 429. Each "
        "costs every blocking query that comes meanwhile a look-up.",
        at_least=1,
        at_most=10_000,
    )
