"""The Docker check: what does a program say that the Docker engine runs in a container?

A command is made (`exec`), started, its output read, and its exit code asked for. The engine has no call that ends
a command, so one that takes too long goes on in its container, and only its output is no longer read.

Source: Docker Engine API 1.24 and later, "Exec" and "Attach to a container" (the stream's format).
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from regista.health.decide import decide_output_bytes_max
from regista.health.observation import Observation
from regista.health.probes.script import exit_status, tail_text, timed_out
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, CheckDefinition

DEFAULT_HOST = "unix:///var/run/docker.sock"

_ANSWER_BYTES_MAX = 1024 * 1024
"""The engine's answers about a command have a few hundred bytes, and an environment with it some thousands."""

_ENDING_S = 0.05
"""The stream may end shortly before the engine knows the exit code; it is asked again after so long."""

_HEADER_BYTES = 8
_STREAMS = (0, 1, 2)


class Demultiplexer:
    """Takes the engine's stream apart: frames of a byte that tells the stream, three zeros, four bytes of length.

    Engines that do not frame their output are taken as they are, from the first byte that can't be a header.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._left_bytes = 0
        self._is_raw = False

    def feed(self, chunk: bytes) -> bytes:
        """What the command wrote, on either stream, of this piece."""
        found = bytearray()
        at = 0
        while at < len(chunk):
            if self._is_raw:
                found += chunk[at:]
                break
            if self._left_bytes:
                taken = chunk[at : at + self._left_bytes]
                found += taken
                at += len(taken)
                self._left_bytes -= len(taken)
                continue
            missing = _HEADER_BYTES - len(self._header)
            self._header += chunk[at : at + missing]
            at = min(at + missing, len(chunk))
            if not _may_be_header(self._header):
                found += self._header
                self._is_raw = True
            elif len(self._header) == _HEADER_BYTES:
                self._left_bytes = int.from_bytes(self._header[4:])
                self._header.clear()
        return bytes(found)


def _may_be_header(header: bytearray) -> bool:
    return header[0] in _STREAMS and not any(header[1:4])


class _Refused(Exception):
    """The engine does not do it; the text says which step failed, and why."""


class DockerProbe:
    """Speaks with the engine at the settings' address, over a connection for each request."""

    def __init__(self, settings: HealthSettings, environ: Mapping[str, str] = os.environ) -> None:
        self._settings = settings
        self._host = settings.docker_host or environ.get("DOCKER_HOST", "") or DEFAULT_HOST
        self._session: aiohttp.ClientSession | None = None

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Exit code 0 is passing, 1 a warning, all else critical; so is every failure of the engine.

        Source: Consul 1.9, Docker checks (behaviour); there without a timeout.
        """
        timeout_s = definition.timeout_s or self._settings.script_timeout_s
        output = _Tail(decide_output_bytes_max(definition, self._settings.output_bytes_max))
        try:
            async with asyncio.timeout(timeout_s):
                code = await self._run(definition, output)
        except TimeoutError:
            return Observation(CRITICAL, timed_out(timeout_s, output.text()))
        except _Refused as problem:
            return Observation(CRITICAL, str(problem))
        return Observation(exit_status(code), output.text())

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def _run(self, definition: CheckDefinition, output: _Tail) -> int:
        """The exit code of the definition's command.

        Raises:
            _Refused: see there.
        """
        container = definition.docker_container_id
        command = list(definition.script_args)
        if definition.shell:
            command = [definition.shell, "-c", shlex.join(command)]
        wanted = {"AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": command}
        path = f"/containers/{quote(container, safe='')}/exec"
        made = await self._ask("POST", path, f"create exec failed for container {container}", wanted)
        exec_path = f"/exec/{quote(str(made.get('Id', '')), safe='')}"
        await self._read_output(exec_path, f"start exec failed for container {container}", output)
        while True:
            state = await self._ask("GET", f"{exec_path}/json", f"inspect exec failed for container {container}")
            if not state.get("Running") and isinstance(state.get("ExitCode"), int):
                return int(state["ExitCode"])
            await asyncio.sleep(_ENDING_S)

    async def _read_output(self, exec_path: str, step: str, output: _Tail) -> None:
        frames = Demultiplexer()
        try:
            session, base = self._open_session()
            body = {"Detach": False, "Tty": False}
            async with session.post(f"{base}{exec_path}/start", json=body) as response:
                if response.status != 200:
                    raise _Refused(f"{step}: {await _problem(response)}")
                try:
                    async for chunk in response.content.iter_any():
                        output.add(frames.feed(chunk))
                except aiohttp.ClientError:
                    # Some engines reset the connection at the end; the exit code is there all the same.
                    response.close()
        except (aiohttp.ClientError, OSError) as problem:
            raise _Refused(f"{step}: {self._words(problem)}") from problem

    async def _ask(self, method: str, path: str, step: str, body: Any = None) -> dict[str, Any]:
        """The object that the engine answers with.

        Raises:
            _Refused: see there.
        """
        try:
            session, base = self._open_session()
            async with session.request(method, f"{base}{path}", json=body) as response:
                if response.status not in (200, 201):
                    raise _Refused(f"{step}: {await _problem(response)}")
                found = msgspec.json.decode(await _read(response))
        except (aiohttp.ClientError, OSError) as problem:
            raise _Refused(f"{step}: {self._words(problem)}") from problem
        except ValueError as problem:  # msgspec's errors are ValueErrors
            raise _Refused(f"{step}: the answer can't be read: {problem}") from problem
        if not isinstance(found, dict):
            raise _Refused(f"{step}: the answer is not an object")
        return found

    def _open_session(self) -> tuple[aiohttp.ClientSession, str]:
        """The session, and what every URL begins with.

        Raises:
            ValueError: the address can't be used.
        """
        kind, _, address = self._host.partition("://")
        if kind not in ("unix", "tcp", "http") or not address:
            raise _Refused(
                f'"{self._host}" is no address of a Docker engine; set health.docker_host to '
                "unix:///path/of/socket or tcp://host:port"
            )
        is_unix = kind == "unix"
        if self._session is None:
            connector = (
                aiohttp.UnixConnector(address, force_close=True, limit=0)
                if is_unix
                else aiohttp.TCPConnector(force_close=True, limit=0)
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            )
        return self._session, "http://docker" if is_unix else f"http://{address}"

    def _words(self, problem: Exception) -> str:
        """Why the engine can't be reached."""
        kind, _, address = self._host.partition("://")
        if isinstance(problem, aiohttp.ClientConnectorError):
            number = problem.os_error.errno or 0
            reason = os.strerror(number).lower() if number > 0 else str(problem.os_error)
            return f"dial {kind} {address}: connect: {reason}; does the engine run, and may this agent use it?"
        if isinstance(problem, aiohttp.ServerDisconnectedError):
            return "EOF"
        return str(problem) or type(problem).__name__


class _Tail:
    """The end of an output."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._tail = bytearray()
        self._total_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Takes what came next."""
        self._total_bytes += len(chunk)
        self._tail += chunk
        del self._tail[: -self._bytes_max]

    def text(self) -> str:
        """The end as text."""
        return tail_text(bytes(self._tail), self._total_bytes)


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body of an answer, or so much of it as is listened to."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > _ANSWER_BYTES_MAX:
            response.close()
            break
    return bytes(body[:_ANSWER_BYTES_MAX])


async def _problem(response: aiohttp.ClientResponse) -> str:
    """What the engine says against it, in a line: it answers `{"message": …}`."""
    body = await _read(response)
    try:
        said = msgspec.json.decode(body)
        message = str(said["message"])
    except (ValueError, TypeError, KeyError):
        message = body[:1000].decode("utf-8", "replace").strip()
    return f"{message} (status {response.status})"
