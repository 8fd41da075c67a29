"""Clients that follow the log."""

import asyncio
import logging
import threading

import pytest

from regista.agent.log_listeners import NO_LISTENER, LogListeners
from regista.model import Overloaded


def record(text, level=logging.INFO):
    return logging.LogRecord("name", level, "file", 1, text, None, None)


@pytest.fixture
def listeners():
    levels = []
    found = LogListeners(
        lambda as_json: logging.Formatter("{%(message)s}" if as_json else "%(message)s"),
        listeners_max=2,
        lines_max=3,
        on_level=lambda: levels.append(found.level),
    )
    found.levels = levels
    return found


async def test_a_listener_gets_what_it_wants_in_its_form(listeners):
    """Each listener gets the lines from its level up, from any thread, as text or as JSON."""
    text, as_json = listeners.listen(logging.INFO, as_json=False), listeners.listen(logging.ERROR, as_json=True)
    thread = threading.Thread(
        target=lambda: (listeners.emit(record("a")), listeners.emit(record("b", logging.ERROR)))
    )
    thread.start()
    thread.join()
    listeners.emit(record("quiet", logging.DEBUG))
    await asyncio.sleep(0)
    assert await anext(text) == b"a\nb\n"
    assert await anext(as_json) == b"{b}\n"
    await text.aclose()
    await as_json.aclose()


async def test_a_slow_listener_loses_the_oldest_lines_and_is_told(listeners):
    """The queue is bounded; what did not fit is counted for the client."""
    lines = listeners.listen(logging.INFO, as_json=False)
    for number in range(5):
        listeners.emit(record(str(number)))
    await asyncio.sleep(0)
    assert await anext(lines) == b"(2 lines were left out: they came faster than they were read)\n2\n3\n4\n"
    await lines.aclose()


async def test_only_so_many_may_listen_and_one_that_has_gone_makes_room(listeners):
    """One too many is refused; a closed stream counts no longer, and nothing is formatted for nobody."""
    first, second = (listeners.listen(logging.DEBUG, as_json=False) for _ in range(2))
    assert listeners.level == logging.DEBUG
    with pytest.raises(Overloaded, match=r"registry\.log_listeners_max"):
        listeners.listen(logging.INFO, as_json=False)
    for each in (first, second):
        await each.aclose()
    assert (len(listeners), listeners.level) == (0, NO_LISTENER)
    assert listeners.levels[-1] == NO_LISTENER


async def test_the_end_gives_what_is_queued_and_no_more(listeners):
    """A stopping agent ends every stream after its last lines, and new ones at once."""
    lines = listeners.listen(logging.INFO, as_json=False)
    listeners.emit(record("last"))
    await asyncio.sleep(0)
    listeners.end_all()
    assert [each async for each in lines] == [b"last\n"]
    assert [each async for each in listeners.listen(logging.INFO, as_json=False)] == []
