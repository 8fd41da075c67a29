"""A receiver of webhooks: a real server in its own thread, that checks signatures and misbehaves on demand."""

import asyncio
import contextlib
import dataclasses
import hashlib
import hmac
import json
import threading
import time

from aiohttp import web

SECRET = "a secret of thirty-two characters"

OK = 200
SLOW = "slow"
"""Answers 200 after a while, well within the time that there is."""
HANG = "hang"
"""Never answers."""
CLOSE = "close"
"""Says 200, and goes in the middle of its answer."""


@dataclasses.dataclass(frozen=True)
class Received:
    """One delivery.

    Attributes:
        is_signed: whether a signature is right, and not old.
        signatures: how many there are.
        did: what was done with it.
    """

    id: str
    type: str
    attempt: int
    body: bytes
    headers: dict
    is_signed: bool
    signatures: int
    did: object

    @property
    def event(self):
        return json.loads(self.body)


def check_signature(secret, headers, body, *, now_s, tolerance_s=300):
    """Whether a delivery was signed with the secret, and lately."""
    fields = [part.split("=", 1) for part in headers["X-Regista-Signature"].split(",")]
    at = next(value for name, value in fields if name == "t")
    message = b".".join((at.encode(), headers["X-Regista-Delivery"].encode(), body))
    wanted = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    is_right = any(hmac.compare_digest(value, wanted) for name, value in fields if name == "v1")
    return is_right and abs(now_s - int(at)) <= tolerance_s


class Receiver:
    """Listens at `url` until it is stopped; may be started again at the same port.

    Args:
        decide: what to do with each delivery, given it: a status, or one of the words above.

    Attributes:
        received: all deliveries, in order.
    """

    def __init__(self, decide=lambda _: OK, *, secret=SECRET, slow_s=0.05, answer_headers=None):
        self.received = []
        self.decide = decide
        self.secret = secret
        self.answer_headers = answer_headers or {}
        self.port = 0
        self._slow_s = slow_s
        self._changed = threading.Condition()
        self._thread = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def accepted(self):
        """What was answered with 200, whole."""
        with self._changed:
            return [each for each in self.received if each.did in (OK, SLOW)]

    def start(self):
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(started),), daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def stop(self):
        """Cuts off whoever is connected."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(10)
            assert not self._thread.is_alive()
            self._thread = None

    def wait_for(self, condition, *, within_s=20.0):
        """Returns when `condition(self)` is true, which is looked at after each delivery."""
        end_s = time.monotonic() + within_s
        with self._changed:
            while not condition(self):
                left_s = end_s - time.monotonic()
                assert left_s > 0, (
                    f"not so within {within_s} s; {len(self.received)} deliveries, {self.received[-3:]}"
                )
                self._changed.wait(left_s)

    def wait_for_accepted(self, count, *, within_s=20.0):
        """Returns when so many different events were accepted; they, in the order of their first acceptance."""
        self.wait_for(lambda _: len(firsts(self.accepted)) >= count, within_s=within_s)
        return firsts(self.accepted)

    async def _serve(self, started):
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        application = web.Application()
        application.router.add_post("/hook", self._receive)
        runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.01, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]
        started.set()
        await self._over.wait()
        for connection in list(runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await runner.cleanup()

    async def _receive(self, request):
        body = await request.read()
        headers = dict(request.headers)
        found = Received(
            id=headers["X-Regista-Delivery"],
            type=headers["X-Regista-Event"],
            attempt=int(headers["X-Regista-Attempt"]),
            body=body,
            headers=headers,
            is_signed=check_signature(self.secret, headers, body, now_s=time.time()),
            signatures=headers["X-Regista-Signature"].count("v1="),
            did=None,
        )
        did = self.decide(found)
        if did == SLOW:
            await asyncio.sleep(self._slow_s)
        with self._changed:
            self.received.append(dataclasses.replace(found, did=did))
            self._changed.notify_all()
        if did == HANG:
            await self._over.wait()
        if did == CLOSE:
            answer = web.StreamResponse(headers={"Content-Length": "1000"})
            await answer.prepare(request)
            await answer.write(b"only the beginning")
            request.transport.abort()
            return answer
        return web.Response(status=OK if did in (SLOW, HANG) else did, headers=self.answer_headers)


def firsts(deliveries):
    """Each event once, where it came first."""
    found = {}
    for each in deliveries:
        found.setdefault(each.id, each)
    return list(found.values())


@contextlib.contextmanager
def receiving(*arguments, **options):
    """A receiver that listens."""
    receiver = Receiver(*arguments, **options).start()
    try:
        yield receiver
    finally:
        receiver.stop()
