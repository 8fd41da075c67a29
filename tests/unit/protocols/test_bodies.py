"""Until when more of a body has to arrive."""

import pytest

from regista.protocols.http.bodies import decide_due
from regista.protocols.http.settings import HttpSettings

SETTINGS = HttpSettings(body_stall_s=30.0, body_bytes_per_s_min=1024)
BEGAN_S = 1000.0


@pytest.mark.parametrize(
    ("arrived_bytes", "after_s", "due_after_s", "limit"),
    [
        (0, 0.0, 30.0, "http.body_stall"),
        (1, 1.0, 30.0 + 1 / 1024, "http.body_bytes_per_s_min"),
        (1024, 1.0, 31.0, "http.body_stall"),
        (1024, 2.0, 31.0, "http.body_bytes_per_s_min"),
        (100_000, 5.0, 35.0, "http.body_stall"),
        (300 * 1024, 320.0, 330.0, "http.body_bytes_per_s_min"),
        (512 * 1024, 200.0, 230.0, "http.body_stall"),
    ],
)
def test_what_is_due_first_counts(arrived_bytes, after_s, due_after_s, limit):
    """More must come before it has stalled, and before what came is less than the least rate after the first time."""
    due = decide_due(SETTINGS, began_s=BEGAN_S, arrived_bytes=arrived_bytes, now_s=BEGAN_S + after_s)
    assert due.at_s == pytest.approx(BEGAN_S + due_after_s)
    assert due.limit == limit
    assert due.most == (30.0 if limit == "http.body_stall" else 1024)


def last_s(size, *, bytes_per_s, step_bytes):
    """When a body that comes evenly in steps has arrived or is given up, in seconds; and whether it has arrived."""
    due = decide_due(SETTINGS, began_s=0.0, arrived_bytes=0, now_s=0.0)
    for arrived in range(step_bytes, size + step_bytes, step_bytes):
        now_s = arrived / bytes_per_s
        if now_s > due.at_s:
            return due.at_s, False
        due = decide_due(SETTINGS, began_s=0.0, arrived_bytes=min(arrived, size), now_s=now_s)
    return size / bytes_per_s, True


def test_an_honest_upload_on_a_slow_line_is_read_to_its_end():
    """512 KB at 1200 bytes a second take seven minutes, in whatever pieces they come."""
    for step_bytes in (1, 1400, 30_000):
        took_s, is_whole = last_s(512 * 1024, bytes_per_s=1200, step_bytes=step_bytes)
        assert is_whole
        assert 430 < took_s < 440


@pytest.mark.parametrize("size", [10, 100, 1024 * 1024])
def test_drop_by_drop_has_hardly_more_than_the_first_time(size):
    """One byte a second holds a connection for 30 s, however long the body is to be."""
    took_s, is_whole = last_s(size, bytes_per_s=1, step_bytes=1)
    assert took_s < 30.1
    assert is_whole == (size <= 30)


def test_the_largest_body_has_an_end():
    """Whoever keeps to the least rate pays with bytes, and the largest body allowed bounds them."""
    settings = HttpSettings()
    due = decide_due(settings, began_s=0.0, arrived_bytes=settings.body_bytes_max, now_s=10**9)
    assert due.at_s == settings.body_stall_s + settings.body_bytes_max / settings.body_bytes_per_s_min
