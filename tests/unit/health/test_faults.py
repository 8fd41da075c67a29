"""Whose fault a failed connection is, by the system's error."""

import errno
import os
import socket

import pytest

from regista.health.probes.faults import error_numbers, is_own_fault, is_silence
from regista.health.probes.words import dial_problem


def error(number):
    return OSError(number, os.strerror(number))


def of_several(*numbers):
    """As asyncio tells of a name with several addresses."""
    return OSError("Multiple exceptions: " + ", ".join(str(error(number)) for number in numbers))


@pytest.mark.parametrize(
    ("problem", "own", "silent"),
    [
        (error(errno.ECONNREFUSED), False, False),
        (error(errno.ECONNRESET), False, False),
        (error(errno.EHOSTUNREACH), False, True),
        (error(errno.ENETUNREACH), False, True),
        (error(errno.ETIMEDOUT), False, True),
        (error(errno.EADDRNOTAVAIL), False, False),
        (error(errno.EINVAL), False, False),
        (error(errno.EMFILE), True, False),
        (error(errno.ENFILE), True, False),
        (error(errno.ENOBUFS), True, False),
        (error(errno.ENOMEM), True, False),
        (error(errno.ENETDOWN), True, False),
        (of_several(errno.ENETUNREACH, errno.EHOSTUNREACH), False, True),
        (of_several(errno.ENETUNREACH, errno.ECONNREFUSED), False, False),
        (of_several(errno.ECONNREFUSED, errno.EMFILE), True, False),
        (socket.gaierror(socket.EAI_NONAME, "unknown"), False, False),
        (socket.gaierror(socket.EAI_AGAIN, "no answer"), False, True),
        (socket.gaierror(socket.EAI_MEMORY, "no memory"), True, False),
        (ConnectionResetError(), False, False),
    ],
)
def test_faults(problem, own, silent):
    """A refusal is the target's word; no route and no answer are silence; want of anything here is the prober's."""
    assert (is_own_fault(problem), is_silence(problem)) == (own, silent)


def test_numbers_of_several_addresses():
    """Of a name's addresses each tells its number, and the first one's words are shown."""
    problem = of_several(errno.ECONNREFUSED, errno.ENETUNREACH)
    assert error_numbers(problem) == (errno.ECONNREFUSED, errno.ENETUNREACH)
    assert dial_problem("localhost:1", problem) == "dial tcp localhost:1: connect: connection refused"


def test_errors_without_words_have_some():
    """An error that says nothing of itself still gives words."""
    assert dial_problem("h:1", ConnectionResetError()) == "dial tcp h:1: connect: connection reset by peer"
    assert dial_problem("h:1", OSError()) == "dial tcp h:1: OSError"
