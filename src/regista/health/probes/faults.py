"""Whose fault is it that a probe failed: the target's, the network's, or this machine's?"""

from __future__ import annotations

import errno
import re
import socket

from regista.health.observation import Observation
from regista.model import CRITICAL

_OWN_ERRORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN))
"""No more files (process, machine), no buffers, no memory, the own interface is down.

Not among them: no route (ENETUNREACH) and no such own address (EADDRNOTAVAIL). A check of an IPv6 address on a
machine without IPv6 fails so for ever, and somebody should see that it does.
"""

_SILENT_ERRORS = frozenset((errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT))
"""No route there, nobody there, no answer from there."""


class ProbeFailed(Exception):
    """A probe came to no good end: `words` say why, as Go's programs do.

    Attributes:
        is_own_fault, is_silent: see `Observation`.
    """

    def __init__(self, words: str, *, is_own_fault: bool = False, is_silent: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_own_fault = is_own_fault
        self.is_silent = is_silent

    def seen_as(self, output: str) -> Observation:
        """The critical observation that it makes, with this output."""
        return Observation(CRITICAL, output, is_own_fault=self.is_own_fault, is_silent=self.is_silent)


def is_own_fault(problem: OSError) -> bool:
    """Whether a connection failed for want of something here, and nothing is known of the target."""
    if isinstance(problem, socket.gaierror) or problem.errno == errno.EINVAL:
        # A resolver that can't open a file for want of files says that it does not know the name, or glibc's says
        # whatever number is left from before (observed: EINVAL).
        return problem.errno == socket.EAI_MEMORY or not _can_open_sockets()
    return not _OWN_ERRORS.isdisjoint(error_numbers(problem))


def is_silence(problem: OSError) -> bool:
    """Whether nothing at all came back, from the target or from a name server."""
    if isinstance(problem, socket.gaierror):
        return problem.errno == socket.EAI_AGAIN
    numbers = error_numbers(problem)
    return bool(numbers) and _SILENT_ERRORS.issuperset(numbers)


def error_numbers(problem: OSError) -> tuple[int, ...]:
    """The system's numbers for what went wrong, one for each address that was tried.

    asyncio makes one error of those of several addresses, and keeps their numbers in its text only.
    """
    if problem.errno:
        return (problem.errno,)
    return tuple(int(number) for number in re.findall(r"\[Errno (\d+)\]", str(problem)))


def _can_open_sockets() -> bool:
    try:
        socket.socket().close()
    except OSError:
        return False
    return True
