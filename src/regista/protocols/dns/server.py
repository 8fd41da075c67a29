"""The sockets of the DNS server: UDP drained in a loop, TCP with its lengths.

Source: RFC 7766 (DNS over TCP): several questions a connection; they are answered in the order in which they came.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

from regista.protocols.dns.counters import DnsCounters
from regista.protocols.dns.rates import Admission, SourceRates, is_own
from regista.protocols.dns.recursors import UpstreamRecursors
from regista.protocols.dns.resolver import Resolver
from regista.protocols.dns.settings import DnsSettings
from regista.protocols.dns.udp import Packets, Source, bind_packets
from regista.protocols.dns.wire import HEADER_BYTES, QUERY_BYTES_MAX, cut_answer

logger = logging.getLogger(__name__)

_PACKETS_AT_ONCE = 64
"""Then others get their turn; what has not been read yet brings the loop back."""

_TWO_PORTS_TRIES = 16
_BACKLOG = 512
_LENGTH = struct.Struct("!H")


class DnsServer:
    """Serves a resolver on any number of addresses.

    Args:
        clock: monotonic seconds.

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
    ) -> None:
        self._resolver = resolver
        self._recursors = recursors
        self._settings = settings
        self._clock = clock
        self._rates = SourceRates(per_s=settings.source_answers_per_s, sources_max=settings.sources_max)
        self.addresses: list[str] = []
        self._packets: list[Packets] = []
        self._streams: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    @property
    def connection_count(self) -> int:
        """How many connections over TCP are open."""
        return self._connections

    @property
    def ready_count(self) -> int:
        """How many answers are kept ready."""
        return self._resolver.ready_count

    def counters(self) -> DnsCounters:
        """What was counted, as of now."""
        counters = self._resolver.counters()
        counters.recursor_errors = self._recursors.error_count
        counters.recursions["refused"] = self._recursors.refused_count
        return counters

    def bind(self, address: str, port: int) -> str:
        """Takes an address, UDP and TCP, without answering on it yet; the real one as `host:port`.

        Raises:
            OSError: it can't be had.
        """
        for left in range(_TWO_PORTS_TRIES, -1, -1):
            packets = bind_packets(address, port)
            host, found = packets.getsockname()[:2]
            try:
                streams = _bind_streams(address, found)
            except OSError as error:
                packets.close()
                if port or not left or error.errno != errno.EADDRINUSE:
                    raise
                continue  # that free port was free for UDP only
            break
        self._packets.append(packets)
        self._streams.append(streams)
        bound = f"[{host}]:{found}" if ":" in host else f"{host}:{found}"
        self.addresses.append(bound)
        return bound

    async def start(self) -> None:
        """Begins to answer on every address that was bound."""
        loop = asyncio.get_running_loop()
        for packets in self._packets:
            loop.add_reader(packets, self._drain, packets)
        for streams in self._streams:
            self._servers.append(await asyncio.start_server(self._serve, sock=streams, backlog=_BACKLOG))

    async def close(self) -> None:
        """Ends: what is with a recursor is given up."""
        loop = asyncio.get_running_loop()
        for packets in self._packets:
            loop.remove_reader(packets)
            packets.close()
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- UDP ----

    def _drain(self, packets: Packets) -> None:
        receive, send = packets.recvfrom, packets.sendto
        admit, answer, clock = self._rates.admit, self._resolver.answer, self._clock
        began_s = clock()
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
                admission = admit(client, clock())
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
                if not number:
                    self._resolver.count_latency(clock() - began_s)
            elif found is not None:
                self._start(self._send_later(packets, found, source))

    def _limit(self, packets: Packets, data: bytes, source: Source, admission: Admission) -> None:
        self._resolver.count_limited(admission.value)
        cut = cut_answer(data) if admission is Admission.SLIPPED else None
        if cut is not None:
            with contextlib.suppress(OSError):
                packets.sendto(cut, source)

    async def _send_later(self, packets: Packets, found: Awaitable[bytes], source: Source) -> None:
        began_s = self._clock()
        answer = await found
        with contextlib.suppress(OSError):
            packets.sendto(answer, source)
        self._resolver.count_latency(self._clock() - began_s)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- TCP ----

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._connections >= self._settings.tcp_connections_max:
            self._resolver.count_tcp_refused()
            writer.transport.abort()
            return
        self._connections += 1
        self._tasks.add(task)
        try:
            await self._answer_all(reader, writer)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            pass  # the client has gone, or says nothing more
        finally:
            self._connections -= 1
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        client = peer[0] if peer else ""
        while True:
            async with asyncio.timeout(self._settings.tcp_idle_s):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            if length < HEADER_BYTES:
                return
            found = self._resolver.answer(data, client, is_tcp=True)
            if found is None:
                return
            answer = found if isinstance(found, bytes) else await found
            writer.write(_LENGTH.pack(len(answer)) + answer)
            async with asyncio.timeout(self._settings.tcp_idle_s):
                await writer.drain()


def _bind_streams(address: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
