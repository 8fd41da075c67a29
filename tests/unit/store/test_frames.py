"""Messages on a stream of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.store import BadFrame, Unframer, frame


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_messages_come_out_whole_however_they_arrive(messages, piece):
    """Whatever pieces the bytes arrive in, the messages come out as they went in, each once it is whole."""
    stream = b"".join(frame(message) for message in messages)
    unframer = Unframer()
    found = [
        each for start in range(0, len(stream), piece) for each in unframer.feed(stream[start : start + piece])
    ]
    assert found == messages


@given(st.binary(max_size=100))
def test_a_part_is_kept_for_later(tail):
    """A message of which some is missing is not given, and comes with the rest."""
    unframer = Unframer()
    whole = frame(b"first" + tail)
    assert unframer.feed(whole[:-1]) == []
    assert unframer.feed(whole[-1:] + whole) == [b"first" + tail] * 2


def test_what_is_too_long_is_no_message():
    """A length over the limit is refused before anything is kept for it."""
    with pytest.raises(BadFrame):
        Unframer().feed(b"\xff\xff\xff\xff")
