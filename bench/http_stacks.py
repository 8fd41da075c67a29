"""The choice of HTTP stack, repeated: the same 12 KB answer from four Python servers, and nginx beside them.

Server and wrk each have a core. uvicorn and Starlette are installed into a throw-away environment.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.metadata
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab

BODY = (b'{"Node":{"ID":"d4f1","Node":"n1","Address":"10.0.0.11"},"Service":{"ID":"web-1"}},' * 160)[:12288]
HEADERS = (("Content-Type", "application/json"), ("X-Consul-Index", "4711"), ("X-Consul-Knownleader", "true"))
PATH = "/v1/health/service/web"
_PEERS = ("uvicorn", "httptools", "starlette")


# ---- the servers, each started as a process of its own ----


async def answer_asgi(_scope: Any, _receive: Any, send: Any) -> None:
    """A bare ASGI application."""
    headers = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
    headers.append((b"content-length", b"%d" % len(BODY)))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def serve_starlette(port: int) -> None:
    """Starlette's router and response on uvicorn."""
    from starlette.applications import Starlette  # noqa: PLC0415 - in the throw-away environment only
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def answer(_request: Request) -> Response:
        return Response(BODY, headers=dict(HEADERS))

    _uvicorn(Starlette(routes=[Route("/v1/health/service/{name}", answer)]), port)


def serve_asgi(port: int) -> None:
    """A bare ASGI application on uvicorn."""
    _uvicorn(answer_asgi, port)


def _uvicorn(application: Any, port: int) -> None:
    import uvicorn  # noqa: PLC0415 - in the throw-away environment only

    uvicorn.run(application, port=port, loop="uvloop", http="httptools", access_log=False, log_level="error")


def serve_aiohttp(port: int) -> None:
    """The low-level server of aiohttp, as the agent uses it."""
    from aiohttp import web  # noqa: PLC0415

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=BODY, headers=HEADERS)

    _listen(lambda: web.Server(answer), port)


def serve_ready_bytes(port: int) -> None:
    """The same server, whose protocol answers a request that it knows to the byte without parsing it."""
    from aiohttp import web  # noqa: PLC0415
    from aiohttp.web_protocol import RequestHandler  # noqa: PLC0415

    async def answer(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=BODY, headers=HEADERS)

    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS)
    ready = f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY
    known: dict[bytes, bytes] = {}

    class Connection(RequestHandler):
        __slots__ = ()

        def data_received(self, data: bytes) -> None:
            found = known.get(data)
            if found is not None and self.transport is not None:
                self.transport.write(found)
                return
            if data.endswith(b"\r\n\r\n"):
                known[bytes(data)] = ready
            super().data_received(data)

    class Server(web.Server):
        def __call__(self) -> RequestHandler:
            return Connection(self, loop=self._loop, access_log=None)

    _listen(lambda: Server(answer), port)


def _listen(make_server: Any, port: int) -> None:
    import uvloop  # noqa: PLC0415

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(make_server(), "127.0.0.1", port)
        await server.serve_forever()

    uvloop.run(serve())


STACKS = {
    "uvicorn + Starlette": serve_starlette,
    "uvicorn, bare ASGI": serve_asgi,
    "aiohttp, low-level server": serve_aiohttp,
    "aiohttp protocol, ready bytes": serve_ready_bytes,
}


# ---- measuring ----


def environment() -> Path:
    """The Python of an environment with all of the stacks in it; made at the first call."""
    home = lab.RESULTS / "http-stacks-venv"
    python = home / "bin" / "python"
    if not python.exists():
        lab.RESULTS.mkdir(exist_ok=True)
        venv.create(home, with_pip=True)
        ours = [f"{name}=={importlib.metadata.version(name)}" for name in ("aiohttp", "uvloop")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_PEERS, *ours], check=True)
    return python


@contextmanager
def nginx(directory: Path, path: str = PATH, body: bytes = BODY) -> Iterator[lab.Server]:
    """One nginx process that serves the body as a static file."""
    port = lab.free_port()
    file = directory / path[1:]
    file.parent.mkdir(parents=True)
    file.write_bytes(body)
    configuration = directory / "nginx.conf"
    # One process in the foreground, so that its processor time is all there is.
    configuration.write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000; root {directory};\n"
        f"  default_type application/json; open_file_cache max=16;\n"
        + "".join(f"  {temporary}_temp_path {directory}/{temporary};\n" for temporary in _NGINX_TEMPORARY)
        + f"  server {{ listen 127.0.0.1:{port}; add_header X-Consul-Index 4711; }} }}\n"
    )
    command = ["nginx", "-p", str(directory), "-c", str(configuration)]
    with lab.running(lab.spawn("nginx", command, port=port)) as server:
        lab.wait_for_port(port)
        yield server


_NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def stack(name: str, python: Path) -> Iterator[lab.Server]:
    """One of the Python servers."""
    port = lab.free_port()
    command = [str(python), __file__, "--serve", name, "--port", str(port)]
    with lab.running(lab.spawn(name, command, port=port)) as server:
        lab.wait_for_port(port)
        yield server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each round of wrk")
    parser.add_argument("--serve", choices=list(STACKS), help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.serve:
        STACKS[wanted.serve](wanted.port)
        return

    print(f"http_stacks: {len(BODY)} bytes, 64 connections, {wanted.rounds} rounds of {wanted.seconds} s")
    python = environment()
    loads: dict[str, list[lab.Load]] = {name: [] for name in (*STACKS, "nginx, static file")}
    with lab.scratch("nginx") as directory:
        for turn in range(wanted.rounds):
            for name, rounds in loads.items():
                site = directory / str(turn)
                serving = stack(name, python) if name in STACKS else nginx(site)
                with serving as server:
                    status, _, body = server.get(PATH)
                    assert (status, body) == (200, BODY), name
                    lab.wrk(server, PATH, seconds=1)
                    rounds.append(lab.wrk(server, PATH, seconds=wanted.seconds))
    # Of processor time, which other work on the machine changes less than the rate.
    base = lab.median([load.rate_per_cpu_s for load in loads["uvicorn + Starlette"]])
    rows = []
    for name, rounds in loads.items():
        rates = [load.rate for load in rounds]
        of_cpu = lab.median([load.rate_per_cpu_s for load in rounds])
        rows.append(
            [
                name,
                f"{lab.median(rates):,.0f}",
                lab.spread(rates),
                f"{of_cpu:,.0f}",
                f"{of_cpu / base:.2f}",
                f"{lab.median([load.cpu_share for load in rounds]):.0%}",
            ]
        )
    lab.table(["", "req/s", "spread", "req/s of CPU", "ratio", "load's core"], rows)


if __name__ == "__main__":
    sys.exit(main())
