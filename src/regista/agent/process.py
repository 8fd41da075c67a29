"""What each process of an agent asks of Python and the system at its start."""

from __future__ import annotations

import contextlib
import gc
import resource
import sys

_OPEN_FILES_TRIED = (1_048_576, 65_536, 10_240)
"""What is asked for where all that the hard limit promises is refused, as macOS does with "unlimited"."""


def tune_garbage_collection() -> None:
    """Looks for cycles less often: almost nothing here is part of one, and what lives, lives long.

    Measured with 64 writers: a fifth more registrations a second, and a 99th percentile of 14 instead of 69 ms.
    """
    gc.set_threshold(50_000, 20, 100)


def raise_open_files_limit() -> int:
    """Takes as many open files as the system grants, for every waiting client holds one; how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, *_OPEN_FILES_TRIED):
        if soft == resource.RLIM_INFINITY or soft >= wanted != resource.RLIM_INFINITY:
            break
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
            break
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft
