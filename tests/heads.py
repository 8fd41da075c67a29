"""Heads of requests, as clients send them and as nobody should, and the server's own parser to compare with."""

import asyncio
import contextlib

from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser

from regista.protocols.http.plain_heads import read_plain_head

PLAIN = (
    b"GET /v1/health/service/web?passing&near=_agent HTTP/1.1\r\nHost: x:8500\r\nUser-Agent: a/1 (b; c)\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost:\r\n\r\n",
    b"PUT /v1/agent/check/pass/a%20b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n",
    b"POST /v1/query HTTP/1.1\r\nhost: x\r\ncontent-length: 17\r\nX-A: 1\r\nX-a:2  \r\nX-Empty:\r\n\r\n",
    b"DELETE /v1/kv/a//b/../c;d=e,f HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip, br;q=0\r\n\r\n",
)


@contextlib.contextmanager
def parser():
    """Reads a head as the server does."""
    loop = asyncio.new_event_loop()
    protocol = BaseProtocol(loop)

    def read(raw):
        made = HttpRequestParser(protocol, loop, 2**16, max_line_size=16384, max_field_size=16384, max_headers=128)
        messages, is_upgraded, _ = made.feed_data(raw)
        ((message, _),) = messages
        assert not is_upgraded
        return message

    yield read
    loop.close()


def compare(raw, parse):
    """Asserts that a plain head is what the real parser makes of it; whether it was plain."""
    head = read_plain_head(raw, line_bytes_max=16384)
    if head is None:
        return False
    message = parse(raw)
    assert (head.method, head.target) == (message.method, message.path)
    assert _lower(head.headers) == _lower(message.headers)
    assert head.content_length == int(message.headers.get("Content-Length", "0"))
    assert (message.version, message.should_close) == ((1, 1), False)
    assert (message.compression, message.upgrade, message.chunked) == (None, False, False)
    return True


def _lower(headers):
    """The headers in order, their names without regard to case."""
    return [(name.lower(), value) for name, value in headers.items()]


def mutated(rng, heads):
    """One of the heads with one to three random changes."""
    changed = bytearray(rng.choice(heads))
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(changed))
        match rng.randrange(5):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                changed[at] = rng.choice(b" :\r\n\t/?%#,;=-Aaz09~\x7f\x80")
            case 2:
                del changed[at : at + rng.randint(1, 4)]
            case 3:
                end = at + rng.randint(1, 20)
                changed[at:at] = changed[at:end]
            case 4:
                changed[at:at] = rng.choice(
                    (b"\r\n", b"\n", b" ", b"A: b\r\n", b"\0", b": ", b"Connection: x\r\n")
                )
    return bytes(changed)
