"""The sockets of the DNS server: UDP drained in a loop, TCP with its lengths.

Source: RFC 7766 (DNS over TCP): several questions a connection; they are answered in the order in which they came.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from regista.protocols.dns.counters import DnsCounters
from regista.protocols.dns.rates import Admission, SourceRates, is_own
from regista.protocols.dns.recursors import UpstreamRecursors
from regista.protocols.dns.resolver import Resolver
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.sockets import Pair, bind_pair
from regista.protocols.dns.udp import Packets, Source
from regista.protocols.dns.wire import HEADER_BYTES, QUERY_BYTES_MAX, cut_answer

logger = logging.getLogger(__name__)

_PACKETS_AT_ONCE = 64
"""Then others get their turn; what has not been read yet brings the loop back."""

_TURN_S = 0.005
"""Then too: between two turns that a request over HTTP needs there is one of DNS, and it is to be short. A single
answer that takes longer is dear (a large service that has just changed), and the last of its turn."""

_WAITING_MAX = 1000
"""While so many questions are answered later, others do not wait for the replica: an answer that is some moments
old is better than none."""

_BACKLOG = 512
_LENGTH = struct.Struct("!H")


class Answer(Protocol):
    """See `Resolver.answer`."""

    def __call__(
        self, data: bytes, client: str, *, is_tcp: bool = False
    ) -> bytes | Awaitable[bytes | None] | None:
        """The answer to a packet, or what is to be awaited for it; None for none."""


class DnsServer:
    """Serves a resolver on any number of addresses.

    Args:
        clock: monotonic seconds.
        catch_up: what a question is to wait for, that comes after a write which the replica has not; None (also
            what it gives) for nothing.

    Attributes:
        addresses: those that it has, as `host:port`.
    """

    def __init__(
        self,
        resolver: Resolver,
        recursors: UpstreamRecursors,
        settings: DnsSettings,
        *,
        clock: Callable[[], float],
        catch_up: Callable[[], Awaitable[object] | None] | None = None,
    ) -> None:
        self._resolver = resolver
        self._catch_up = catch_up
        self._answer: Answer = resolver.answer if catch_up is None else self._answer_current
        self._recursors = recursors
        self._settings = settings
        self._clock = clock
        self._rates = SourceRates(per_s=settings.source_answers_per_s, sources_max=settings.sources_max)
        self.addresses: list[str] = []
        self._pairs: list[Pair] = []
        # What ends the answers on each pair of sockets.
        self._listening: dict[Callable[[], None], None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        # Of sources but this machine's own.
        self._source_connections: collections.Counter[str] = collections.Counter()
        self._refused: collections.Counter[str] = collections.Counter()
        self._turn = asyncio.Lock()

    @property
    def connection_count(self) -> int:
        """How many connections over TCP are open."""
        return self._connections

    @property
    def source_connection_count(self) -> int:
        """How many connections over TCP the source has that has the most; this machine's own have no limit."""
        return max(self._source_connections.values(), default=0)

    @property
    def recursion_count(self) -> int:
        """How many questions are with recursors."""
        return self._recursors.under_way_count

    @property
    def ready_count(self) -> int:
        """How many answers are kept ready."""
        return self._resolver.ready_count

    @property
    def refused(self) -> Mapping[str, int]:
        """What was refused for a limit, by its setting."""
        return {**self._refused, "recursions_max": self._recursors.refused_count}

    def counters(self) -> DnsCounters:
        """What was counted, as of now."""
        counters = self._resolver.counters()
        counters.recursor_errors = self._recursors.error_count
        counters.recursions["refused"] = self._recursors.refused_count
        return counters

    def bind(self, address: str, port: int, *, is_shared: bool = False) -> str:
        """Takes an address, UDP and TCP, without answering on it yet; the real one as `host:port`.

        Args:
            is_shared: whether others of this user's processes may have it too, see `bind_pair`.

        Raises:
            OSError: it can't be had.
        """
        if is_shared and port:
            # Another agent that shares its address with its own must not get half of this one's clients.
            bind_pair(address, port).close()
        pair = bind_pair(address, port, is_shared=is_shared)
        self.adopt(pair)
        self.addresses.append(pair.address)
        return pair.address

    def adopt(self, pair: Pair) -> None:
        """Takes sockets that are bound, and will answer on them."""
        self._pairs.append(pair)

    async def stand_in(self, pair: Pair) -> Callable[[], None]:
        """Answers on sockets that are bound for as long as the returned function is not called."""
        return await self._begin(pair.dup())

    async def start(self) -> None:
        """Begins to answer on every address that was bound."""
        for pair in self._pairs:
            await self._begin(pair)

    async def close(self) -> None:
        """Ends: what is with a recursor is given up."""
        for stop in tuple(self._listening):
            stop()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, pair: Pair) -> Callable[[], None]:
        """Answers on these sockets, until the returned function closes them."""
        loop = asyncio.get_running_loop()
        loop.add_reader(pair.packets, self._drain, pair.packets)
        server = await asyncio.start_server(self.serve, sock=pair.streams, backlog=_BACKLOG)

        def stop() -> None:
            self._listening.pop(stop, None)
            loop.remove_reader(pair.packets)
            pair.packets.close()
            server.close()

        self._listening[stop] = None
        return stop

    # ---- UDP ----

    def _drain(self, packets: Packets) -> None:
        receive, send = packets.recvfrom, packets.sendto
        admit, answer, clock = self._rates.admit, self._answer, self._clock
        began_s = now_s = clock()
        for number in range(_PACKETS_AT_ONCE):
            try:
                data, source = receive(QUERY_BYTES_MAX + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as problem:
                # An answer before it could not be delivered (ICMP); there may be more to read.
                logger.debug("a packet can't be read: %s", problem)
                continue
            client = source[0]
            if not is_own(client):
                admission = admit(client, now_s)
                if admission is not Admission.ANSWERED:
                    self._limit(packets, data, source, admission)
                    continue
            try:
                found = answer(data, client)
            except Exception:
                logger.exception("a question of %d bytes from %s failed", len(data), client)
                continue
            if isinstance(found, bytes):
                try:
                    send(found, source)
                except OSError as problem:
                    # A buffer that is full, or a client that has gone, loses the answer: it asks again.
                    logger.debug("an answer to %s can't be sent: %s", client, problem)
            elif found is not None:
                self._start(self._send_later(packets, found, source))
            now_s = clock()
            if not number and isinstance(found, bytes):
                self._resolver.count_latency(now_s - began_s)
            if now_s - began_s >= _TURN_S:
                return

    def _limit(self, packets: Packets, data: bytes, source: Source, admission: Admission) -> None:
        self._resolver.count_limited(admission.value)
        cut = cut_answer(data) if admission is Admission.SLIPPED else None
        if cut is not None:
            with contextlib.suppress(OSError):
                packets.sendto(cut, source)

    async def _send_later(self, packets: Packets, found: Awaitable[bytes | None], source: Source) -> None:
        began_s = self._clock()
        answer = await found
        if answer is None:
            return
        with contextlib.suppress(OSError):
            packets.sendto(answer, source)
        self._resolver.count_latency(self._clock() - began_s)

    def _answer_current(
        self, data: bytes, client: str, *, is_tcp: bool = False
    ) -> bytes | Awaitable[bytes | None] | None:
        """The resolver's answer, from a replica that has all that was there before."""
        assert self._catch_up is not None
        awaited = self._catch_up() if len(self._tasks) < _WAITING_MAX else None
        if awaited is None:
            return self._resolver.answer(data, client, is_tcp=is_tcp)
        return self._answer_after(awaited, data, client, is_tcp=is_tcp)

    async def _answer_after(
        self, awaited: Awaitable[object], data: bytes, client: str, *, is_tcp: bool
    ) -> bytes | None:
        await awaited
        return await self._answer_in_turn(self._resolver.answer, data, client, is_tcp=is_tcp)

    async def _answer_in_turn(self, answer: Answer, data: bytes, client: str, *, is_tcp: bool) -> bytes | None:
        """The answer; where that took long, others get their turn before whoever else waits here for one."""
        async with self._turn:
            began_s = self._clock()
            found = answer(data, client, is_tcp=is_tcp)
            if self._clock() - began_s >= _TURN_S:
                await asyncio.sleep(0)
        return await found if isinstance(found, Awaitable) else found

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- TCP ----

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers on a connection over TCP until it ends, or refuses it."""
        task = asyncio.current_task()
        assert task is not None
        peer = writer.get_extra_info("peername")
        client = peer[0] if peer else ""
        limit = self._reached(client)
        if limit:
            self._refused[limit] += 1
            self._resolver.count_tcp_refused()
            writer.transport.abort()
            return
        self._count_connection(client, 1)
        self._tasks.add(task)
        try:
            await self._answer_all(reader, writer, client)
        except asyncio.IncompleteReadError:
            await self._send_rest(writer)
        except (OSError, TimeoutError):
            pass  # the client has gone, or says nothing more
        finally:
            self._count_connection(client, -1)
            self._tasks.discard(task)
            writer.transport.abort()

    async def _send_rest(self, writer: asyncio.StreamWriter) -> None:
        """Returns once a client that asks nothing more, and may still read, has been sent all its answers."""
        writer.transport.set_write_buffer_limits(high=0)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._settings.tcp_idle_s):
                await writer.drain()

    def _reached(self, client: str) -> str:
        """The limit for which a client can't have one more connection; "" for none."""
        if self._connections >= self._settings.tcp_connections_max:
            return "tcp_connections_max"
        # Whoever is exempt is not counted either.
        is_one_too_many = self._source_connections[client] >= self._settings.tcp_connections_per_source_max
        return "tcp_connections_per_source_max" if is_one_too_many else ""

    def _count_connection(self, client: str, step: int) -> None:
        self._connections += step
        if is_own(client):
            return
        self._source_connections[client] += step
        if not self._source_connections[client]:
            del self._source_connections[client]

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str) -> None:
        while True:
            async with asyncio.timeout(self._settings.tcp_idle_s):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            if length < HEADER_BYTES:
                return
            answer = await self._answer_in_turn(self._answer, data, client, is_tcp=True)
            if answer is None:
                return
            writer.write(_LENGTH.pack(len(answer)) + answer)
            async with asyncio.timeout(self._settings.tcp_idle_s):
                await writer.drain()
            # Thousands of questions may have arrived at once, and nothing above waits as long as there are any.
            await asyncio.sleep(0)
