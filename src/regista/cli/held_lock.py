"""A lock in the registry, held for as long as a child process runs.

Theory of operation, as in Consul's client: a session with a TTL is made and renewed; a key is acquired for it.
While another session has the key, a blocking query waits for the key to change. What was acquired is watched by
the same kind of query, and the child is ended when the key is no longer ours: it must not do twice what it
guards. At the end the key is released and the session destroyed.

    waiting ──acquired──▶ held ──child ended──▶ released
       │                   └──────lost────────▶ child is told to end ──▶ released
       └──tried for long enough──▶ given up
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable
from regista.cli.kv import key_path

FLAGS = 0x2DDCCBC058A50C18
"""Marks a key as a lock. Source: Consul's client, so that both refuse to take the other's plain keys."""

SESSION_TTL_S = 15
"""Source: Consul's client. A holder that dies is noticed within twice this."""

LOCK_DELAY_S = 1.0
"""Between tries while the key is free but its last holder's lock delay runs, of which no change tells."""

WAIT_S = 15.0
WAIT_EXTRA_S = 10.0
STOP_GRACE_S = 5.0
"""A child that does not end within this after SIGTERM is killed. Source: Consul's `lock`."""

_NOT_FOUND = 404


class LockUnavailable(Exception):
    """The lock can't be had: somebody else holds it for too long, or the key is no lock."""


class HeldLock:
    """The lock at one key, for one session.

    Args:
        clock: monotonic seconds.
        pause: waits so many seconds.
        retries_max: how often in a row a failing query is asked again while the lock is held.
    """

    def __init__(
        self,
        client: AgentClient,
        key: str,
        *,
        name: str,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        retries_max: int,
    ) -> None:
        self._client = client
        self._key = key
        self._name = name
        self._clock = clock
        self._pause = pause
        self._retries_max = retries_max
        self._session = ""
        self._ended = threading.Event()
        self.is_lost = threading.Event()

    @contextlib.contextmanager
    def held(self, *, try_s: float | None) -> Iterator[None]:
        """Holds the lock; while it does, `is_lost` says whether it was taken away.

        Args:
            try_s: gives up after so long; None for never.

        Raises:
            LockUnavailable: see there.
            AgentUnreachable, AgentRefused: the agent can't be asked.
        """
        fields = {"Name": self._name, "TTL": f"{SESSION_TTL_S}s"}
        self._session = self._client.put(["session", "create"], fields).decode()["ID"]
        _start_beside(self._renew)
        try:
            self._acquire(try_s)
            _start_beside(self._watch)
            yield
        finally:
            self._ended.set()
            with contextlib.suppress(AgentUnreachable, AgentRefused):
                self._client.put_bytes(key_path(self._key), b"", {"release": self._session, "flags": str(FLAGS)})
            with contextlib.suppress(AgentUnreachable, AgentRefused):
                self._client.put(["session", "destroy", self._session])

    def _acquire(self, try_s: float | None) -> None:
        end_s = None if try_s is None else self._clock() + try_s
        index = 0
        while True:
            wait_s = WAIT_S if end_s is None else max(min(WAIT_S, end_s - self._clock()), 0.001)
            holder, index = self._holder(index, wait_s=wait_s)
            if not holder:
                did = self._client.put_bytes(
                    key_path(self._key), b"", {"acquire": self._session, "flags": str(FLAGS)}
                )
                if did.decode():
                    return
                index = 0
            if not index:
                self._pause(LOCK_DELAY_S)  # There is no change to wait for.
            if end_s is not None and self._clock() >= end_s:
                raise LockUnavailable(f"the lock {self._key} was not acquired within {try_s:g}s.")

    def _holder(self, index: int, *, wait_s: float) -> tuple[str, int]:
        """The session that has the key, "" without one, once that is another answer than at `index`."""
        waiting = {"index": str(index), "wait": f"{wait_s * 1000:.0f}ms"} if index else {}
        try:
            answer = self._client.get(
                key_path(self._key), {"consistent": "", **waiting}, timeout_s=wait_s * 17 / 16 + WAIT_EXTRA_S
            )
        except AgentRefused as error:
            if error.code != _NOT_FOUND:
                raise
            return "", error.index
        (entry,) = answer.decode()
        if entry["Flags"] != FLAGS:
            raise LockUnavailable(f"the key {self._key} is there already and is no lock; take another prefix.")
        return entry.get("Session") or "", answer.index

    def _renew(self) -> None:
        """Renews the session until the end. Failures are the watch's to judge: it sees whether the key is ours."""
        while not self._ended.wait(SESSION_TTL_S / 2):
            with contextlib.suppress(AgentUnreachable, AgentRefused):
                self._client.put(["session", "renew", self._session])

    def _watch(self) -> None:
        """Says that the lock is lost once the key is not ours, or nobody can say whose it is."""
        index = 0
        failures = 0
        while not self._ended.is_set():
            try:
                holder, index = self._holder(index, wait_s=WAIT_S)
            except (AgentUnreachable, AgentRefused):
                failures += 1
                index = 0
                if failures <= self._retries_max:
                    self._pause(LOCK_DELAY_S)
                    continue
                holder = ""
            except LockUnavailable:
                holder = ""
            else:
                failures = 0
            if holder != self._session:
                self.is_lost.set()
                return


def run_child(command: Sequence[str], lock: HeldLock, *, passes_input: bool) -> int:
    """Runs the program while the lock is held, and ends it when the lock is lost; its exit code.

    The code is 128 and the signal's number for a child that a signal ended, as a shell has it.

    Raises:
        OSError: it can't be run.
    """
    environ = {**os.environ, "CONSUL_LOCK_HELD": "true"}
    stdin = None if passes_input else subprocess.DEVNULL
    child = subprocess.Popen(command, stdin=stdin, env=environ)  # noqa: S603 - the user's own program
    ended = threading.Event()

    def guard() -> None:
        while not lock.is_lost.wait(_GUARD_S):
            if ended.is_set():
                return
        child.terminate()
        if not ended.wait(STOP_GRACE_S):
            child.kill()

    _start_beside(guard)
    try:
        code = _wait(child)
    finally:
        _end(child)  # Still runs only if we are told to end ourselves.
        ended.set()
    return code if code >= 0 else 128 - code


def _start_beside(work: Callable[[], None]) -> None:
    """Runs it in a thread that takes no signals.

    Python handles them in the main thread, which sleeps on if the system gives one to another: SIGTERM would wait
    for the child's end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        threading.Thread(target=work, daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ends the child, at first by asking it."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


_GUARD_S = 0.1


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Waits for the child's end; Ctrl-C reaches the child as well, which decides what to do about it."""
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue
