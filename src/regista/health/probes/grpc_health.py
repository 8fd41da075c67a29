"""The two messages of `grpc.health.v1.Health/Check`, and their framing; pure.

They have one field each, so they are written and read by hand here, instead of with protobuf's runtime and its
compiler. A request holds a name (field 1, text), a response a status (field 1, a small number); what else a
response may hold one day is passed over.

Source: the gRPC health checking protocol; protobuf's encoding (https://protobuf.dev/programming-guides/encoding/);
gRPC over HTTP/2, "Length-Prefixed-Message".
"""

from __future__ import annotations

STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
"""By their numbers."""

SERVING = "SERVING"

_PREFIX_BYTES = 5
"""One byte says whether it is compressed, four say how long the message is."""

_NAME = 1 << 3 | 2
"""Field 1 of wire type 2: bytes behind their length."""

_VARINT_BYTES_MAX = 10
"""Ten times seven bits hold 64."""


class Malformed(Exception):
    """Bytes that are no health response; the text says why."""


def encode_request(service: str) -> bytes:
    """A framed HealthCheckRequest for a service; "" for the server as a whole."""
    name = service.encode("utf-8", "replace")
    message = bytes([_NAME]) + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def decode_response(framed: bytes) -> str:
    """The status in one framed HealthCheckResponse.

    Raises:
        Malformed: it is not one, or not whole.
    """
    if len(framed) < _PREFIX_BYTES:
        raise Malformed("the answer has no message")
    if framed[0]:
        raise Malformed("the message is compressed, which nobody asked for")
    message = framed[_PREFIX_BYTES:]
    if len(message) != int.from_bytes(framed[1:_PREFIX_BYTES], "big"):
        raise Malformed("the message has another length than it says")
    number = _field_1(message)
    return STATUSES[number] if number < len(STATUSES) else str(number)


def _field_1(message: bytes) -> int:
    """The last value of field 1, or 0 if there is none, as protobuf wants it."""
    value = at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        match tag & 7:
            case 0:
                number, at = _read_varint(message, at)
                value = number if tag >> 3 == 1 else value
            case 1:
                at += 8
            case 2:
                length, at = _read_varint(message, at)
                at += length
            case 5:
                at += 4
            case wire_type:
                raise Malformed(f"the message has a field of wire type {wire_type}")
    if at != len(message):
        raise Malformed("the message breaks off")
    return value


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    number = 0
    for position, byte in enumerate(message[at : at + _VARINT_BYTES_MAX]):
        number |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return number, at + position + 1
    raise Malformed("the message breaks off")
