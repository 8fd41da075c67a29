"""Why an address can't be listened on, and what would help. Pure."""

from __future__ import annotations

import errno

from regista.model import ConfigError


def cant_listen(door: str, address: str, port: int, error: OSError, *, other_port: str) -> ConfigError:
    """The error for whoever starts the agent.

    Args:
        door: what would listen, `HTTP` or `DNS`.
        other_port: how another port is given.
    """
    match error.errno:
        case errno.EADDRINUSE:
            advice = f"Stop what uses it, or give another {other_port} or --client."
        case errno.EACCES:
            advice = f"A port below 1024 takes CAP_NET_BIND_SERVICE; give another {other_port}."
        case errno.EADDRNOTAVAIL:
            advice = "This machine has no such address; give another --client."
        case _:
            advice = f"Give another {other_port} or --client."
    return ConfigError(f"{door} can't listen on {address}:{port}: {error.strerror or error}. {advice}")
