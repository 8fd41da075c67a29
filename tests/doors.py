"""The reading half of the Consul door without sockets: requests go into a connection as bytes, answers come out so.

Several doors may stand before one replica. Whoever holds them changes it, and holds the clock and the store's state.
"""

import asyncio

from regista.catalog import Catalog, DegradingSettings
from regista.protocols.consul import CachedQuestions, Context, Identity, PresentStanding
from regista.protocols.consul.catalog_reads import CatalogReads
from regista.protocols.consul.mesh_reads import MeshReads
from regista.protocols.http import Answers, HttpServer, HttpSettings, ResponseCache, RouteTable

_TURNS_MAX = 50


class Transport(asyncio.Transport):
    """A client that takes what it is sent, unless it is told not to."""

    def __init__(self):
        super().__init__()
        self.taken = b""
        self.left_bytes = 0
        self.is_closed = False

    def write(self, data):
        self.taken += data

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def get_extra_info(self, name, default=None):
        return ("10.0.0.9", 4711) if name == "peername" else default

    def get_write_buffer_size(self):
        return self.left_bytes

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class World:
    """What the doors of a test have in common."""

    def __init__(self):
        self.catalog = Catalog()
        self.now_s = 1_800_000_000.0
        self.stale_s = None

    @property
    def clock(self):
        return lambda: self.now_s


class Door:
    """A server before a replica, with one client.

    Args:
        keeps: whether anything that was made is kept for the next who asks.
    """

    def __init__(self, world, *, keeps=True, settling_s=0, panic_percent=0.0, **settings):
        nothing = {} if keeps else {"answers_bytes_max": 0, "parts_bytes_max": 0, "response_cache_bytes_max": 0}
        self.settings = HttpSettings(**(nothing | settings))
        catalog = world.catalog
        self.standing = PresentStanding(catalog, lambda: world.stale_s, settling_s=settling_s, clock=world.clock)
        answers = Answers(
            catalog.topics,
            bytes_max=self.settings.answers_bytes_max,
            revisions_max=1000,
            waiting_max=100,
            waiting_setting="http.waiting_max",
        )
        self.context = _context(self, world, answers, panic_percent)
        self.reads = CatalogReads(self.context)
        table = RouteTable((*self.reads.routes(), *MeshReads(self.context).routes()))
        self.responses = ResponseCache(catalog.topics, bytes_max=self.settings.response_cache_bytes_max)
        self.http = HttpServer(table, self.settings, wall_clock=world.clock, responses=self.responses)

    async def open(self):
        """Begins to answer; gives the door itself."""
        await self.http.start()
        self.connect()
        return self

    async def barrier(self):
        return self.context.catalog.index

    def connect(self):
        """Has a new client come."""
        self.transport = Transport()
        self.connection = self.http._server()
        self.connection.connection_made(self.transport)

    async def ask(self, request):
        """All that is answered to these bytes, which are one whole request."""
        self.transport.taken = b""
        await self.settle()
        self.connection.data_received(request)
        for _ in range(_TURNS_MAX):
            if self.transport.taken:
                break
            await asyncio.sleep(0)
        return self.transport.taken

    async def settle(self):
        """Returns once the connection waits for a request."""
        for _ in range(_TURNS_MAX):
            if self.connection._is_idle() and self.connection._answering is None:
                break
            await asyncio.sleep(0)

    def disconnect(self):
        self.connection.connection_lost(None)


def _context(door, world, answers, panic_percent):
    identity = Identity(
        node_name="n1",
        node_id="",
        datacenter="dc1",
        address="127.0.0.1",
        server_address=lambda: "",
        version="0",
        started_s=0.0,
    )
    unused = dict.fromkeys(Context.__dataclass_fields__)
    return Context(
        **unused
        | {
            "catalog": world.catalog,
            "answers": answers,
            "writer": door,
            "identity": identity,
            "cached_questions": CachedQuestions(1000),
            "settings": door.settings,
            "standing": door.standing,
            "degrading": DegradingSettings(panic_threshold_percent=panic_percent),
            "wall_clock": world.clock,
            "wait_jitter": lambda: 0.0,
        }
    )
