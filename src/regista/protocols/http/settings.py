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
        "How many connections may be open at once; one more gets 503 and is closed. Each waiting query holds one; "
        "the process may also need a higher limit on open files.",
        at_least=10,
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
    answers_bytes_max: int = setting(
        64 * 1024 * 1024,
        "How much memory encoded answers may take that are kept for the next caller.",
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
    clients_max: int = setting(
        1000,
        "Of how many clients, by address and program, it is kept what they ask (`/v1/regista/top`). More lists "
        "those who ask little, too; each takes some 500 bytes, twice.",
        at_least=10,
        at_most=1_000_000,
    )
