"""The gate at the dispatcher: what is refused for the load, and what is told."""

import asyncio
import dataclasses

import pytest

from regista.model import Shed
from regista.protocols.http import Overload, OverloadSettings, Response, Route, RouteTable, Use, error_response
from regista.protocols.http.dispatch import Dispatcher, no_body


class Load:
    """How much of each limit is in use, of 100."""

    def __init__(self):
        self.commits = self.waiting = self.connections = 0
        self.overload = Overload(
            OverloadSettings(),
            commits=lambda: Use("store.commit_queue_max", self.commits, 100),
            waiting=lambda: Use("http.waiting_max", self.waiting, 100),
            connections=lambda: Use("http.connections_max", self.connections, 100),
        )
        routes = (
            Route("GET", "/read", lambda _: Response()),
            Route("PUT", "/register", lambda _: Response()),
            Route("PUT", "/renew", lambda _: Response(), load="renewal"),
        )
        self.dispatcher = Dispatcher(RouteTable(routes))
        self.dispatcher.overload = self.overload

    def ask(self, method, target):
        head = self.dispatcher.understand(method, target, {}, 0)
        return self.dispatcher.call(head, no_body, "10.0.0.1")


async def test_new_watches_are_refused_before_the_connections_end():
    """At once, not at the next look; their connection is wanted for others, and reads go on."""
    load = Load()
    load.connections = 95
    response = load.ask("GET", "/read?index=7")
    assert (response.status, response.is_last) == (503, True)
    told = dict(response.headers)
    assert told["X-Regista-Limit"] == "http.connections_max"
    assert (told["X-Regista-Limit-Used"], told["X-Regista-Limit-Max"]) == ("95", "100")
    assert int(told["Retry-After"]) > 0
    assert told["Connection"] == "close"
    assert load.ask("GET", "/read").status == 200
    assert load.dispatcher.refused == {"http.connections_max": 1}
    assert load.overload.refused == {"watch": 1}


async def test_a_full_queue_leaves_renewals():
    """Everything else is refused, and keeps its connection."""
    load = Load()
    load.commits = 100
    load.overload.look(0.0)
    answers = [load.ask(*each) for each in (("GET", "/read"), ("PUT", "/register"), ("PUT", "/renew"))]
    assert [each.status for each in answers] == [503, 503, 200]
    assert not any(each.is_last for each in answers)


async def test_lag_that_lasts_is_seen_and_a_single_stall_is_not():
    """The median of the last looks counts."""
    load = Load()
    loop = asyncio.get_running_loop()
    for late_s in (60.0, 0.0):
        load.overload._tick(loop.time() - late_s)
        load.overload.stop()
    assert load.overload.lag_s < 1
    for _ in range(3):
        load.overload._tick(loop.time() - 60.0)
        load.overload.stop()
    assert load.overload.lag_s >= 60
    load.overload.look(loop.time())
    assert load.ask("PUT", "/register").status == 503
    assert load.ask("PUT", "/renew").status == 200


async def test_a_stopping_agent_refuses_nothing():
    """Whatever it was before."""
    load = Load()
    load.commits = 100
    load.overload.start()
    load.overload.look(0.0)
    load.overload.stop()
    assert load.ask("PUT", "/register").status == 200


def test_a_refusal_says_what_is_preferred_and_what_to_do():
    """The body is a sentence for people."""
    error = Shed("overload.lag", used=1800, most=2000, load="list")
    response = error_response(error)
    assert response.status == 503
    for part in ("overload.lag: 1800 of 2000", "class list", "registrations and renewals", "Try again in 5s"):
        assert part in response.body.decode()


@pytest.mark.parametrize(
    ("method", "expected"), [("GET", "read"), ("PUT", "registration"), ("DELETE", "registration")]
)
def test_a_route_that_names_no_class_has_that_of_its_method(method, expected):
    """What writes is taken for a registration."""
    route = Route(method, "/x", lambda _: Response())
    assert route.load_class == expected
    assert dataclasses.replace(route, load="renewal").load_class == "renewal"
