"""Messages through Apprise: chat rooms, mail, pagers. The library is an extra; it waits in a thread of its own.

A thread can't be ended from outside. So a message that takes too long has failed, and its channel sends no other
until the thread is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import threading
from collections.abc import Callable
from typing import Any

from regista.model import BadInput

INSTALL = "pip install 'regista[notify]'"


class AppriseSender:
    """Sends messages, at the most one at a time for each channel.

    Args:
        timeout_s: for how long one is waited for.
        allows_private: whether addresses may be sent to that are not public.
        host_problem: why nothing may be sent to a host; "" if it may.
    """

    def __init__(self, *, timeout_s: float, allows_private: bool, host_problem: Callable[[str], str]) -> None:
        self._timeout_s = timeout_s
        self._allows_private = allows_private
        self._host_problem = host_problem
        self._busy: set[str] = set()

    async def check(self, url: str) -> None:
        """Makes sure that a URL can be sent to.

        Raises:
            BadInput: it can't, or the library is not there.
        """
        if importlib.util.find_spec("apprise") is None:
            raise BadInput(f"Invalid kind: Apprise is not installed here: {INSTALL}", field="kind")
        problem = await asyncio.to_thread(self._find_problem, url)
        if problem:
            raise BadInput(f"Invalid url: {problem}", field="url")

    def _find_problem(self, url: str) -> str:
        found: str = _library().find_problem(
            url, allows_private=self._allows_private, host_problem=self._host_problem
        )
        return found

    async def send(self, channel: str, url: str, *, title: str, text: str, is_firing: bool) -> str:
        """What went wrong, in a sentence without secrets; "" if it was sent."""
        if channel in self._busy:
            return "the message before is still under way"
        if importlib.util.find_spec("apprise") is None:
            return f"Apprise is not installed here: {INSTALL}"
        loop = asyncio.get_running_loop()
        done: asyncio.Future[str] = loop.create_future()

        def settle(problem: str) -> None:
            self._busy.discard(channel)
            if not done.done():
                done.set_result(problem)

        def run() -> None:
            problem = "Apprise can't be loaded"
            try:
                problem = _library().notify(url, title=title, text=text, is_firing=is_firing)
            finally:
                with contextlib.suppress(RuntimeError):  # the agent has ended meanwhile
                    loop.call_soon_threadsafe(settle, problem)

        self._busy.add(channel)
        # A daemon, so that one that hangs does not keep the agent from ending.
        threading.Thread(target=run, name="regista-apprise", daemon=True).start()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await done
        except TimeoutError:
            return f"it was not sent within {self._timeout_s:g} s"


def _library() -> Any:
    """What calls the library. Loading it takes half a second, so never on the loop's thread."""
    return importlib.import_module("regista.notify.alert_apprise_calls")
