"""Asking others: each question once, whoever brings it."""

import asyncio
import random

import dns.message
import dns.rcode

from regista.protocols.dns.recursors import UpstreamRecursors


class Upstream(asyncio.DatagramProtocol):
    """A recursor that answers with what `answer` gives for a packet."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.tasks = []

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.asked.append(data)
        self.tasks.append(asyncio.ensure_future(self.send(data, addr)))

    async def send(self, data, addr):
        found = await self.answer(data)
        if found is not None and not self.transport.is_closing():
            self.transport.sendto(found, addr)


async def upstream_of(answer):
    """A recursor, and its address."""
    loop = asyncio.get_running_loop()
    transport, upstream = await loop.create_datagram_endpoint(
        lambda: Upstream(answer), local_addr=("127.0.0.1", 0)
    )
    return upstream, transport.get_extra_info("sockname")


def recursors(*upstreams, timeout_s):
    return UpstreamRecursors(
        upstreams, timeout_s=timeout_s, is_random=False, under_way_max=100, rng=random.Random(1)
    )


def question(number=7):
    return dns.message.make_query("www.example.org.", "A", id=number).to_wire()


def response(data, rcode=dns.rcode.NOERROR):
    message = dns.message.make_response(dns.message.from_wire(data))
    message.set_rcode(rcode)
    return message.to_wire()


async def test_recursors_that_ask_each_other_in_a_circle_come_to_an_end():
    """One question is asked of each of them once, however many ways lead round."""

    async def ask_back(data):
        return await asking.ask(data, is_tcp=False) or response(data, dns.rcode.SERVFAIL)

    upstream, address = await upstream_of(ask_back)
    asking = recursors(address, address, address, timeout_s=0.03)
    assert await asking.ask(question(), is_tcp=False) is None
    await asyncio.gather(*upstream.tasks)
    assert len(upstream.asked) == 3
    assert asking.under_way_count == 0
    assert await asking.ask(question(), is_tcp=False) is None
    assert len(upstream.asked) == 3
    upstream.transport.close()


async def asking_one_that_waits():
    """A recursor that answers once it may, those who ask it, and the event that lets it."""
    may_answer = asyncio.Event()

    async def answer(data):
        await may_answer.wait()
        return response(data)

    upstream, address = await upstream_of(answer)
    return upstream, recursors(address, timeout_s=5), may_answer


async def test_who_asks_once_more_shares_the_answer():
    """A client that repeats its packet makes no second question; another one, and a later one, does."""
    upstream, asking, may_answer = await asking_one_that_waits()
    both = [asyncio.ensure_future(asking.ask(question(), is_tcp=False)) for _ in range(2)]
    other = asyncio.ensure_future(asking.ask(question(8), is_tcp=False))
    await asyncio.sleep(0)
    assert asking.under_way_count == 3
    may_answer.set()
    assert await asyncio.gather(*both) == [response(question())] * 2
    assert await other == response(question(8))
    assert len(upstream.asked) == 2
    assert await asking.ask(question(), is_tcp=False) == response(question())
    assert len(upstream.asked) == 3
    upstream.transport.close()


async def test_who_goes_away_takes_nobody_along():
    """Of those who share an answer, one may be cancelled."""
    upstream, asking, may_answer = await asking_one_that_waits()
    first, second, third = (asyncio.ensure_future(asking.ask(question(), is_tcp=False)) for _ in range(3))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    assert not third.done()
    may_answer.set()
    assert await first == await third == response(question())
    assert asking.under_way_count == 0
    upstream.transport.close()
