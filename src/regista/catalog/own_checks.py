"""Checks that the registry itself makes of an instance, beside those that were registered with it.

They go with the instance, but are no part of what its owner registers: registering it again leaves them alone,
also with `replace-existing-checks`, and they don't count in the hash that a renewal compares. So nobody else may
use their ids.
"""

from __future__ import annotations

from regista.model import Check

PASSIVE_PREFIX = "_passive:"
"""What callers report of the instance, see `passive_checks`."""

DRAIN_PREFIX = "_drain:"
"""That the instance is on its way out, see `draining`."""

DRAIN_TYPE = "drain"

OWN_PREFIXES = (PASSIVE_PREFIX, DRAIN_PREFIX)


def is_own_id(check_id: str) -> bool:
    """Whether the id is kept for checks that the registry makes; without regard to case, as for keys."""
    return check_id.lower().startswith(OWN_PREFIXES)


def is_own_check(check: Check) -> bool:
    """Whether the registry made the check."""
    return check.id.startswith(OWN_PREFIXES)


def is_drain(check: Check) -> bool:
    """Whether the check says that its instance is on its way out."""
    return check.type == DRAIN_TYPE and check.id.startswith(DRAIN_PREFIX)
