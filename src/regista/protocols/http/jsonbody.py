"""JSON in and out, in the dialect of Consul's clients: what Go's `encoding/json` reads and writes."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

from regista.model import BadInput

_encode = msgspec.json.Encoder().encode


def decode_json(body: bytes) -> Any:
    """The first JSON value in `body`; what follows it is ignored, as Go's decoder does.

    Raises:
        BadInput: with Go's words where clients may know them.
    """
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise _failed("exceeded max depth") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_slowly(body)


def encode_json(value: Any, *, pretty: bool = False) -> bytes:
    """`value` as compact JSON, or indented by four spaces with a newline at the end.

    `<`, `>` and `&` are escaped, so that an answer is harmless where a browser takes it for HTML.

    Source: Go 1.x, `encoding/json` (HTML-safe escapes).
    """
    text = _encode(value)
    if b"<" in text or b">" in text or b"&" in text:
        # These bytes stand only inside strings: JSON's own signs are others.
        text = text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    return msgspec.json.format(text, indent=4) + b"\n" if pretty else text


def _decode_slowly(body: bytes) -> Any:
    """Finds out what is wrong, or that only what follows the first value is."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _failed(f"invalid UTF-8 at byte {error.start}") from error
    text = text.lstrip(" \t\r\n")
    if not text:
        raise _failed("EOF")
    try:
        value, _ = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode(text)
    except RecursionError:
        raise _failed("exceeded max depth") from None
    except json.JSONDecodeError as error:
        at = text[error.pos : error.pos + 1]
        if not at or error.msg.startswith("Unterminated string"):
            raise _failed("unexpected EOF") from error
        raise _failed(f"invalid character '{at}' at position {error.pos}: {error.msg}") from error
    except ValueError as error:
        raise _failed(str(error)) from error
    if "\\ud" in text.lower():
        _refuse_half_characters(value)
    return value


def _refuse_half_characters(value: Any) -> None:
    """Does nothing unless a text in `value` has half of a surrogate pair: no answer could hold it."""
    try:
        _encode(value)
    except UnicodeEncodeError as error:
        raise _failed("invalid character: a \\u escape is half of a surrogate pair") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _failed(reason: str) -> BadInput:
    return BadInput(f"Request decode failed: {reason}")
