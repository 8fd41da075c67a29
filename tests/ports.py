"""Ports for what has to be told one before it starts, or keeps one over several lives."""

import contextlib
import random
import socket

_LEAST, _MOST = 20_000, 32_000
"""Below those that the system gives to whoever wants any (from 32768 on): one of these, free a moment ago, may well be
somebody else's the next."""


def free_ports(count):
    """Ports of 127.0.0.1, for TCP and UDP, that nobody has."""
    found = {}
    while len(found) < count:
        port = random.SystemRandom().randrange(_LEAST, _MOST)
        with (
            contextlib.suppress(OSError),
            socket.socket(type=socket.SOCK_STREAM) as streams,
            socket.socket(type=socket.SOCK_DGRAM) as packets,
        ):
            for each in (streams, packets):
                each.bind(("127.0.0.1", port))
            found[port] = None
    return list(found)


def free_port():
    """One of them."""
    return free_ports(1)[0]
