"""The event stream in a browser: `EventSource` of a page from elsewhere, in a Chromium without a window."""

import contextlib
import http.server
import json
import queue
import shutil
import socket
import subprocess
import threading

import pytest
from tests.agents import running_agent

CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no chromium; on Debian: apt-get install chromium"
)

PAGE = """<!doctype html>
<title>events</title>
<script>
const say = (what) => fetch("/said", {method: "POST", body: JSON.stringify(what)});
let order = Promise.resolve();  // one after the other, so that they arrive in order
const source = new EventSource("%s");
const tell = (what) => { order = order.then(() => say(what)); };
source.onopen = () => tell({type: "open"});
source.onerror = () => tell({type: "error", state: source.readyState});
for (const type of ["kv.created", "kv.updated", "regista.reread"])
  source.addEventListener(type, (event) => tell({type, id: event.lastEventId, data: JSON.parse(event.data).data}));
</script>
"""


@contextlib.contextmanager
def page(url):
    """Serves the page, which listens at the URL; its own URL, and what it says."""
    said = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = (PAGE % url).encode()
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            said.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", said
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def browsing(url, folder):
    """A browser that shows the URL."""
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder}",
        url,
    ]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.kill()


def heard(said, count):
    """The next so many events; the page's other words are passed over."""
    found = []
    while len(found) < count:
        word = said.get(timeout=30)
        if "id" in word:
            found.append(word)
    return found


def until(said, word_type):
    """Waits for the page to say so."""
    while (word := said.get(timeout=30))["type"] != word_type:
        assert "id" not in word, word


def test_a_page_hears_every_event_once_over_power_cuts(tmp_path):
    """Killed and started again at the same port, the agent tells an EventSource all that it has not heard, once."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    config = {"http_config": {"response_headers": {"Access-Control-Allow-Origin": "*"}}}
    arguments = ("--http-port", str(port))
    with (
        running_agent(tmp_path / "agent", keeps_data=True, config=config, arguments=arguments) as agent,
        page(f"http://{agent.http}/v1/regista/events?type=kv") as (url, said),
        browsing(url, tmp_path / "chromium"),
    ):
        until(said, "open")
        events, number = [], 0
        for _ in range(3):
            for _ in range(20):
                agent.put(f"/v1/kv/k{number}", b"")
                number += 1
            events += heard(said, 10)  # the others are perhaps on their way
            agent.kill()
            agent.start()
            agent.put(f"/v1/kv/k{number}", b"")
            number += 1
            events += heard(said, number - len(events))
        assert [each["data"]["key"] for each in events] == [f"k{each}" for each in range(number)]
        assert len({each["id"] for each in events}) == number


def test_a_page_from_elsewhere_is_kept_out_unless_it_is_let_in(tmp_path):
    """Without the header that lets other origins in, the browser does not let the page read the stream."""
    with (
        running_agent(tmp_path / "agent") as agent,
        page(f"http://{agent.http}/v1/regista/events?after=0") as (url, said),
        browsing(url, tmp_path / "chromium"),
    ):
        assert said.get(timeout=30) == {"type": "error", "state": 2}
