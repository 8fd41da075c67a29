"""The messages between a worker and the main process, besides those of the log: as MessagePack, in frames.

On the connections for calls, of which each carries one at a time:

    worker: Call ──▶ [main: WantBody ──▶ worker: Body…] main: Answer ──▶ [Part… End]

On the one for control, where the main process asks:

    worker: Hello … Ready        main: Look, Count, Ping ──▶ worker: Looked, Counted, Pong
"""

from __future__ import annotations

import collections
import typing
from typing import Any, TypeAlias

import msgspec

from regista.health import Histogram
from regista.protocols.dns import DnsCounters
from regista.protocols.http import ClientTraffic, Follower
from regista.store import frame

PART_BYTES = 64 * 1024
"""Of a body, in one message."""


class Call(msgspec.Struct, array_like=True, tag=1):
    """A request that the main process is to answer.

    Attributes:
        has_more: whether the body is to be asked for, and not in `body`.
        client, program, remote: the client's address, its User-Agent, and its address with the port.
    """

    method: str
    path: str
    query: bytes
    headers: list[tuple[str, bytes]]
    body: bytes
    has_more: bool
    client: str
    program: bytes
    remote: str


def to_bytes(text: str) -> bytes:
    """What a client sent that need not be Unicode, as it came."""
    return text.encode("utf-8", "surrogateescape")


def to_text(sent: bytes) -> str:
    """The same as the parser of heads gives it."""
    return sent.decode("utf-8", "surrogateescape")


class Body(msgspec.Struct, array_like=True, tag=2):
    """Some of a body that was asked for."""

    content: bytes
    is_last: bool


class WantBody(msgspec.Struct, array_like=True, tag=11):
    """Asks for the body, which may be so large."""

    bytes_max: int


class Answer(msgspec.Struct, array_like=True, tag=12):
    """A response; the parts of its body follow if it is a stream."""

    status: int
    body: bytes
    content_type: str
    headers: tuple[tuple[str, str], ...]
    is_packed: bool
    is_last: bool
    is_stream: bool


class Part(msgspec.Struct, array_like=True, tag=13):
    """Some of a body that is made while it is sent."""

    content: bytes


class End(msgspec.Struct, array_like=True, tag=14):
    """The end of such a body."""


class Hello(msgspec.Struct, array_like=True, tag=21):
    """The first message of the worker of this number."""

    worker: int


class Ready(msgspec.Struct, array_like=True, tag=22):
    """The worker answers."""


class Looked(msgspec.Struct, array_like=True, tag=23):
    """Who follows what the main process asked about; `is_complete` as in `Passage`."""

    number: int
    followers: list[Follower]
    is_complete: bool


class Counted(msgspec.Struct, array_like=True, tag=24):
    """What a worker has counted since its start, and what is so now.

    Attributes:
        stale: answers about health that said so, see `PresentStanding`.
        unlisted_requests_max: of clients that are not in `clients`.
        dns_ready, dns_connections: as of now.
        refused: requests, by the limit that was the reason.
    """

    number: int
    index: int = 0
    behind_count: int = 0
    requests: int = 0
    connections: int = 0
    waiting: int = 0
    watchers: int = 0
    encoded: int = 0
    ready_hits: int = 0
    ready_misses: int = 0
    forwarded: int = 0
    stale: int = 0
    clients: list[ClientTraffic] = []
    unlisted_requests_max: int = 0
    dns: DnsCounters | None = None
    dns_ready: int = 0
    dns_connections: int = 0
    refused: dict[str, int] = {}

    @property
    def dns_answers(self) -> int:
        """How many questions over DNS it has answered."""
        return self.dns.answers.total() if self.dns is not None else 0


NOTHING_COUNTED = Counted(0)


class Pong(msgspec.Struct, array_like=True, tag=25):
    """It is there."""

    number: int


class Ping(msgspec.Struct, array_like=True, tag=33):
    """Asks whether it is there."""

    number: int


class Look(msgspec.Struct, array_like=True, tag=31):
    """Asks who follows what depends on these topics and has changed at `index` or since."""

    number: int
    topics: list[str]
    index: int


class Count(msgspec.Struct, array_like=True, tag=32):
    """Asks what was counted."""

    number: int


CallMessage: TypeAlias = Call | Body
AnswerMessage: TypeAlias = WantBody | Answer | Part | End
WorkerMessage: TypeAlias = Hello | Ready | Looked | Counted | Pong
MainMessage: TypeAlias = Look | Count | Ping


def _plain(value: Any) -> Any:
    """What MessagePack has no form for, as values for which it has one."""
    if isinstance(value, Histogram):
        return value.parts()
    raise TypeError(f"{type(value).__name__} has no form on this wire")


def _decoded(wanted: Any, value: Any) -> Any:
    """The opposite."""
    if wanted is Histogram:
        return Histogram.of_parts(*value)
    if typing.get_origin(wanted) is collections.Counter:
        return collections.Counter(value)
    raise TypeError(f"{wanted} has no form on this wire")


calls: msgspec.msgpack.Decoder[CallMessage] = msgspec.msgpack.Decoder(CallMessage)
answers: msgspec.msgpack.Decoder[AnswerMessage] = msgspec.msgpack.Decoder(AnswerMessage)
from_worker: msgspec.msgpack.Decoder[WorkerMessage] = msgspec.msgpack.Decoder(WorkerMessage, dec_hook=_decoded)
from_main: msgspec.msgpack.Decoder[MainMessage] = msgspec.msgpack.Decoder(MainMessage)

_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)


def framed(message: CallMessage | AnswerMessage | WorkerMessage | MainMessage) -> bytes:
    """The message as it goes on the wire."""
    return frame(_encoder.encode(message))
