"""What can be set of the HTTP doors."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class HttpSettings:
    """Limits of the HTTP server. Past each of them the caller gets a clear error."""

    body_bytes_max: int = setting(
        1024 * 1024,
        "How large a request's body may be; a larger one gets 413. A registration with 100 checks has 30 KB.",
        unit="bytes",
        at_least=1024,
        at_most=64 * 1024 * 1024,
    )
    body_stall_s: float = setting(
        30.0,
        "How long a request's body may make no progress; then its sender gets 408, and the connection is closed. "
        "Longer rides out pauses; shorter frees connections sooner from those who keep back what they announced.",
        unit="s",
        at_least=0.05,
        at_most=3600,
    )
    body_bytes_per_s_min: int = setting(
        1024,
        "How many bytes a second of a request's body must arrive on the average, once it comes for longer than "
        "`body_stall`; from whom it takes longer gets 408. At the default a body of a few bytes has 30 seconds "
        "from its first, one of 512 KB nine minutes. Higher frees connections sooner from those who send drop by "
        "drop; lower lets slower lines finish.",
        at_least=1,
        at_most=1024 * 1024,
    )
    snapshot_bytes_max: int = setting(
        256 * 1024 * 1024,
        "How large a snapshot that is to be restored may be, as a file and once it is unpacked; a larger one gets "
        "413. It is held in memory while it is restored, about three times.",
        unit="bytes",
        at_least=1024 * 1024,
        at_most=512 * 1024 * 1024,
    )
    head_bytes_max: int = setting(
        16 * 1024,
        "How long the request line, and each header, may be; a longer one gets 400.",
        unit="bytes",
        at_least=1024,
        at_most=1024 * 1024,
    )
    connections_max: int = setting(
        20_000,
        "How many connections may be open at once; more get 503 and are closed. Each waiting query holds one. "
        "Where the process may have too few open files (`ulimit -n`), fewer are let in, and the log says so at "
        "the start.",
        at_least=10,
        at_most=1_000_000,
    )
    connections_reserve: int = setting(
        4096,
        "How many connections beyond `connections_max` may be open for a second, for one request each: renewals, "
        "registrations and what an operator needs are answered, anything else gets 503. More survives a larger "
        "crowd that comes at once; 0 refuses whoever comes.",
        at_least=0,
        at_most=1_000_000,
    )
    refusals_max: int = setting(
        1000,
        "How many clients beyond these may take a second to read that there is no room for them; more are closed "
        "at once, and may see a reset instead.",
        at_least=0,
        at_most=1_000_000,
    )
    waiting_max: int = setting(
        20_000,
        "How many blocking queries may wait at once; one more gets 429. Fewer keeps room for writes and look-ups.",
        at_least=1,
        at_most=1_000_000,
    )
    wait_default_s: float = setting(
        300.0,
        "How long a blocking query waits that names no `wait`.",
        unit="s",
        at_least=1,
        at_most=3600,
    )
    wait_max_s: float = setting(
        600.0,
        "How long a blocking query may wait; a longer `wait` is cut to it.",
        unit="s",
        at_least=1,
        at_most=3600,
    )
    keep_alive_s: float = setting(
        75.0,
        "How long an idle connection is kept open. Longer saves clients a handshake, shorter frees memory sooner.",
        unit="s",
        at_least=1,
        at_most=3600,
    )
    stream_stall_s: float = setting(
        30.0,
        "How long a client may take nothing of a stream (events, the agent's log) or of an answer before its "
        "connection is ended. Longer rides out pauses; shorter frees memory sooner.",
        unit="s",
        at_least=0.05,
        at_most=3600,
    )
    answers_bytes_max: int = setting(
        64 * 1024 * 1024,
        "How much memory encoded answers may take that are kept for the next caller.",
        unit="bytes",
        at_least=0,
        at_most=64 * 1024**3,
    )
    response_cache_bytes_max: int = setting(
        64 * 1024 * 1024,
        "How much memory responses may take that are kept ready for requests with the same bytes. Larger makes "
        "more of the look-ups cheap where many different ones are asked for; 0 makes every response anew "
        "(`--no-response-cache`).",
        unit="bytes",
        at_least=0,
        at_most=64 * 1024**3,
    )
    parts_bytes_max: int = setting(
        32 * 1024 * 1024,
        "How much memory encoded instances may take that are kept so that answers are put together from them "
        "when one changes. Larger makes changes cheap for more services at once; 0 encodes every answer whole.",
        unit="bytes",
        at_least=0,
        at_most=64 * 1024**3,
    )
    revisions_max: int = setting(
        50_000,
        "Of how many different queries the last answer's fingerprint is remembered. Beyond it, a caller who comes "
        "back to a query after its service changed may be answered at once with what it knows already.",
        at_least=100,
        at_most=10_000_000,
    )
    watchers_max: int = setting(
        20_000,
        "How many watchers are kept: clients that follow something with blocking queries, each counted for each "
        "thing that it follows. A drain waits for them, and says so when it can't know of all. Each takes some "
        "200 bytes.",
        at_least=10,
        at_most=1_000_000,
    )
    watcher_return_s: float = setting(
        2.0,
        "How long a watcher whose connection has closed is expected to ask again, on another. Longer knows those "
        "better who pause between two queries; shorter lets a drain go on sooner after a watcher has died.",
        unit="s",
        at_least=0.01,
        at_most=600,
    )
    clients_max: int = setting(
        1000,
        "Of how many clients, by address and program, it is kept what they ask (`/v1/regista/top`). More lists "
        "those who ask little, too; each takes some 500 bytes, twice.",
        at_least=10,
        at_most=1_000_000,
    )
