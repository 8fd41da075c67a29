"""Addresses that can't be listened on."""

import errno
import os

import pytest

from regista.agent.addresses import cant_listen


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            errno.EADDRINUSE,
            "Address already in use. Stop what uses it, or give another --x-port (0 for a free one) or --client.",
        ),
        (
            errno.EACCES,
            "Permission denied. A port below 1024 takes CAP_NET_BIND_SERVICE; give another --x-port (0 for a free one).",
        ),
        (
            errno.EADDRNOTAVAIL,
            "Cannot assign requested address. This machine has no such address; give another --client.",
        ),
        (
            errno.EAFNOSUPPORT,
            "Address family not supported by protocol. Give another --x-port (0 for a free one) or --client.",
        ),
    ],
)
def test_the_advice_fits_the_reason(code, text):
    """What is said to help is what helps against that error."""
    error = OSError(code, os.strerror(code))
    said = cant_listen("X", "127.0.0.1", 53, error, other_port="--x-port (0 for a free one)")
    assert str(said) == f"X can't listen on 127.0.0.1:53: {text}"
