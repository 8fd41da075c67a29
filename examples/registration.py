"""What the example services share: serving HTTP, staying registered with Regista, and finding each other.

Standard library only, so that it can be read as it is and written again in any language. A service hands `serve`
its name and a function that answers requests; everything else is here:

- it registers with an HTTP check of its own `/health`, again and again until the agent answers;
- it renews the registration every second, and registers anew where the agent has forgotten it;
- on SIGTERM and SIGINT it drains: it is given to nobody any more, waits until those who follow the service have
  heard of it, answers what has come till then, and deregisters;
- `PUT /fail` makes `/health` answer 503, and `PUT /recover` makes it well again.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import random
import select
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

VERSION = "1.0.0"
ENDING = {signal.SIGTERM, signal.SIGINT}
RENEW_S = 1.0
TIMEOUT_S = 5.0
DRAIN_S = 60
"""If this program dies while it drains, the agent deregisters it after so long."""
DRAIN_WAIT_S = 10


class NoInstance(Exception):
    """No instance of a service answers."""


@dataclasses.dataclass(frozen=True)
class Request:
    """A request as a service sees it; `parts` is the path without its slashes."""

    method: str
    parts: list[str]
    body: Any


@dataclasses.dataclass(frozen=True)
class Reply:
    """A status and what is sent as JSON."""

    status: int
    body: Any


NOT_FOUND = Reply(404, {"error": "not found"})


def send(method: str, url: str, body: Any = None, *, timeout_s: float = TIMEOUT_S) -> Any:
    """The JSON that the other side answers with; None for an empty answer.

    Raises:
        OSError: it can't be reached, or goes in the middle of its answer; `urllib.error.HTTPError` for a refusal.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as response:
            content = response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{url} broke off its answer") from error
    return json.loads(content) if content else None


class Registry:
    """An agent of Regista, as a service uses it."""

    def __init__(self, agent: str) -> None:
        self._api = f"{agent.rstrip('/')}/v1"

    def register(self, service: dict[str, Any]) -> None:
        """Makes the instance known; doing it again changes nothing."""
        send("PUT", f"{self._api}/agent/service/register", service)

    def renew(self, service_id: str) -> bool:
        """Whether the agent still knows the instance."""
        try:
            send("PUT", f"{self._api}/agent/service/renew/{quote(service_id, safe='')}")
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return False
            raise
        return True

    def drain(self, service_id: str) -> list[str]:
        """Has the instance given to nobody; returns once its callers know, with those who may not."""
        url = f"{self._api}/agent/service/drain/{quote(service_id, safe='')}?for={DRAIN_S}s&wait={DRAIN_WAIT_S}s"
        answer = send("PUT", url, timeout_s=DRAIN_WAIT_S + TIMEOUT_S)
        return [f"{laggard['UserAgent']} at {laggard['Address']}" for laggard in answer["Laggards"]]

    def deregister(self, service_id: str) -> None:
        """Makes an end of the instance."""
        send("PUT", f"{self._api}/agent/service/deregister/{quote(service_id, safe='')}")

    def find(self, name: str) -> list[str]:
        """Where the healthy instances of a service answer."""
        found = send("GET", f"{self._api}/health/service/{quote(name, safe='')}?passing")
        return [f"http://{item['Service']['Address']}:{item['Service']['Port']}" for item in found]

    def get(self, name: str, path: str) -> Any:
        """What a healthy instance of a service answers; one that can't be reached is passed over.

        Raises:
            NoInstance: there is none.
            urllib.error.HTTPError: an instance refused the request.
        """
        instances = self.find(name)
        for instance in random.sample(instances, len(instances)):
            try:
                return send("GET", instance + path)
            except urllib.error.HTTPError:
                raise
            except OSError:
                continue  # It died a moment ago, and its check has not noticed yet.
        raise NoInstance(name)


class _Instance:
    """One running instance: whether it is well, and its registration."""

    def __init__(self, registry: Registry, registration: dict[str, Any]) -> None:
        self._registry = registry
        self._registration = registration
        self.ending = threading.Event()
        self.is_failing = False

    def stay_registered(self) -> None:
        """Registers, looks every second whether that is still so, and drains once `ending` is set."""
        is_registered = False
        while not self.ending.is_set():
            try:
                is_registered = is_registered and self._registry.renew(self._registration["ID"])
                # Who knows that it fails does not come back after it was deregistered for failing.
                if not is_registered and not self.is_failing:
                    self._registry.register(self._registration)
                    is_registered = True
                    print(f"{self._registration['ID']}: registered", flush=True)
            except OSError as error:
                print(f"{self._registration['ID']}: the agent does not answer ({error}); trying again", flush=True)
            self.ending.wait(RENEW_S)
        try:
            laggards = self._registry.drain(self._registration["ID"])
            told = f"; these may still call: {', '.join(laggards)}" if laggards else ""
            print(f"{self._registration['ID']}: drained{told}", flush=True)
        except OSError as error:
            print(f"{self._registration['ID']}: could not drain: {error}", flush=True)

    def deregister(self) -> None:
        """Ends the registration; without it, the drain would end it later."""
        try:
            self._registry.deregister(self._registration["ID"])
            print(f"{self._registration['ID']}: deregistered", flush=True)
        except OSError as error:
            print(f"{self._registration['ID']}: could not deregister: {error}", flush=True)


class _Server(ThreadingHTTPServer):
    """A server that ends without breaking off what it has been asked."""

    daemon_threads = False

    def finish(self) -> None:
        """Answers all that has arrived, and takes no more."""
        self.shutdown()
        while select.select([self], [], [], 0)[0]:
            self.handle_request()
        self.server_close()  # waits for the answers under way


def serve(name: str, make_answer: Callable[[Registry, str], Callable[[Request], Reply]]) -> None:
    """Runs a service until SIGTERM or SIGINT.

    Args:
        name: the service's name in the registry.
        make_answer: takes the registry and the instance's id; gives the function that answers requests.
    """
    parser = argparse.ArgumentParser(description=f"{name}, an example service")
    parser.add_argument("--port", type=int, default=0, help="where to answer; 0 for a free port (default)")
    agent = os.environ.get("REGISTA_HTTP_ADDR", "http://127.0.0.1:8500")
    parser.add_argument("--agent", default=agent, help="the agent to register with; default: REGISTA_HTTP_ADDR")
    parser.add_argument("--id", default="", help="the instance's id; default: the name and the port")
    options = parser.parse_args()

    server = _Server(("127.0.0.1", options.port), BaseHTTPRequestHandler)
    port = server.server_address[1]
    service_id = options.id or f"{name}-{port}"
    registry = Registry(options.agent)
    registration = {
        "ID": service_id,
        "Name": name,
        "Address": "127.0.0.1",
        "Port": port,
        "Tags": ["example", "http"],
        "Meta": {"version": VERSION},
        "Check": {
            "HTTP": f"http://127.0.0.1:{port}/health",
            "Interval": "1s",
            "Timeout": "1s",
            "DeregisterCriticalServiceAfter": "30s",
        },
    }
    instance = _Instance(registry, registration)
    server.RequestHandlerClass = _handler(instance, make_answer(registry, service_id))

    # Kept for `sigwait`: a handler would wait for ever if the system gave the signal to another thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    keeping = threading.Thread(target=instance.stay_registered)
    keeping.start()
    print(f"{service_id}: answering on http://127.0.0.1:{port}", flush=True)
    signal.sigwait(ENDING)
    instance.ending.set()
    # Drained first, so that nobody is sent here any more when it stops answering.
    keeping.join()
    server.finish()
    instance.deregister()


def _handler(instance: _Instance, answer: Callable[[Request], Reply]) -> type[BaseHTTPRequestHandler]:
    """The class that `http.server` wants: reads a request as JSON, and sends the reply as JSON."""

    def reply_to(request: Request) -> Reply:
        match (request.method, request.parts):
            case ("GET", ["health"]):
                return Reply(503, {"status": "failing"}) if instance.is_failing else Reply(200, {"status": "ok"})
            case ("PUT", ["fail"]):
                instance.is_failing = True
                return Reply(200, {"status": "failing from now on"})
            case ("PUT", ["recover"]):
                instance.is_failing = False
                return Reply(200, {"status": "well again"})
            case _:
                return answer(request)

    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S  # who connects and says nothing must not hold up the end

        def handle_one(self) -> None:
            try:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = [part for part in self.path.partition("?")[0].split("/") if part]
                reply = reply_to(Request(self.command, parts, json.loads(content or b"null")))
            except ValueError:
                reply = Reply(400, {"error": "the body is not JSON"})
            except NoInstance as error:
                reply = Reply(503, {"error": f"no instance of {error} is passing"})
            except urllib.error.HTTPError as error:
                reply = Reply(error.code, {"error": f"{error.url} answers {error.code}"})
            except OSError as error:
                reply = Reply(502, {"error": str(error)})
            body = json.dumps(reply.body).encode() + b"\n"
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = handle_one  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            """Says nothing: a check every second would fill the log."""

    return Handler
