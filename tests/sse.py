"""A listener to server-sent events, on httpx: keeps the last id, as a browser's EventSource does."""

import contextlib
import dataclasses
import json

import httpx


@dataclasses.dataclass(frozen=True)
class Heard:
    """One event; `data` is what its JSON says."""

    id: str
    type: str
    data: dict


class Listener:
    """Follows a stream of an agent; comes back where it was when it is opened again.

    Args:
        hears_bookmarks: whether an id without an event is given too, as one of the type `bookmark`.

    Attributes:
        last_id: of the last event or bookmark, "" before the first.
    """

    def __init__(self, path="/v1/regista/events", *, timeout_s=15.0, hears_bookmarks=False):
        self.path = path
        self.last_id = ""
        self._timeout_s = timeout_s
        self._hears_bookmarks = hears_bookmarks

    @contextlib.contextmanager
    def open(self, agent):
        """An iterator over the events, once the agent has answered."""
        headers = {"Accept": "text/event-stream"}
        if self.last_id:
            headers["Last-Event-ID"] = self.last_id
        url = f"http://{agent.http}{self.path}"
        with (
            httpx.Client(timeout=self._timeout_s, trust_env=False) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            assert response.status_code == 200, response.read()
            assert response.headers["Content-Type"] == "text/event-stream"
            yield self._events(response.iter_lines())

    def _events(self, lines):
        event_id, event_type, data = None, "message", []
        for line in lines:
            field, _, value = line.partition(": ")
            if field == "id":
                event_id = value
            elif field == "event":
                event_type = value
            elif field == "data":
                data.append(value)
            elif not line:
                if event_id is not None:
                    self.last_id = event_id
                if data:
                    yield Heard(self.last_id, event_type, json.loads("\n".join(data)))
                elif self._hears_bookmarks:
                    yield Heard(self.last_id, "bookmark", {})
                event_id, event_type, data = None, "message", []


def take(events, count):
    """The next so many events."""
    return [next(events) for _ in range(count)]
