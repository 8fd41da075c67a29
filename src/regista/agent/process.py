"""What each process of an agent asks of Python and the system at its start."""

from __future__ import annotations

import contextlib
import gc
import resource


def tune_garbage_collection() -> None:
    """Looks for cycles less often: almost nothing here is part of one, and what lives, lives long.

    Measured with 64 writers: a fifth more registrations a second, and a 99th percentile of 14 instead of 69 ms.
    """
    gc.set_threshold(50_000, 20, 100)


def raise_open_files_limit() -> None:
    """Takes as many open files as the system grants: every waiting client holds one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
