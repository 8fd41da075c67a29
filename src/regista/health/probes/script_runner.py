"""The program that runs the scripts of checks: started by the agent, which it serves until the agent goes.

It knows nothing of Regista and imports only the standard library, so that it starts quickly and stays small:
starting a script copies the page tables of whoever starts it, and an agent may be large. It also keeps a flood of
output, and the search for a script's descendants, away from the agent's event loop.

Theory of operation. The agent sends one JSON object a line over the socket that is this program's standard input,
and is answered in lines:

    {"run": 7, "args": […], "timeout_s": 30, "bytes_max": 4096}   run this; `at_once_max` run, the others wait
    {"cancel": 7}                                                 kill it; no answer
    {"run": 7, "end": "exit", "code": 0, "output": base64, "bytes": 12}
    {"run": 7, "end": "timeout", "output": …, "bytes": …}           it was killed with all its descendants
    {"run": 7, "end": "unstarted", "errno": 2}
    {"run": 7, "end": "crowded"}                                    no place became free within its timeout

Each script is made the reaper of its orphans (`PR_SET_CHILD_SUBREAPER`), so whatever it started, in whatever
session, stays below it in the tree of processes for as long as it lives, and can be found there at the timeout.
A script that ends by itself may leave processes behind, as it may under cron; they come to this program, which
reaps them, and go on when it ends. Where there is no such call (it is Linux's), the script's process group is
killed, and what has left that group is not found.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from typing import Any

LINE_BYTES_MAX = 1024 * 1024
"""An order has at most 128 KiB of arguments (see `decode_check`), each character of them escaped to six bytes."""
assert LINE_BYTES_MAX > 6 * 128 * 1024

_READ_BYTES = 65536
_DRAIN_READS_MAX = 32
"""What a script left in its pipe (64 KiB, if it did not enlarge it) is read to the end; what others still write is
not waited for."""

_OPEN_FILES = 1024
"""The usual soft limit, which programs expect; with the agent's own, closing all files may take a program long."""

_STOP_ROUNDS_MAX = 100
"""Stopping a tree ends when a look at it finds nobody new; a fork bomb may outrun many looks, but not for ever."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PRCTL = getattr(ctypes.CDLL(None), "prctl", None)


class Run:
    """One script, from the order to its end."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.number: int = order["run"]
        self.args: list[str] = order["args"]
        self.timeout_s: float = order["timeout_s"]
        self.bytes_max: int = order["bytes_max"]
        self.timer: asyncio.TimerHandle | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.pipe = -1
        self.tail = bytearray()
        self.total_bytes = 0

    def start(self) -> None:
        """Starts the program, in a session of its own.

        Raises:
            OSError, ValueError: it can't be started.
        """
        self.pipe, inner_end = os.pipe()
        os.set_blocking(self.pipe, False)
        try:
            self.process = subprocess.Popen(  # noqa: S603 - what it is for; never through a shell
                self.args,
                stdin=subprocess.DEVNULL,
                stdout=inner_end,
                stderr=inner_end,
                start_new_session=True,
                preexec_fn=_prepare,  # noqa: PLW1509 - this program has one thread
            )
        except BaseException:
            os.close(self.pipe)
            raise
        finally:
            os.close(inner_end)

    def read(self) -> int | None:
        """Takes what is in the pipe, at most one read; how many bytes, 0 at its end, None for nothing now."""
        try:
            chunk = os.read(self.pipe, _READ_BYTES)
        except BlockingIOError:
            return None
        self.total_bytes += len(chunk)
        self.tail += chunk
        del self.tail[: -self.bytes_max]
        return len(chunk)

    def output(self) -> dict[str, Any]:
        """What it said, for an answer."""
        return {"output": base64.b64encode(self.tail).decode("ascii"), "bytes": self.total_bytes}


def _prepare() -> None:
    """Runs in the new process, before the script: it gets its orphans, and dies with this program."""
    if _PRCTL is not None:
        _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


class Runner:
    """The runs under way, those that wait for a place, and those that were killed and are not gone yet."""

    def __init__(self, writer: asyncio.StreamWriter, *, at_once_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._at_once_max = at_once_max
        self._waiting: dict[int, Run] = {}
        self._running: dict[int, Run] = {}
        self._by_pid: dict[int, Run] = {}
        self._is_reaping_due = False
        self._loop.add_signal_handler(signal.SIGCHLD, self._on_child)

    def take(self, order: dict[str, Any]) -> None:
        """Does what the agent wants."""
        if "cancel" in order:
            self._cancel(order["cancel"])
            return
        run = Run(order)
        self._waiting[run.number] = run
        run.timer = self._loop.call_later(run.timeout_s, self._give_up, run)
        self._start_waiting()

    def kill_all(self) -> None:
        """Kills whatever runs."""
        self._waiting.clear()
        for run in list(self._running.values()):
            self._kill(run)

    def _start_waiting(self) -> None:
        while self._waiting and len(self._by_pid) < self._at_once_max:
            run = self._waiting.pop(next(iter(self._waiting)))
            _cancel_timer(run)
            try:
                run.start()
            except (OSError, ValueError, subprocess.SubprocessError) as problem:
                self._answer(run, "unstarted", errno=getattr(problem, "errno", None) or errno.EINVAL)
                continue
            assert run.process is not None
            self._running[run.number] = self._by_pid[run.process.pid] = run
            self._loop.add_reader(run.pipe, self._read, run)
            run.timer = self._loop.call_later(run.timeout_s, self._time_out, run)

    def _read(self, run: Run) -> None:
        if run.read() == 0:
            # Nobody can write any more, perhaps long before the end of the script.
            self._loop.remove_reader(run.pipe)

    def _give_up(self, run: Run) -> None:
        del self._waiting[run.number]
        self._answer(run, "crowded")

    def _time_out(self, run: Run) -> None:
        self._kill(run)
        self._answer(run, "timeout", **run.output())

    def _cancel(self, number: int) -> None:
        waiting = self._waiting.pop(number, None)
        if waiting is not None:
            _cancel_timer(waiting)
        elif number in self._running:
            self._kill(self._running[number])

    def _kill(self, run: Run) -> None:
        """Kills it; its place is free once it is gone, which may take long if it hangs in a system call."""
        assert run.process is not None
        kill_tree(run.process.pid)
        self._drain(run)
        self._let_go(run)

    def _drain(self, run: Run) -> None:
        for _ in range(_DRAIN_READS_MAX):
            if not run.read():
                break

    def _let_go(self, run: Run) -> None:
        del self._running[run.number]
        _cancel_timer(run)
        self._loop.remove_reader(run.pipe)
        os.close(run.pipe)

    def _on_child(self) -> None:
        # Once for all the signals of one turn: each reaping starts scripts, whose ends are signals again.
        if not self._is_reaping_due:
            self._is_reaping_due = True
            self._loop.call_soon(self._reap)

    def _reap(self) -> None:
        """Takes note of every process that ended: scripts, and what scripts left behind."""
        self._is_reaping_due = False
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                run = self._by_pid.pop(pid, None)
                if run is not None:
                    self._end(run, os.waitstatus_to_exitcode(status))
        self._start_waiting()

    def _end(self, run: Run, code: int) -> None:
        assert run.process is not None
        run.process.returncode = code
        if run.number in self._running:
            self._drain(run)
            self._let_go(run)
            self._answer(run, "exit", code=code, **run.output())

    def _answer(self, run: Run, end: str, **more: Any) -> None:
        # Not drained: the agent reads without pause, and there is one answer for each of its orders.
        line = json.dumps({"run": run.number, "end": end, **more})
        self._writer.write(line.encode("ascii") + b"\n")


def _cancel_timer(run: Run) -> None:
    if run.timer is not None:
        run.timer.cancel()


def kill_tree(root: int) -> None:
    """Kills a process of ours that was not reaped yet, and all its descendants.

    All are stopped first, until a look finds nobody new: a stopped process starts no other, and neither it nor
    what it has not reaped gives its number to anybody else. A process of another user's stays; this program may
    not.
    """
    stopped: set[int] = set()
    for _ in range(_STOP_ROUNDS_MAX):
        found = {root, *_descendants(root)} - stopped
        if not found:
            break
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped |= found
    for pid in (*(stopped - {root}), root):
        _signal(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(root, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _descendants(root: int) -> set[int]:
    """Everybody below a process, as the kernel tells now; nobody where it does not tell."""
    children: dict[int, list[int]] = {}
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - names, of every process of the machine
    except FileNotFoundError:
        return set()
    for name in names:
        if name.isdecimal():
            children.setdefault(_parent(int(name)), []).append(int(name))
    found: set[int] = set()
    unseen = [root]
    while unseen:
        below = children.get(unseen.pop(), [])
        found.update(below)
        unseen += below
    return found


def _parent(pid: int) -> int:
    """The number of a process's parent; 0 for one that is gone. Source: proc(5), `/proc/pid/stat`."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - read for every process of the machine
            # A program's name, in brackets, may hold spaces and brackets of its own.
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return 0


async def serve(agent: socket.socket, *, at_once_max: int) -> None:
    """Runs what the agent orders until it closes the socket, or ends; nothing runs afterwards."""
    reader, writer = await asyncio.open_unix_connection(sock=agent, limit=LINE_BYTES_MAX)
    runner = Runner(writer, at_once_max=at_once_max)
    try:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                runner.take(json.loads(line))
    finally:
        runner.kill_all()


def _disregard(_number: int, _frame: object) -> None:
    """Ctrl-C and a service manager's SIGTERM go to the agent too, which closes the socket when it is done."""


def main() -> None:
    """The only argument says how many scripts may run at once."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, because scripts would inherit that a signal is ignored.
        signal.signal(number, _disregard)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft > _OPEN_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, hard))
    if _PRCTL is not None:
        _PRCTL(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    agent = socket.socket(fileno=0)
    asyncio.run(serve(agent, at_once_max=int(sys.argv[1])))


if __name__ == "__main__":
    main()
