"""One end of a connection that carries framed messages."""

from __future__ import annotations

import abc
import asyncio
import logging
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import msgspec

from regista.store.frames import BadFrame, Unframer

logger = logging.getLogger(__name__)

T = TypeVar("T")


class FramedConnection(asyncio.Protocol, abc.ABC, Generic[T]):
    """Takes messages as they arrive, and paces what is sent. A subclass says what becomes of them in `take`.

    Args:
        decode: a message from its bytes.

    Attributes:
        other: what the other end is called in the log.
    """

    other = "the other side"

    def __init__(self, decode: Callable[[bytes], T]) -> None:
        self._decode = decode
        self._unframer = Unframer()
        self._transport: asyncio.Transport | None = None
        self._room = asyncio.Event()
        self._room.set()

    @abc.abstractmethod
    def take(self, message: T) -> None:
        """Takes a message.

        Raises:
            KeyError, msgspec.MsgspecError: it holds what is no message; the connection ends.
        """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Notes that the connection is there."""
        # An assertion would not do: uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Notes that it has ended; nobody waits for room any more."""
        self._transport = None
        self._room.set()

    def pause_writing(self) -> None:
        """Has whoever paces himself send nothing more for now."""
        self._room.clear()

    def resume_writing(self) -> None:
        """Has him go on."""
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Takes what has arrived; an end that does not speak this protocol is let go."""
        try:
            for payload in self._unframer.feed(data):
                self.take(self._decode(payload))
        except (BadFrame, KeyError, msgspec.MsgspecError):
            logger.exception("%s sent what is no message, and is let go", self.other)
            self.abort()

    def send(self, message: bytes) -> None:
        """Sends a message that is framed; nothing happens if the connection has ended."""
        if self._transport is not None:
            self._transport.write(message)

    def close(self) -> None:
        """Ends the connection once everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()
