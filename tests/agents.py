"""Real agents for tests: the process that a user starts, and a small client that speaks to it.

An agent's log is printed when it is closed: pytest shows that beside a test that failed, and hides it otherwise.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("regista")

START_S_MAX = 20.0
STOP_S_MAX = 15.0


class Reply:
    """One answer: `headers` by name in small letters."""

    def __init__(self, status, headers, body, took_s):
        self.status = status
        self.headers = headers
        self.body = body
        self.took_s = took_s

    def __repr__(self):
        return f"<{self.status} {self.text[:300]!r}>"

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def index(self):
        return int(self.headers["x-consul-index"])


class Client:
    """One kept-alive connection, for one thread. Repeats nothing: a write that fails may have been made."""

    def __init__(self, address, *, timeout_s=30.0):
        host, _, port = address.rpartition(":")
        self._connection = http.client.HTTPConnection(host, int(port), timeout=timeout_s)
        self._sent_s = 0.0

    def request(self, method, path, content=None, headers=None):
        """Sends `content` as it is if it is bytes, else as JSON; None for no body."""
        self.send(method, path, content, headers)
        return self.receive()

    def send(self, method, path, content=None, headers=None):
        """The first half of a request."""
        body = content if content is None or isinstance(content, bytes) else json.dumps(content).encode()
        self._sent_s = time.monotonic()
        with self._closing_on_error():
            self._connection.request(method, path, body, headers or {})

    def receive(self):
        """The second half: waits for the answer."""
        with self._closing_on_error():
            answer = self._connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read(), time.monotonic() - self._sent_s)

    @contextlib.contextmanager
    def _closing_on_error(self):
        try:
            yield
        except BaseException:
            self._connection.close()
            raise

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def put(self, path, content=b"", headers=None):
        return self.request("PUT", path, content, headers)

    def delete(self, path, headers=None):
        return self.request("DELETE", path, None, headers)

    def close(self):
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Agent:
    """An agent of its own process; `start` it, or use `running_agent`.

    Attributes:
        http, dns: `host:port` of this life of it; "" for a listener that is off.
        pid: of this life of it.
        data_dir: None for one that keeps everything in memory.
    """

    def __init__(self, folder, *, keeps_data=False, config=None, arguments=()):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data_dir = self.folder / "data" if keeps_data else None
        self.config_file = self.folder / "agent.json"
        self.ready_file = self.folder / "ready"
        self.log_file = self.folder / "log"
        self.http = self.dns = ""
        self.pid = 0
        self._arguments = tuple(arguments)
        self._process = None
        self._client = None
        self.configure(config or {})

    # ---- life ----

    @property
    def command(self):
        keeps = ("--data-dir", str(self.data_dir)) if self.data_dir else ("--dev",)
        ports = ("--http-port", "0", "--dns-port", "0")
        files = ("--ready-file", str(self.ready_file), "--config-file", str(self.config_file))
        return [str(PROGRAM), "agent", "--node", "n1", *keeps, *ports, *files, *self._arguments]

    def configure(self, config):
        """Writes the configuration file: an object, or any text."""
        self.config_file.write_text(config if isinstance(config, str) else json.dumps(config))

    def start(self):
        """Returns when it answers."""
        assert self._process is None, "it runs already"
        self.ready_file.unlink(missing_ok=True)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end_s = time.monotonic() + START_S_MAX
        while not self.ready_file.exists():
            if self._process.poll() is not None:
                code, self._process = self._process.returncode, None
                raise AssertionError(f"the agent ended with {code} at its start:\n{self.log()}")
            assert time.monotonic() < end_s, f"the agent is not ready after {START_S_MAX} s:\n{self.log()}"
            time.sleep(0.005)
        ready = json.loads(self.ready_file.read_text())
        self.http, self.dns, self.pid = ready.get("http", ""), ready.get("dns", ""), ready["pid"]
        return self

    def kill(self):
        """Ends it as a power cut would."""
        self._end(signal.SIGKILL)

    def terminate(self, number=signal.SIGTERM):
        """Asks it to stop, and asserts that it does so cleanly; the seconds that it took."""
        began_s = time.monotonic()
        code = self._end(number)
        assert code == 0, f"the agent ended with {code}:\n{self.log()}"
        return time.monotonic() - began_s

    def restart(self):
        """Stops it cleanly and starts it again on the same directory."""
        self.terminate()
        return self.start()

    def signal(self, number):
        os.kill(self.pid, number)

    def fails_to_start(self, *arguments):
        """Runs it to its end, which must come by itself; its exit code and all that it said."""
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, timeout=START_S_MAX, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def socket_count(self):
        """How many sockets the process has open: one a client, and some of its own."""
        found = []
        for link in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found.append(str(link.readlink()))
        return sum(name.startswith("socket:") for name in found)

    def log(self):
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def close(self):
        """Ends it in any case, and prints its log."""
        if self._process is not None:
            self._end(signal.SIGKILL)
        sys.stdout.write(f"---- log of the agent in {self.folder} ----\n{self.log()}")

    def _end(self, number):
        process, self._process = self._process, None
        self._drop_client()
        process.send_signal(number)
        try:
            return process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    # ---- asking it ----

    def client(self, *, timeout_s=30.0):
        """Another connection, for another thread."""
        return Client(self.http, timeout_s=timeout_s)

    def request(self, method, path, content=None, headers=None):
        if self._client is None:
            self._client = self.client()
        return self._client.request(method, path, content, headers)

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def put(self, path, content=b"", headers=None):
        return self.request("PUT", path, content, headers)

    def delete(self, path, headers=None):
        return self.request("DELETE", path, None, headers)

    def register(self, **fields):
        """Registers an instance, which must succeed; the reply."""
        reply = self.put("/v1/agent/service/register", fields)
        assert reply.status == 200, reply
        return reply

    def index(self):
        """The highest index that any of the wide views shows."""
        views = ("/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any")
        return max(self.get(view).index for view in views)

    def _drop_client(self):
        if self._client is not None:
            self._client.close()
            self._client = None


@contextlib.contextmanager
def running_agent(folder, *, keeps_data=False, config=None, arguments=()):
    """An agent that answers."""
    agent = Agent(folder, keeps_data=keeps_data, config=config, arguments=arguments)
    try:
        yield agent.start()
    finally:
        agent.close()


@pytest.fixture
def agent(tmp_path):
    """An agent that keeps everything in memory."""
    with running_agent(tmp_path / "agent") as agent:
        yield agent


@pytest.fixture
def kept_agent(tmp_path):
    """An agent with a data directory."""
    with running_agent(tmp_path / "agent", keeps_data=True) as agent:
        yield agent


@pytest.fixture(scope="module")
def shared_agent(tmp_path_factory):
    """One agent for all tests of a module; what they register they must not mind finding."""
    with running_agent(tmp_path_factory.mktemp("shared")) as agent:
        yield agent


def eventually(condition, *, within_s=5.0):
    """Asks again and again until `condition()` is true; what it gave. For what only time brings about."""
    end_s = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < end_s, f"not so within {within_s} s; last seen: {found!r}"
        time.sleep(0.02)
    return found


class Waiter:
    """A request in another thread, on a connection of its own; `reply` waits for the answer."""

    def __init__(self, agent, path, *, timeout_s=30.0):
        self._reply = None
        self._error = None
        self._client = agent.client(timeout_s=timeout_s)
        self._thread = threading.Thread(target=self._run, args=(path,), daemon=True)
        self._thread.start()

    @property
    def is_waiting(self):
        return self._thread.is_alive()

    def reply(self, within_s=10.0):
        self._thread.join(within_s)
        assert not self._thread.is_alive(), f"no answer within {within_s} s"
        if self._error is not None:
            raise self._error
        return self._reply

    def _run(self, path):
        try:
            with self._client as client:
                self._reply = client.get(path)
        except Exception as error:  # noqa: BLE001 - raised where the answer is wanted
            self._error = error
