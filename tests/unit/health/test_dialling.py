"""Knocking at ports: so many at once, and what a stall or a dropped question come to."""

import asyncio

import pytest
from tests.unit.health.world import settle

from regista.health.dialling import Dialler
from regista.health.listening import ListeningClock


class Slow:
    """A verifier whose answers the test gives."""

    def __init__(self):
        self.asked = {}

    async def answers(self, host, port):
        self.asked[port] = asyncio.get_running_loop().create_future()
        return await self.asked[port]


class Desk:
    """A dialler, its verifier, what it reported, and the clock."""

    def __init__(self, at_once_max=2):
        self.now_s = 0.0
        self.listening = ListeningClock(lambda: self.now_s, tolerance_s=1.0)
        self.verifier = Slow()
        self.found = []
        self.dialler = Dialler(self.verifier, at_once_max=at_once_max, listening=self.listening)
        self.dialler.on_answer = lambda key, answer: self.found.append((key, answer))


async def test_so_many_at_once():
    """Above the limit the next waits for its turn; a key that is asked for twice is asked once."""
    desk = Desk()
    for number in range(4):
        desk.dialler.ask(f"k{number}", "h", number)
        desk.dialler.ask(f"k{number}", "h", number)
    await settle()
    assert sorted(desk.verifier.asked) == [0, 1]
    desk.verifier.asked[1].set_result(True)
    await settle()
    assert sorted(desk.verifier.asked) == [0, 1, 2]
    assert desk.found == [("k1", True)]
    assert "k1" not in desk.dialler
    assert "k3" in desk.dialler
    await desk.dialler.stop()


async def test_dropped_questions_have_no_answer():
    """Who is dropped, waiting or under way, is not reported, and makes room."""
    desk = Desk(at_once_max=1)
    desk.dialler.ask("a", "h", 1)
    desk.dialler.ask("b", "h", 2)
    desk.dialler.ask("c", "h", 3)
    await settle()
    desk.dialler.drop("b")
    desk.dialler.drop("a")
    await settle()
    assert sorted(desk.verifier.asked) == [1, 3]
    desk.verifier.asked[3].set_result(False)
    await settle()
    assert desk.found == [("c", False)]


@pytest.mark.parametrize(("answer", "found"), [(True, True), (False, None), (None, None)])
async def test_stall_makes_silence_say_nothing(answer, found):
    """If the agent stalled meanwhile an answer counts, and no answer says nothing."""
    desk = Desk()
    desk.listening.expect(desk.listening.tick_s() + 1.0)
    desk.dialler.ask("a", "h", 1)
    await settle()
    desk.now_s += 60
    desk.verifier.asked[1].set_result(answer)
    await settle()
    assert desk.found == [("a", found)]


async def test_failing_verifier_is_told_of(caplog):
    """A verifier that raises does not stop the others."""
    desk = Desk(at_once_max=1)
    desk.dialler.ask("a", "h", 1)
    desk.dialler.ask("b", "h", 2)
    await settle()
    desk.verifier.asked[1].set_exception(RuntimeError("boom"))
    await settle()
    assert 2 in desk.verifier.asked
    assert "must not" in caplog.text
    await desk.dialler.stop()
