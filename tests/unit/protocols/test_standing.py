"""How far an answer can be relied on, from what is found, the store and the time since the start."""

import pytest

from regista.catalog import Catalog, service_topic
from regista.model import Batch, Delete, Put, Service
from regista.protocols.consul import PresentStanding
from regista.protocols.consul.standing import PastStanding

WEB = Service(node="n1", id="web-1", name="web")
TOPIC = service_topic("web")


class World:
    """A replica, a store and a clock in the test's hand."""

    def __init__(self, settling_s):
        self.now_s = 1000.0
        self.stale_s = None
        self.catalog = Catalog()
        self.standing = PresentStanding(
            self.catalog, lambda: self.stale_s, settling_s=settling_s, clock=lambda: self.now_s
        )

    def change(self, *changes):
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, changes))

    def said(self, topic=TOPIC, *, is_empty):
        ((name, value),) = self.standing.label(topic, is_empty=is_empty)
        assert name == "X-Regista-Answer"
        return value


@pytest.mark.parametrize(
    ("stale_s", "is_empty", "said"),
    [
        (None, False, "fresh"),
        (None, True, "empty-confirmed"),
        (0.2, False, "stale; age=0"),
        (12.9, True, "stale; age=12"),
    ],
)
def test_an_agent_with_its_store(stale_s, is_empty, said):
    """What is there is fresh, what is not is confirmed, and neither while nothing can be written."""
    world = World(0)
    world.stale_s = stale_s
    assert world.said(is_empty=is_empty) == said


def test_an_agent_that_knows_nothing_says_so_until_it_has_settled():
    """Until the settling time is over an empty answer is unknown, with the seconds that are left; then confirmed."""
    world = World(90)
    assert world.said(is_empty=True) == "unknown; settles=91"
    assert world.said(is_empty=False) == "fresh"
    world.now_s += 89.5
    assert world.said(is_empty=True) == "unknown; settles=1"
    world.stale_s = 3.0
    assert world.said(is_empty=True) == "unknown; settles=1", "it does not know, written or not"
    world.stale_s = None
    world.now_s += 0.5
    assert world.said(is_empty=True) == "empty-confirmed"
    world.now_s -= 60
    assert world.said(is_empty=True) == "empty-confirmed", "once settled, always"


def test_a_name_that_came_and_went_is_known_to_be_gone():
    """A service whose last instance was taken away since the start is confirmed to be empty; others are not."""
    world = World(90)
    world.change(Put(WEB))
    assert world.said(is_empty=True).startswith("unknown"), "an instance is there that the caller does not want"
    world.change(Delete(WEB))
    assert world.said(is_empty=True) == "empty-confirmed"
    assert world.said(service_topic("api"), is_empty=True).startswith("unknown")
    assert world.said("", is_empty=True).startswith("unknown"), "a list of many has no name"


def test_a_name_that_is_waited_for_is_not_known():
    """That somebody waits for a service does not mean that it was ever there."""
    world = World(90)
    world.catalog.topics.watch([service_topic("web")], lambda: None)
    assert world.said(is_empty=True).startswith("unknown")


def test_the_past_has_no_standing():
    """An answer about the past says nothing of the present."""
    assert PastStanding().label(service_topic("web"), is_empty=True) == ()


def test_what_was_said_is_counted():
    """Each answer counts by its first word, and one that holds others than were asked for by why, once each."""
    world = World(0)
    degraded = (
        "X-Regista-Degraded",
        "panic; passing=1; of=9; threshold=50%, panic; passing=0; of=3; threshold=50%",
    )
    world.standing.label(TOPIC, is_empty=False)
    world.standing.label(TOPIC, is_empty=False, headers=(("X-Regista-Flapping", "n1/panic"),))
    world.standing.label(TOPIC, is_empty=False, headers=(degraded,))
    world.stale_s = 3.0
    fallback = ("X-Regista-Degraded", "fallback=panic")
    world.standing.label(TOPIC, is_empty=False, headers=(fallback,))
    assert world.standing.given == {"fresh": 3, "stale": 1}
    assert +world.standing.degraded == {"panic": 1, "fallback": 1}
