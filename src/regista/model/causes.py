"""Who brought about a change, and why: carried by every transaction, and kept in the log beside it."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

CauseKind: TypeAlias = str
"""One of `CAUSE_KINDS`; a later version may have written another."""

CAUSE_KINDS: tuple[CauseKind, ...] = (
    "request",  # a caller of an API
    "check",  # what a probe, an alias or callers' reports found
    "expiry",  # a TTL check or a lease that nobody renewed
    "reaper",  # an instance whose check was critical for too long
    "config",  # the agent's configuration files
    "server",  # the agent itself: its own records, its housekeeping
    "operator",  # somebody who works on the data itself, such as a restore
    "unknown",  # it was not recorded
)

CAUSE_CHARACTERS_MAX = 256
"""How much of each text is kept: enough for a path or a sentence, and no burden to a log of many rows."""


class Cause(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a transaction was made; make one with `caused_by`, which keeps it short.

    Attributes:
        kind: see `CAUSE_KINDS`.
        actor: the accessor id of the caller's token; "" while there are no tokens.
        source: the caller's address, or the key of the check or instance that brought it about.
        path: the request's method and path.
        reason: the words of whoever did it.
    """

    kind: CauseKind = "unknown"
    actor: str = ""
    source: str = ""
    path: str = ""
    reason: str = ""


UNKNOWN_CAUSE = Cause()


def caused_by(kind: CauseKind, *, actor: str = "", source: str = "", path: str = "", reason: str = "") -> Cause:
    """A cause whose texts are cut to what is kept of them."""
    assert kind in CAUSE_KINDS, kind
    return Cause(kind, _cut(actor), _cut(source), _cut(path), _cut(reason))


def _cut(text: str) -> str:
    return text if len(text) <= CAUSE_CHARACTERS_MAX else text[: CAUSE_CHARACTERS_MAX - 1] + "…"
