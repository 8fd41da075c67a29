"""The Docker engine's multiplexed stream, taken apart."""

from hypothesis import given
from hypothesis import strategies as st

from regista.health.probes.docker import Demultiplexer

FRAMES = st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=40)), max_size=8)


def framed(frames):
    return b"".join(bytes([stream, 0, 0, 0]) + len(piece).to_bytes(4) + piece for stream, piece in frames)


@given(FRAMES, st.integers(1, 20))
def test_frames_are_taken_apart_wherever_the_stream_is_cut(frames, chunk_bytes):
    """What was written comes out in order, whole, byte by byte, and in pieces of any size."""
    stream = framed(frames)
    wanted = b"".join(piece for _, piece in frames)
    for size in (max(1, len(stream)), 1, chunk_bytes):
        demultiplexer = Demultiplexer()
        found = b"".join(demultiplexer.feed(stream[at : at + size]) for at in range(0, len(stream), size))
        assert found == wanted


@given(FRAMES, st.binary(max_size=40))
def test_a_stream_without_frames_is_taken_as_it_is(frames, rest):
    """From the first byte that can't be a header on, everything is output."""
    demultiplexer = Demultiplexer()
    stream = framed(frames) + b"plain " + rest
    wanted = b"".join(piece for _, piece in frames) + b"plain " + rest
    assert b"".join(demultiplexer.feed(bytes([each])) for each in stream) == wanted
