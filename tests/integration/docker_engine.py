"""A stand-in for the Docker engine: its API for commands in containers, on a Unix socket, as the real one behaves.

After Docker Engine API 1.43: `POST /containers/{id}/exec` answers 201 `{"Id": …}`, 404 for an unknown container, 409
for one that is stopped or paused; `POST /exec/{id}/start` gives the output as a multiplexed stream, without a length
and ended by the end of the connection (the engine takes the connection over), or chunked, as proxies before it make
of it; `GET /exec/{id}/json` tells the exit code, which is null while the command runs. Errors are `{"message": …}`.
"""

import asyncio
import contextlib
import json
import threading
from pathlib import Path

from aiohttp import web

STDOUT, STDERR = 1, 2


def frame(stream, piece):
    return bytes([stream, 0, 0, 0]) + len(piece).to_bytes(4) + piece


class Engine:
    """What containers there are, what their commands say, and what was asked.

    Attributes:
        outcomes: by container, the frames and the exit code of any command; a number alone is the status of an error.
        is_chunked: how output is sent.
        is_hanging: whether the output never ends.
        codes_late: how often the exit code is null before it is told.
        made: the body of each request for a command, with its container.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.outcomes = {}
        self.is_chunked = False
        self.is_hanging = False
        self.codes_late = 0
        self.made = []
        self._execs = {}

    @property
    def address(self):
        return f"unix://{self.path}"

    def app(self):
        app = web.Application()
        app.router.add_post("/containers/{id}/exec", self.create)
        app.router.add_post("/exec/{id}/start", self.start)
        app.router.add_get("/exec/{id}/json", self.inspect)
        return app

    async def create(self, request):
        container = request.match_info["id"]
        outcome = self.outcomes.get(container, 404)
        if outcome == 404:
            return problem(404, f"No such container: {container}")
        if outcome == 409:
            return problem(409, f"container {container} is not running")
        if isinstance(outcome, int):
            return web.Response(status=outcome, text="<html>not even JSON</html>")
        self.made.append((container, await request.json()))
        exec_id = f"exec{len(self.made)}"
        self._execs[exec_id] = [outcome, self.codes_late]
        return web.json_response({"Id": exec_id}, status=201)

    async def start(self, request):
        assert await request.json() == {"Detach": False, "Tty": False}
        (frames, _), _ = self._execs[request.match_info["id"]]
        if self.is_chunked:
            response = web.StreamResponse(headers={"Content-Type": "application/vnd.docker.multiplexed-stream"})
            response.enable_chunked_encoding()
            await response.prepare(request)
            for each in frames:
                await response.write(each)
            return response
        request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
        for each in frames:
            request.transport.write(each)
            await asyncio.sleep(0)
        if self.is_hanging:
            await asyncio.sleep(30)
        request.transport.close()
        return web.Response()

    async def inspect(self, request):
        entry = self._execs[request.match_info["id"]]
        (_, code), late = entry
        entry[1] -= 1
        return web.json_response(
            {"ID": request.match_info["id"], "Running": late > 0, "ExitCode": None if late > 0 else code}
        )


def problem(status, message):
    return web.Response(
        status=status, text=json.dumps({"message": message}) + "\n", content_type="application/json"
    )


@contextlib.contextmanager
def running_engine(path):
    """An engine that answers, in a thread of its own."""
    engine = Engine(path)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def serve():
        # Hanging outputs are cut off at the end of the test instead of being waited for.
        runner = web.AppRunner(engine.app(), shutdown_timeout=0.05)
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)

    async def end():
        await runner.cleanup()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    try:
        yield engine
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
