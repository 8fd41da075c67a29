"""Messages on a stream of bytes: each is its length, in four bytes, and as many bytes.

For processes that trust each other. Reads and writes nothing itself.
"""

from __future__ import annotations

import struct

_LENGTH = struct.Struct(">I")

FRAME_BYTES_MAX = 1024**3
"""A snapshot that is restored is one transaction, and so one message; what is longer is no message of ours."""


class BadFrame(ValueError):
    """The other side does not speak this protocol."""


def frame(payload: bytes) -> bytes:
    """The message as it goes on the wire."""
    return _LENGTH.pack(len(payload)) + payload


class Unframer:
    """Takes bytes as they arrive, and gives the messages that are whole."""

    __slots__ = ("_held", "_wanted_bytes")

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted_bytes = _LENGTH.size

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that end in `data`, in order.

        Raises:
            BadFrame: one is longer than any message may be.
        """
        held = self._held
        held += data
        if len(held) < self._wanted_bytes:
            return []
        messages: list[bytes] = []
        at = 0
        while len(held) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(held, at)
            if length > FRAME_BYTES_MAX:
                raise BadFrame(f"a message of {length} bytes")
            end = at + _LENGTH.size + length
            if end > len(held):
                self._wanted_bytes = end - at
                break
            messages.append(bytes(held[at + _LENGTH.size : end]))
            at = end
        else:
            self._wanted_bytes = _LENGTH.size
        del held[:at]
        return messages
