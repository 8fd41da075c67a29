"""Running what is to be run at a change: a program, or a request to a server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from typing import IO, Self

import aiohttp

from regista.notify.watch_definitions import Handler, HttpHandler, ScriptHandler

logger = logging.getLogger(__name__)

OUTPUT_BYTES_MAX = 4096
"""What of a handler's output is kept for the log: its end. Source: Consul 1.9."""

_STOP_S = 5.0
"""How long a program that is told to end may take, before it is killed."""

_SLOW_S = 600.0
"""A handler that takes longer is told of, for changes wait for it. It is not ended: it may have much to do."""

_READ_BYTES = 65536
_DRAIN_READS_MAX = 32
"""What a program left in its pipe (64 KiB, if it did not enlarge it) is read; what others still write is not."""


class HandlerFailed(Exception):
    """A handler did not do its work; the text says why.

    Attributes:
        is_worth_retrying: whether the same may succeed later.
    """

    def __init__(self, text: str, *, is_worth_retrying: bool = False) -> None:
        super().__init__(text)
        self.is_worth_retrying = is_worth_retrying


async def run_handler(
    handler: Handler, body: bytes, *, index: int, title: str, session: aiohttp.ClientSession
) -> None:
    """Gives the handler a change, and waits until it has done with it.

    Args:
        body: the JSON.
        title: of the watch, for the log.

    Raises:
        HandlerFailed: it did not do its work.
    """
    match handler:
        case ScriptHandler():
            await _run_script(handler, body, index=index, title=title)
        case HttpHandler():
            await _send(handler, body, index=index, session=session)


# ---- programs ----


async def _run_script(handler: ScriptHandler, body: bytes, *, index: int, title: str) -> None:
    """Runs the program to its end. When this is cancelled it is ended, with whatever it started in its group.

    What it leaves behind when it ends by itself goes on, as it would under cron.
    """
    program = handler.args[0]
    with _input(body) as stdin, _Output() as output:
        try:
            process = await asyncio.create_subprocess_exec(
                *handler.args,
                stdin=stdin,
                stdout=output.inner_end,
                stderr=output.inner_end,
                env={**os.environ, "CONSUL_INDEX": str(index)},
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            words = error.strerror if isinstance(error, OSError) else str(error)
            raise HandlerFailed(f"{program} can't be run: {words}") from error
        slow = asyncio.get_running_loop().call_later(
            _SLOW_S, logger.warning, "watch %s: %s still runs after %gs; changes wait", title, program, _SLOW_S
        )
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _end_group(process)
            raise
        finally:
            slow.cancel()
        said = output.text()
    logger.debug("watch %s: %s ended with exit code %d: %s", title, program, code, said)
    if code:
        raise HandlerFailed(f"{program} ended with exit code {code}" + (f": {said}" if said else ""))


@contextlib.contextmanager
def _input(body: bytes) -> Iterator[IO[bytes]]:
    """A file to be a program's input: it may read it when it likes, or not at all, and nobody waits for it."""
    with tempfile.TemporaryFile() as file:
        file.write(body + b"\n")
        file.seek(0)
        yield file


class _Output:
    """The end of what a program says, for as long as the block runs.

    A pipe of our own: that of a process's object is waited for until whatever the program left behind closes it.

    Attributes:
        inner_end: the program's.
    """

    def __init__(self) -> None:
        self._outer_end, self.inner_end = os.pipe()
        os.set_blocking(self._outer_end, False)
        self._loop = asyncio.get_running_loop()
        self._tail = bytearray()

    def __enter__(self) -> Self:
        self._loop.add_reader(self._outer_end, self._read)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._outer_end)
        os.close(self._outer_end)
        os.close(self.inner_end)

    def text(self) -> str:
        """What was said, on one line."""
        for _ in range(_DRAIN_READS_MAX):
            if not self._read():
                break
        return " ".join(self._tail.decode("utf-8", "replace").split())

    def _read(self) -> bool:
        """Takes what is there, at most one read; whether there was anything."""
        try:
            part = os.read(self._outer_end, _READ_BYTES)
        except BlockingIOError:
            return False
        self._tail += part
        del self._tail[:-OUTPUT_BYTES_MAX]
        return bool(part)


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """Ends the program and its group: at first it is told to, then it is killed."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_S)
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


# ---- servers ----


async def _send(handler: HttpHandler, body: bytes, *, index: int, session: aiohttp.ClientSession) -> None:
    """Sends the change; an answer other than 2xx is a failure."""
    try:
        async with (
            asyncio.timeout(handler.timeout_s),
            session.request(
                handler.method,
                handler.url,
                data=body,
                headers=[
                    *handler.headers,
                    ("Content-Type", "application/json"),
                    ("X-Consul-Index", str(index)),
                ],
                ssl=handler.is_verified,
            ) as answer,
        ):
            said = await answer.content.read(OUTPUT_BYTES_MAX)
    except TimeoutError as error:
        raise HandlerFailed(f"no answer within {handler.timeout_s:g}s", is_worth_retrying=True) from error
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # The words of some errors repeat the URL, which may hold a secret.
        raise HandlerFailed(f"it can't be reached ({type(error).__name__})", is_worth_retrying=True) from error
    if not 200 <= answer.status < 300:
        words = " ".join(said.decode("utf-8", "replace").split())
        raise HandlerFailed(f"it answered {answer.status}: {words}".rstrip(": "), is_worth_retrying=True)
