"""One agent per data directory."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from regista.model import StoreInUse, StoreUnavailable

FILE_NAME = "regista.lock"


class DirectoryLock:
    """A lock on a directory that the system lets go when the process ends, however it ends."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def take(self) -> None:
        """Takes the lock, making the directory if there is none.

        Raises:
            StoreInUse: another process has it.
            StoreUnavailable: the directory can't be used.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._directory / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            problem = "it is no directory" if isinstance(error, FileExistsError) else error.strerror
            raise StoreUnavailable(
                f"the data directory {self._directory} can't be used: {problem}. Give another --data-dir, "
                "or mend its permissions."
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise StoreInUse(
                f"the data directory {self._directory} is in use by another agent"
                f"{f' (pid {holder})' if holder else ''}. Stop that one, or give another --data-dir."
            ) from error
        # The number is for people; a full disk has no room for it, and the lock holds without.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Lets the lock go; does nothing without it."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
