"""A small HTTP server that says what an agent would, and notes what it was asked."""

import dataclasses
import http.server
import json
import socket
import threading

import pytest
from click.testing import CliRunner

from regista.cli import main


@dataclasses.dataclass
class Asked:
    method: str
    target: str
    headers: dict
    body: object
    data: bytes = b""

    @property
    def line(self):
        """Method and target."""
        return f"{self.method} {self.target}"


def decode(data):
    """What JSON the data is; None if it is none."""
    try:
        return json.loads(data)
    except ValueError:
        return None


class FakeAgent:
    """Answers by method and path; of several answers for one path each is given once, the last again and again.

    An answer is `(status, headers, body)`, None to close the connection without one, or a function that makes
    either from what was asked.
    """

    def __init__(self):
        self.answers = {}
        self.asked = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                fake.asked.append(Asked(self.command, self.path, dict(self.headers), decode(body), bytes(body)))
                answers = fake.answers.get((self.command, self.path.partition("?")[0]), [(404, {}, b"")])
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if callable(answer):
                    answer = answer(fake.asked[-1])
                if answer is None:
                    return
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                self.do_GET()

            def do_POST(self):
                self.do_GET()

            def do_DELETE(self):
                self.do_GET()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def say(self, target, *bodies, method="GET", status=200, index=0, headers=None):
        """Adds answers to the path: objects are sent as JSON, bytes and texts as they are, None closes."""
        for body in bodies:
            answer = None
            if body is not None:
                data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
                answer = (status, {"X-Consul-Index": str(index)} if index else headers or {}, data)
            self.answers.setdefault((method, target), []).append(answer)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


@pytest.fixture
def agent():
    fake = FakeAgent()
    yield fake
    fake.close()


@pytest.fixture
def regista(agent):
    """Runs a command line against the fake agent."""

    def run(*arguments, stdin=None, **environ):
        environ = {"REGISTA_HTTP_ADDR": agent.url, **environ}
        return CliRunner().invoke(main, arguments, env=environ, input=stdin)

    return run


@pytest.fixture
def consul(regista):
    """Runs a command line of Consul's against the fake agent."""

    def run(*arguments, **rest):
        return regista("consul", *arguments, **rest)

    return run


@pytest.fixture
def free_port():
    """A port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def instance():
    """Makes an item of /v1/health/service/<name>."""

    def make(service_id, *, address="10.0.0.1", port=80, node="n1", checks=()):
        return {
            "Node": {"Node": node, "Address": "10.9.9.9"},
            "Service": {"ID": service_id, "Service": "web", "Address": address, "Port": port},
            "Checks": [
                {
                    "CheckID": f"c{number}",
                    "Name": f"check {number}",
                    "Status": status,
                    "Output": output,
                    "Notes": "",
                }
                for number, (status, output) in enumerate(checks)
            ],
        }

    return make
