"""UDP sockets for the server, of which one that listens at every address answers from the one that was asked."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Protocol

BUFFER_BYTES = 4 * 1024 * 1024
"""Rides out a tenth of a second in which the loop is busy with other things."""

_IP_PKTINFO = 8
"""Linux' number; Python has no name for it before 3.14."""

_PKTINFO_V4 = struct.Struct("=i4s4s")
_PKTINFO_V6 = struct.Struct("=16sI")
_ROOM = socket.CMSG_SPACE(_PKTINFO_V4.size) + socket.CMSG_SPACE(_PKTINFO_V6.size)
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound
_MAPPED = "::ffff:"

Source = tuple[Any, ...]
"""Where a packet came from, to be given back with the answer; its address, as text, is the first part."""


class Packets(Protocol):
    """What the server needs of a socket; a plain one has it all."""

    def fileno(self) -> int:
        """For the loop to watch."""

    def recvfrom(self, bufsize: int, /) -> tuple[bytes, Source]:
        """The next packet, and where it came from."""

    def sendto(self, data: bytes, address: Source, /) -> int:
        """Sends an answer there."""

    def getsockname(self) -> Any:
        """Address and port."""

    def close(self) -> None:
        """Gives the address up."""


def packets_of(bound: socket.socket) -> Packets:
    """What a bound socket is for the server."""
    return AllAddresses(bound) if bound.getsockname()[0] in _WILDCARDS and sys.platform == "linux" else bound


class AllAddresses:
    """A socket at all addresses of a machine.

    The system would send an answer from whichever address is nearest to the client, and a client that asked
    another one takes it for forged.
    """

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        if bound.family == socket.AF_INET:
            bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)

    def fileno(self) -> int:
        """See `Packets`."""
        return self._socket.fileno()

    def recvfrom(self, bufsize: int, /) -> tuple[bytes, Source]:
        """See `Packets`."""
        data, told, _, source = self._socket.recvmsg(bufsize, _ROOM)
        return data, (source[0].removeprefix(_MAPPED), source, _way_back(told))

    def sendto(self, data: bytes, address: Source, /) -> int:
        """See `Packets`."""
        _, source, way_back = address
        return self._socket.sendmsg((data,), way_back, 0, source)

    def getsockname(self) -> Any:
        """See `Packets`."""
        return self._socket.getsockname()

    def close(self) -> None:
        """See `Packets`."""
        self._socket.close()


def _way_back(told: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """What has the answer sent from the address that was asked, over whatever interface leads back."""
    for level, kind, data in told:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, own, _ = _PKTINFO_V4.unpack(data)
            return [(level, kind, _PKTINFO_V4.pack(0, own, bytes(4)))]
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            own, _ = _PKTINFO_V6.unpack(data)
            return [(level, kind, _PKTINFO_V6.pack(own, 0))]
    return []
