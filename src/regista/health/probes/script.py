"""The script check: what does a program say, by its exit code and its output?

The programs are run by one process of ours, see `script_runner`; here it is started, kept, and spoken with.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import itertools
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from regista.health.decide import decide_output_bytes_max, decode_tail
from regista.health.observation import Observation
from regista.health.probes.faults import is_own_fault
from regista.health.probes.script_runner import LINE_BYTES_MAX
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, Status, format_duration

_RUNNER = Path(__file__).with_name("script_runner.py")

_ANSWER_GRACE_S = 5.0
"""How much longer than it may take the runner is waited for, before it counts as hanging."""

_STOP_S_MAX = 5.0
"""How long a runner may take to kill its scripts at the end."""

_REPLY_BYTES_MAX = 2 * 1024 * 1024
"""The output's upper limit is 1 MiB (`health.output_bytes_max`), a third more in base64."""
assert _REPLY_BYTES_MAX > 1024 * 1024 * 4 / 3 + 1024


class ScriptProbe:
    """Runs a program as the definition lists its arguments: never through a shell."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._runner: _Runner | None = None
        self._starting = asyncio.Lock()

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Exit code 0 is passing, 1 a warning, all else critical; the output is what it wrote, or its end.

        At the timeout, and when this is cancelled, the program is killed with all its descendants.

        Source: Consul 1.9, script checks (behaviour).
        """
        timeout_s = definition.timeout_s or self._settings.script_timeout_s
        bytes_max = decide_output_bytes_max(definition, self._settings.output_bytes_max)
        try:
            # Once for the wait for a place, once for the run.
            async with asyncio.timeout(2 * timeout_s + _ANSWER_GRACE_S):
                runner = await self._running_runner()
                reply = await runner.run(definition.script_args, timeout_s=timeout_s, bytes_max=bytes_max)
        except TimeoutError:
            return _failed_here("the agent's program that runs scripts does not answer")
        except OSError as problem:
            return _failed_here(f"the agent's program that runs scripts failed: {problem}")
        return self._observation(definition.script_args[0], reply, timeout_s)

    async def close(self) -> None:
        """Kills what runs, and ends the runner."""
        if self._runner is not None:
            await self._runner.close()

    async def _running_runner(self) -> _Runner:
        async with self._starting:
            if self._runner is None or self._runner.is_gone:
                if self._runner is not None:
                    await self._runner.close()
                self._runner = await _Runner.start(at_once_max=self._settings.scripts_at_once_max)
            return self._runner

    def _observation(self, program: str, reply: dict[str, Any], timeout_s: float) -> Observation:
        match reply["end"]:
            case "unstarted":
                number = reply["errno"]
                is_ours = number == errno.EAGAIN or is_own_fault(OSError(number, ""))  # EAGAIN: too many processes
                return Observation(CRITICAL, start_problem(program, number), is_own_fault=is_ours)
            case "crowded":
                return _failed_here(
                    f"{program} did not run: {self._settings.scripts_at_once_max} other scripts "
                    f"(health.scripts_at_once_max) were running for {format_duration(timeout_s)}"
                )
            case "timeout":
                return Observation(CRITICAL, timed_out(timeout_s, tail_text(*_output(reply))))
            case _:
                output = tail_text(*_output(reply))
                if reply["code"] < 0 and not output:
                    output = f"signal: {signal.strsignal(-reply['code']) or -reply['code']}".lower()
                return Observation(exit_status(reply["code"]), output)


def _failed_here(problem: str) -> Observation:
    return Observation(CRITICAL, problem, is_own_fault=True)


def exit_status(code: int) -> Status:
    """What a program says with its exit code."""
    if code == 0:
        return PASSING
    return WARNING if code == 1 else CRITICAL


def tail_text(tail: bytes, total_bytes: int) -> str:
    """What a program wrote, or its end below a line that says so.

    Source: Consul 1.9, script checks (behaviour).
    """
    is_cut = total_bytes > len(tail)
    text = decode_tail(tail, is_cut=is_cut)
    return f"Captured {len(tail)} of {total_bytes} bytes\n...\n{text}" if is_cut else text


def timed_out(timeout_s: float, output: str) -> str:
    """What is shown of a program that took too long.

    Source: Consul 1.9, script checks (behaviour).
    """
    words = f"Timed out ({format_duration(timeout_s)}) running check"
    return f"{words}\n\n{output}" if output else words


def start_problem(program: str, number: int) -> str:
    """Why a program could not be started, in the words of Go's programs."""
    if number == errno.ENOENT and "/" not in program:
        return f'exec: "{program}": executable file not found in $PATH'
    return f"fork/exec {program}: {os.strerror(number).lower()}"


def _output(reply: dict[str, Any]) -> tuple[bytes, int]:
    return base64.b64decode(reply["output"]), reply["bytes"]


class _Runner:
    """The process that runs the scripts, and who waits for its answers."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening = asyncio.get_running_loop().create_task(self._listen())

    @classmethod
    async def start(cls, *, at_once_max: int) -> _Runner:
        """Starts the process.

        Raises:
            OSError: it can't be started.
        """
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                # Without the site's packages, of which it needs none, it starts in half the time.
                *(sys.executable, "-I", "-S", "-X", "utf8", str(_RUNNER), str(at_once_max)),
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
            ours.setblocking(False)
            reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_REPLY_BYTES_MAX)
        except BaseException:
            ours.close()  # the runner ends when nobody has the other end
            raise
        finally:
            theirs.close()
        return cls(process, reader, writer)

    @property
    def is_gone(self) -> bool:
        """Whether it takes no more orders."""
        return self._listening.done()

    async def run(self, args: tuple[str, ...], *, timeout_s: float, bytes_max: int) -> dict[str, Any]:
        """Runs a program; the runner's answer. Cancelled, the program is killed.

        Raises:
            OSError: the runner is gone, or ends meanwhile.
        """
        number = next(self._numbers)
        order = msgspec.json.encode({"run": number, "args": args, "timeout_s": timeout_s, "bytes_max": bytes_max})
        if self.is_gone or len(order) > LINE_BYTES_MAX:
            raise OSError("it is gone" if self.is_gone else "there are too many arguments")
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = reply
        # Not drained: each check has at most one order under way.
        self._writer.write(order + b"\n")
        try:
            return await reply
        except asyncio.CancelledError:
            self._writer.write(msgspec.json.encode({"cancel": number}) + b"\n")
            raise
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        """Ends it, and with it whatever it runs."""
        self._writer.close()
        try:
            async with asyncio.timeout(_STOP_S_MAX):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._listening
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await self._reader.readline():
                reply = msgspec.json.decode(line)
                waiting = self._waiting.get(reply["run"])
                if waiting is not None and not waiting.done():
                    waiting.set_result(reply)
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("it ended"))
