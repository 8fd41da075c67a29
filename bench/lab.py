"""What the benchmarks share: servers as child processes, a load of prebuilt requests, tables.

The load is one uvloop thread whose connections write ready bytes and look only for the end of each answer, so
that a server in Python or Go is the slower side; `Load.cpu_share` says how far that holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import http.client
import json
import os
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import uvloop

T = TypeVar("T")

HOME = Path(__file__).resolve().parent
RESULTS = HOME / "results"
"""Data directories and the throw-away environment; on the repository's disk, and not in git."""

_START_S_MAX = 120.0
_TICKS_S = os.sysconf("SC_CLK_TCK")


# ---- servers ----


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Server:
    """A server under test."""

    name: str
    process: subprocess.Popen[bytes]
    port: int

    def cpu_s(self) -> float:
        """Seconds of processor time that it has taken, in its own code and in the system's."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_S

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Resident memory now (VmRSS) or at its highest (VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{what}:\s+(\d+) kB", status, re.MULTILINE)
        assert found, what
        return int(found[1]) / 1024

    def get(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """One GET: status, headers in lower case, body."""
        return self.request("GET", path)

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body or None)
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


def spawn(name: str, command: Sequence[str], *, port: int = 0, quiet: bool = True) -> Server:
    """Starts a server on the core that is set aside for servers (`BENCH_SERVER_CPU`), if there is one."""
    core = os.environ.get("BENCH_SERVER_CPU", "")
    pinned = ["taskset", "-c", core] if core and shutil.which("taskset") else []
    sink = subprocess.DEVNULL if quiet else None
    return Server(name, subprocess.Popen([*pinned, *command], stdout=sink, stderr=sink), port)


@contextlib.contextmanager
def running(server: Server) -> Iterator[Server]:
    """Stops the server in the end, whatever happens."""
    try:
        yield server
    finally:
        server.process.send_signal(signal.SIGTERM)
        try:
            server.process.wait(15)
        except subprocess.TimeoutExpired:
            server.process.kill()
            server.process.wait()


@contextlib.contextmanager
def agent(data_dir: Path | None = None, *arguments: str) -> Iterator[Server]:
    """A Regista agent on a free port, ready to answer."""
    with tempfile.TemporaryDirectory() as directory:
        ready = Path(directory) / "ready"
        command = [
            str(Path(sys.executable).parent / "regista"), "agent", "--dev", "--node", "n1", "--http-port", "0",
            "--dns-port", "0", "--ready-file", str(ready),
            *(("--data-dir", str(data_dir)) if data_dir else ()), *arguments,
        ]  # fmt: skip
        started = spawn("regista", command)
        with running(started):
            give_up_s = time.monotonic() + _START_S_MAX
            while not ready.exists():
                if started.process.poll() is not None:
                    raise SystemExit(f"the agent ended with {started.process.returncode}: {' '.join(command)}")
                if time.monotonic() > give_up_s:
                    raise SystemExit("the agent is not ready after two minutes")
                time.sleep(0.005)
            port = int(json.loads(ready.read_bytes())["http"].rpartition(":")[2])
            yield dataclasses.replace(started, port=port)


@contextlib.contextmanager
def etcd(data_dir: Path) -> Iterator[Server]:
    """A single etcd with its usual settings, which means an fsync before every acknowledgement."""
    client, peer = free_port(), free_port()
    address = f"http://127.0.0.1:{client}"
    command = [
        "etcd", "--data-dir", str(data_dir), "--listen-client-urls", address, "--advertise-client-urls", address,
        "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--logger", "zap", "--log-level", "error",
    ]  # fmt: skip
    with running(spawn("etcd", command, port=client)) as server:
        wait_for_port(client)
        while b"true" not in server.get("/health")[2]:
            time.sleep(0.05)
        yield server


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Returns once somebody listens."""
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise SystemExit(f"nobody listens on port {port}")


@contextlib.contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty directory on the repository's disk, removed in the end."""
    RESULTS.mkdir(exist_ok=True)
    directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=RESULTS))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


# ---- load ----


class Connection(asyncio.Protocol):
    """A keep-alive connection that sends ready requests one after the other.

    Answers must have a Content-Length. `answered` is called with each whole answer.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answered: Any = None
        self._buffer = b""
        self._length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        # uvloop's transports are no subclass of asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        """Sends a request; the one before it was answered."""
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if self._length < 0:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"not a 200: {buffer[:300]!r}")
            head = buffer[:end].lower()
            at = head.find(b"content-length: ")
            assert at >= 0, head
            self._length = end + 4 + int(head[at + 16 :].split(b"\r", 1)[0])
        if len(buffer) >= self._length:
            self._buffer = b""
            self._length = -1
            self.answered(self, buffer)


async def connect(port: int, count: int) -> list[Connection]:
    """So many open connections."""
    loop = asyncio.get_running_loop()
    connections: list[Connection] = []
    for _ in range(count):
        _, connection = await loop.create_connection(Connection, "127.0.0.1", port)
        connections.append(connection)
    return connections


def disconnect(connections: Sequence[Connection]) -> None:
    """Closes them."""
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """What one round came to.

    Attributes:
        cpu_share: of one core, that the load itself took; near 1 the server was not the slower side.
    """

    requests: int
    wall_s: float
    server_cpu_s: float
    cpu_share: float
    latencies_s: tuple[float, ...] = ()

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.wall_s

    @property
    def rate_per_cpu_s(self) -> float:
        """Requests for each second of processor time that the server took."""
        return self.requests / max(self.server_cpu_s, 1 / _TICKS_S)


async def send_all(server: Server, requests: Sequence[bytes], *, connections: int) -> Load:
    """Sends every request once, the next on whichever connection is free."""
    open_connections = await connect(server.port, connections)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    waiting = iter(requests)
    left = len(requests)
    sent_s: dict[Connection, float] = {}
    latencies_s: list[float] = []

    def answered(connection: Connection, _answer: bytes) -> None:
        nonlocal left
        now_s = time.perf_counter()
        latencies_s.append(now_s - sent_s[connection])
        left -= 1
        request = next(waiting, None)
        if request is not None:
            sent_s[connection] = now_s
            connection.send(request)
        elif not left:
            done.set_result(None)

    for connection in open_connections:
        connection.answered = answered
    cpu_s, own_s, start_s = server.cpu_s(), time.process_time(), time.perf_counter()
    for connection in open_connections:
        request = next(waiting, None)
        if request is not None:
            sent_s[connection] = time.perf_counter()
            connection.send(request)
    await done
    wall_s = time.perf_counter() - start_s
    own_s = time.process_time() - own_s
    load = Load(len(requests), wall_s, server.cpu_s() - cpu_s, own_s / wall_s, tuple(latencies_s))
    disconnect(open_connections)
    return load


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs the coroutine on uvloop, with as many open files as the system grants."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return uvloop.run(work)


def wrk(server: Server, path: str, *, seconds: int = 5, connections: int = 64, script: str = "") -> Load:
    """A round of wrk with one thread; on answers other than 2xx it ends the benchmark."""
    cpu_s = server.cpu_s()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *(("-s", file.name) if script else ())]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start_s = time.perf_counter()
        out = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}{path}"], check=True, capture_output=True, text=True
        ).stdout
        wall_s = time.perf_counter() - start_s
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(out)
    found = re.search(r"(\d+) requests in ([\d.]+)(m?s)", out)
    assert found, out
    own_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    took_s = float(found[2]) / (1000 if found[3] == "ms" else 1)
    return Load(int(found[1]), took_s, server.cpu_s() - cpu_s, own_s / wall_s)


# ---- words ----


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """How far the rounds lie apart, as a share of their median."""
    return f"{(max(values) - min(values)) / statistics.median(values):.0%}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints columns; the first is text, the others are numbers."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))]
        print("  " + "  ".join(cells))
    print(flush=True)


def verdict(what: str, value: float, *, at_least: float | None = None, at_most: float | None = None) -> None:
    """Prints a figure beside its target."""
    is_met = (at_least is None or value >= at_least) and (at_most is None or value <= at_most)
    target = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    print(f"  {what}: {value:.2f} (target: {target}) {'OK' if is_met else 'MISSED'}\n", flush=True)


def machine() -> str:
    """What the figures were measured on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return (
        f"{os.cpu_count()} cores {model[1] if model else platform.machine()}, "
        f"{int(memory[1]) / 2**20 if memory else 0:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {sync_rate():.0f} fdatasync/s (one writer, 4 KiB)"
    )


def sync_rate() -> float:
    """How many small writes a second one thread can force to the disk; the middle of three half seconds."""
    rates: list[float] = []
    with scratch("sync") as directory:
        descriptor = os.open(directory / "file", os.O_RDWR | os.O_CREAT)
        for _ in range(3):
            count, start_s = 0, time.perf_counter()
            while time.perf_counter() - start_s < 0.5:
                os.pwrite(descriptor, b"x" * 4096, count * 4096)
                os.fdatasync(descriptor)
                count += 1
            rates.append(count / (time.perf_counter() - start_s))
        os.close(descriptor)
    return statistics.median(rates)


if __name__ == "__main__":
    print(machine())
