"""Targets of probes: servers that are as they should be, and servers that are not.

A hostile target is a function `behave(reader, writer)` that says its bytes and returns; `listening` runs it on a
loopback port. Most of them are tables of bytes: what is sent when somebody has connected.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import zlib
from concurrent import futures
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

DATA = Path(__file__).parent / "data"
CERTIFICATE = DATA / "loopback.cert.pem"
KEY = DATA / "loopback.key.pem"

# ---- gRPC ----


@contextlib.contextmanager
def grpc_server(*, tls=False, has_health=True):
    """Google's server with the standard health service; its `host:port`. "good" serves, "bad" does not."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    if has_health:
        servicer = health.HealthServicer()
        servicer.set("good", health_pb2.HealthCheckResponse.SERVING)
        servicer.set("bad", health_pb2.HealthCheckResponse.NOT_SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if tls:
        keys = grpc.ssl_server_credentials([(KEY.read_bytes(), CERTIFICATE.read_bytes())])
        port = server.add_secure_port("127.0.0.1:0", keys)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


# ---- anything over TCP ----


def server_context(*protocols):
    """TLS of a server with the certificate of these tests."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@contextlib.asynccontextmanager
async def listening(behave, *, tls=None):
    """A server that behaves so towards everyone; its `host:port`. At the end, whoever is still connected is not."""
    running = set()

    async def serve(reader, writer):
        running.add(task := asyncio.current_task())
        try:
            # RuntimeError is what uvloop raises for writing to a connection that is gone.
            with contextlib.suppress(ConnectionError, ssl.SSLError, RuntimeError):
                await behave(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            running.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls, backlog=1024)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)


async def hang(reader, _writer):
    """Takes what comes, and never says anything."""
    while await reader.read(65536):
        pass


def ignores(for_s):
    """A target that does not even take what comes, for so long."""

    async def behave(_reader, writer):
        writer.transport.pause_reading()
        await asyncio.sleep(for_s)

    return behave


async def close(_reader, _writer):
    """Is gone at once."""


async def reset(_reader, writer):
    """Is gone at once, and impolite."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def says(words, *, then=close, first=b""):
    """A target that sends these bytes when anything was asked, `first` even before."""

    async def behave(reader, writer):
        writer.write(first)
        await reader.read(65536)
        writer.write(words)
        await writer.drain()
        await then(reader, writer)

    return behave


def drips(words, *, first=b"", every_s=0.01):
    """A target that sends `first`, and then these bytes one at a time."""

    async def behave(reader, writer):
        await reader.read(65536)
        writer.write(first)
        for byte in words:
            writer.write(bytes([byte]))
            await asyncio.sleep(every_s)
        await hang(reader, writer)

    return behave


def repeats(words, *, first=b""):
    """A target that sends `first`, and then these bytes again and again, as fast as they are taken."""

    async def behave(reader, writer):
        await reader.read(65536)
        writer.write(first)
        many = words * max(1, 16384 // len(words))
        while True:
            writer.write(many)
            await writer.drain()

    return behave


# ---- HTTP/2, by hand, so that it can be wrong ----


def frame(kind, flags, stream_id, payload=b"", *, length=None):
    """One frame; `length` is what it claims to have."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


DATA_FRAME, HEADERS, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0,
    1,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)

EMPTY_SETTINGS = frame(SETTINGS, 0, 0)
SETTINGS_ACK = frame(SETTINGS, 1, 0)
PING_ACK = frame(PING, 1, 0, b"regista\0")
STATUS_200 = b"\x88"


def plain_header(name, value):
    """A header as HPACK writes it that is neither indexed nor compressed."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


SERVING_ANSWER = b"".join(
    (
        EMPTY_SETTINGS,
        SETTINGS_ACK,
        frame(HEADERS, 4, 1, STATUS_200 + plain_header(b"content-type", b"application/grpc")),
        frame(DATA_FRAME, 0, 1, b"\0\0\0\0\2\x08\x01"),
        frame(HEADERS, 5, 1, plain_header(b"grpc-status", b"0")),
    )
)
"""All that a server says to a call of the health service."""

PING_ANSWER = EMPTY_SETTINGS + SETTINGS_ACK + PING_ACK
"""All that a server says to a ping."""

HTTP2_HOSTILITIES = {
    "HTTP/1": says(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    "garbage": says(b"\xde\xad\xbe\xef" * 64),
    "zeros": repeats(b"\0" * 1024),
    "an echo": repeats(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a huge frame": repeats(b"x" * 1024, first=EMPTY_SETTINGS + frame(DATA_FRAME, 0, 1, length=2**24 - 1)),
    "a flood of settings": repeats(EMPTY_SETTINGS),
    "a flood of large settings": repeats(frame(SETTINGS, 0, 0, b"\0\3\0\0\0\1" * 2000)),
    "a flood of pings": repeats(frame(PING, 0, 0, b"12345678"), first=EMPTY_SETTINGS),
    "a flood of wrong acknowledgements": repeats(frame(PING, 1, 0, b"12345678"), first=EMPTY_SETTINGS),
    "a flood of unknown frames": repeats(frame(0xFA, 0, 0, b"?"), first=EMPTY_SETTINGS),
    "a flood of windows": repeats(frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), first=EMPTY_SETTINGS),
    "headers without end": repeats(
        frame(CONTINUATION, 0, 1, plain_header(b"x", b"y" * 100) * 10),
        first=EMPTY_SETTINGS + frame(HEADERS, 0, 1, STATUS_200),
    ),
    "broken compression": says(EMPTY_SETTINGS + frame(HEADERS, 4, 1, b"\xff" * 40), then=hang),
    "a push": says(EMPTY_SETTINGS + frame(PUSH, 4, 1, b"\0\0\0\2" + STATUS_200), then=hang),
    "goodbye": says(EMPTY_SETTINGS + frame(GOAWAY, 0, 0, b"\0\0\0\0\0\0\0\x0bcalm down"), then=hang),
    "an endless goodbye": repeats(
        b"x" * 1024, first=EMPTY_SETTINGS + frame(GOAWAY, 0, 0, b"\0" * 8, length=16384)
    ),
    "nothing": hang,
    "nothing taken": ignores(30),
    "the end": close,
    "a reset": reset,
    "a drip": drips(PING_ANSWER[:-1] + b"\1"),
}
"""What neither a ping nor a call may be taken in by."""

CALL_HOSTILITIES = {
    "a reset of the stream": says(EMPTY_SETTINGS + frame(RST_STREAM, 0, 1, b"\0\0\0\7"), then=hang),
    "an endless body": repeats(
        frame(DATA_FRAME, 0, 1, b"x" * 1024), first=EMPTY_SETTINGS + frame(HEADERS, 4, 1, STATUS_200)
    ),
    "an empty body without end": repeats(
        frame(DATA_FRAME, 0, 1), first=EMPTY_SETTINGS + frame(HEADERS, 4, 1, STATUS_200)
    ),
    "a web page": says(
        EMPTY_SETTINGS + frame(HEADERS, 4, 1, STATUS_200) + frame(DATA_FRAME, 1, 1, b"<html>"), then=hang
    ),
    "no body": says(
        EMPTY_SETTINGS + frame(HEADERS, 5, 1, STATUS_200 + plain_header(b"grpc-status", b"0")), then=hang
    ),
    "a long message": says(
        EMPTY_SETTINGS
        + frame(HEADERS, 4, 1, STATUS_200)
        + frame(DATA_FRAME, 0, 1, b"\0\xff\xff\xff\xff\x08\x01")
        + frame(HEADERS, 5, 1, plain_header(b"grpc-status", b"0")),
        then=hang,
    ),
    "a status that is no number": says(
        EMPTY_SETTINGS + frame(HEADERS, 5, 1, STATUS_200 + plain_header(b"grpc-status", b"\xff?")), then=hang
    ),
}
"""What else a call may not be taken in by."""

# ---- HTTP ----

BOMB = zlib.compress(bytes(2**24), wbits=31) * 64
"""One megabyte that unpacks to one gigabyte of zeros, in 64 parts."""

OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
OK_ANSWER = OK_HEAD + b"Content-Length: 4\r\n\r\nfine"

HTTP_HOSTILITIES = {
    "nothing": hang,
    "nothing taken": ignores(30),
    "the end": close,
    "a reset": reset,
    "garbage": says(b"\xde\xad\xbe\xef" * 64),
    "zeros": repeats(b"\0" * 1024),
    "an endless line": repeats(b"x" * 1024),
    "an endless header": repeats(b"x" * 1024, first=OK_HEAD + b"X: "),
    "endless headers": repeats(b"X: y\r\n", first=OK_HEAD),
    "HTTP/2": says(frame(SETTINGS, 0, 0), then=hang),
    "a head that drips": drips(OK_HEAD + b"X: " + b"y" * 1000),
    "half a head": says(OK_HEAD, then=hang),
    "a status of too many digits": says(b"HTTP/1.1 20000 OK\r\n\r\n"),
    "continue for ever": repeats(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a redirect in circles": says(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
    "a redirect with an endless body": repeats(
        b"x" * 1024, first=b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 1000000000\r\n\r\n"
    ),
    "a redirect to nowhere": says(b"HTTP/1.1 302 Found\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n"),
    "pieces of no length": says(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n", then=hang),
    "two lengths": says(OK_HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nfine"),
}
"""What no HTTP check may be taken in by."""

HTTP_BODY_HOSTILITIES = {
    "a body that drips": drips(b"x" * 1000, first=OK_HEAD + b"Content-Length: 1000000\r\n\r\n"),
    "a body that hangs": says(OK_HEAD + b"Content-Length: 100\r\n\r\n", then=hang),
    "a body that breaks off": says(OK_HEAD + b"Content-Length: 100\r\n\r\nshort"),
    "an endless body": repeats(b"x" * 1024, first=OK_HEAD + b"\r\n"),
    "an endless body in pieces": repeats(
        b"400\r\n" + b"x" * 1024 + b"\r\n", first=OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    ),
    "a body that unpacks to a gigabyte": says(
        OK_HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB, then=hang
    ),
    "a body that does not unpack": says(OK_HEAD + b"Content-Encoding: gzip\r\n\r\nthis is no gzip", then=hang),
}
"""What does not count against a service, because its status line was there."""
