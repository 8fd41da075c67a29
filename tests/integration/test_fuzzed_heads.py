"""Heads that nobody should send, hundreds of thousands of them: no crash, no hang, no growth.

With a seed of its own each run draws the same ones; `HEADS_SEED` draws others, and `HEADS_COUNT` more.
"""

import asyncio
import gc
import os
import random

from aiohttp.http_exceptions import HttpProcessingError
from tests.doors import Door, World
from tests.heads import PLAIN, compare, mutated, parser
from tests.integration.polling import until

from regista.model import Batch, Node, Put, Service
from regista.protocols.http import plain_heads
from regista.protocols.http.dispatch import KNOWN_HEADS_MAX

SEED = int(os.environ.get("HEADS_SEED", "4711"))
COUNT = int(os.environ.get("HEADS_COUNT", "400000"))

CACHE_BYTES_MAX = 200_000

ASKED = (
    *PLAIN,
    b"GET /v1/health/service/web?passing HTTP/1.1\r\nHost: x\r\nUser-Agent: consul-template\r\n\r\n",
    b"GET /v1/catalog/nodes HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n",
    b"GET /v1/catalog/services HTTP/1.0\r\nHost: x\r\n\r\n",
    b"GET /v1/health/state/any?index=1&wait=1ns HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET /v1/catalog/nodes HTTP/1.1\r\nHost: x\r\n\r\n" * 3,
)


def test_plain_heads_mean_the_same_to_the_servers_parser():
    """Of all mutated heads, those that are read the short way mean the same to the parser of the long way."""
    rng = random.Random(SEED)
    plain_count = 0
    with parser() as parse:
        for _ in range(COUNT):
            raw = mutated(rng, PLAIN)
            try:
                plain_count += compare(raw, parse)
            except HttpProcessingError as error:
                raise AssertionError(f"only the real parser refuses {raw!r}") from error
    assert plain_count > COUNT / 10


async def test_whatever_is_sent_the_door_goes_on():
    """After each mutated request a client that asks properly is answered; what is kept stays within its limits."""
    rng = random.Random(SEED)
    world = World()
    service = Service(node="n1", id="w", name="web", port=80)
    world.catalog.apply(Batch(1, 0.0, (Put(Node(name="n1", address="1.1.1.1")), Put(service))))
    door = await Door(world, response_cache_bytes_max=CACHE_BYTES_MAX, clients_max=10).open()
    objects = 0
    proper = b"GET /v1/health/service/web HTTP/1.1\r\nHost: x\r\n\r\n"
    expected = await door.ask(proper)
    assert expected.startswith(b"HTTP/1.1 200")
    for number in range(COUNT // 10):
        await door.settle()
        door.transport.taken = b""
        for part in _parts(rng, mutated(rng, ASKED)):
            door.connection.data_received(part)
        if number % 10 == 0:
            await asyncio.sleep(0)
        if rng.random() < 0.5 or door.transport.is_closed:
            door.disconnect()
            door.connect()
        if number % 500 == 0:
            door.disconnect()
            door.connect()
            assert await door.ask(proper) == expected
            assert door.responses.kept_bytes <= CACHE_BYTES_MAX
            assert len(door.http._dispatcher.known) <= KNOWN_HEADS_MAX
        if number == COUNT // 20:
            objects = await _objects(door)
    # Besides heads, some answers are kept, within limits of their own.
    assert await _objects(door) < objects + 2_000
    door.disconnect()
    await door.http.close(0)


def _parts(rng, raw):
    """The bytes in one packet, mostly."""
    if rng.random() < 0.8 or len(raw) < 2:
        return (raw,)
    at = rng.randrange(1, len(raw))
    return raw[:at], raw[at:]


async def _objects(door):
    """How many objects there are without what is remembered of heads, once what is over has ended."""
    door.http._dispatcher.known.clear()
    door.http._dispatcher.known_tails.clear()
    plain_heads._read_lines.cache_clear()
    door.disconnect()
    await until(lambda: not door.http.connection_count)
    door.connect()
    gc.collect()
    return len(gc.get_objects())
