"""Sending a body that is made while it is sent, in HTTP/1.1's chunks.

Source: RFC 9112, 7.1 (chunked transfer coding).
"""

from __future__ import annotations

import contextlib
import http
import logging
from collections.abc import Awaitable, Callable

from regista.model import RegistaError
from regista.protocols.http.dispatch import Head
from regista.protocols.http.messages import ByteStream, Response
from regista.protocols.http.wire import all_headers, header_lines

logger = logging.getLogger(__name__)

_LAST_CHUNK = b"0\r\n\r\n"


async def send_stream(
    response: Response,
    stream: ByteStream,
    head: Head,
    *,
    date: str,
    write: Callable[[bytes], None],
    drain: Callable[[], Awaitable[None]],
) -> int | None:
    """Sends the head at once and each part as it comes, until the stream ends.

    Args:
        head: of the request.
        date: the value of the `Date` header.
        drain: waits until the client takes more.

    Returns:
        How many bytes that were; None if the client has gone, or no more could be made.
    """
    try:
        async with contextlib.aclosing(stream):
            encoded = _encode_head(response, date=date)
            write(encoded)
            sent_bytes = len(encoded)
            if head.method == "HEAD":
                return sent_bytes
            async for part in stream:
                await drain()
                chunk = b"%x\r\n%b\r\n" % (len(part), part)
                write(chunk)
                sent_bytes += len(chunk)
            write(_LAST_CHUNK)
            return sent_bytes + len(_LAST_CHUNK)
    except ConnectionError:
        return None
    except RegistaError as error:
        # The client comes back, and is told then.
        logger.warning("%s %s was cut off: %s", head.method, head.path, error)
        return None


def _encode_head(response: Response, *, date: str) -> bytes:
    headers, _ = all_headers(response, accepts_gzip=False, date=date)
    kept = [(name, value) for name, value in headers if name != "Content-Length"]
    lines = header_lines([*kept, ("Transfer-Encoding", "chunked")])
    status_line = f"HTTP/1.1 {response.status} {http.HTTPStatus(response.status).phrase}"
    return "\r\n".join([status_line, *lines, "\r\n"]).encode()
