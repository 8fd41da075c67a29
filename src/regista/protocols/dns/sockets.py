"""The sockets of one address: UDP and TCP at the same port, alone or beside those of other processes."""

from __future__ import annotations

import dataclasses
import errno
import os
import socket

from regista.protocols.dns.udp import BUFFER_BYTES, Packets, packets_of

_TRIES = 16
"""A free port of UDP's need not be one of TCP's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A UDP and a TCP socket that are bound to one address."""

    packets: Packets
    streams: socket.socket

    @property
    def address(self) -> str:
        """The address as `host:port`."""
        host, port = self.packets.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def filenos(self) -> tuple[int, int]:
        """Both file descriptors, for `adopt_pair`."""
        return self.packets.fileno(), self.streams.fileno()

    def dup(self) -> Pair:
        """The same sockets once more, to be closed by themselves."""
        packets, streams = self.filenos()
        return adopt_pair((os.dup(packets), os.dup(streams)))

    def close(self) -> None:
        """Gives the address up."""
        self.packets.close()
        self.streams.close()


def adopt_pair(filenos: tuple[int, int]) -> Pair:
    """The pair that these file descriptors are, which are the pair's from now on."""
    packets, streams = filenos
    return Pair(packets_of(socket.socket(fileno=packets)), socket.socket(fileno=streams))


def bind_pair(address: str, port: int, *, is_shared: bool = False) -> Pair:
    """Takes an address.

    Args:
        port: 0 for a free one.
        is_shared: whether other sockets of this user's may have it too, each a share of the clients.

    Raises:
        OSError: it can't be had.
    """
    tries = 1 if port else _TRIES
    while True:
        tries -= 1
        packets = packets_of(_bound(address, port, socket.SOCK_DGRAM, is_shared=is_shared))
        try:
            streams = _bound(address, packets.getsockname()[1], socket.SOCK_STREAM, is_shared=is_shared)
        except OSError as error:
            packets.close()
            if not tries or error.errno != errno.EADDRINUSE:
                raise
            continue
        return Pair(packets, streams)


def _bound(address: str, port: int, kind: socket.SocketKind, *, is_shared: bool) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_DGRAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
