"""JSON as Go reads and writes it."""

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import BadInput
from regista.protocols.http import decode_json, encode_json

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=10)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)


@given(values, st.sampled_from([None, 2]), st.sampled_from(["", " ", "\r\n\t"]))
def test_what_is_json_is_read(value, indent, space):
    """Every JSON value is read as Python's own reader does, with space around it or within."""
    text = space + json.dumps(value, indent=indent) + space
    assert decode_json(text.encode()) == json.loads(text)


@given(values, st.booleans())
def test_what_is_written_is_read_again(value, is_pretty):
    """An encoded value, compact or pretty, reads as itself."""
    assert json.loads(encode_json(value, pretty=is_pretty)) == value


@given(
    values.filter(lambda value: not isinstance(value, int | float) or isinstance(value, bool)),
    st.binary(max_size=10),
)
def test_what_follows_the_first_value_is_ignored(value, rest):
    """Go's decoder reads one value and stops, so the rest is nobody's business, if it is text at all."""
    body = json.dumps(value).encode() + b" " + rest
    try:
        rest.decode()
    except UnicodeDecodeError:
        with pytest.raises(BadInput, match="invalid UTF-8"):
            decode_json(body)
    else:
        assert decode_json(body) == value


@given(st.binary(max_size=30))
def test_any_bytes_are_read_or_refused(body):
    """Bytes of any kind give a value that can be answered with, or a BadInput; nothing else is raised."""
    with contextlib.suppress(BadInput):
        encode_json(decode_json(body))


@given(values)
def test_half_of_a_value_is_not_enough(value):
    """No object or list cut short is taken for a whole one."""
    body = json.dumps([value]).encode()
    for end in range(len(body)):
        with pytest.raises(BadInput):
            decode_json(body[:end])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "EOF"),
        (b" \n", "EOF"),
        (b"{", "unexpected EOF"),
        (b'"a', "unexpected EOF"),
        (b"nul", "invalid character 'n' at position 0"),
        (b"[1 2]", "invalid character '2' at position 3"),
        # Python 3.13 points at the comma, earlier ones behind it.
        (b"[1,]", "invalid character "),
        (b"{'a': 1}", "invalid character ''' at position 1"),
        (b"\xff", "invalid UTF-8 at byte 0"),
        (b'{"a": "\xe9"}', "invalid UTF-8 at byte 7"),
        (b"NaN", "invalid character 'N' looking for beginning of value"),
        (b"[-Infinity]", "invalid character '-' looking for beginning of value"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'{"\\uDFFF": 1}', "half of a surrogate pair"),
        (b'["\\ud800\\ud800"] x', "half of a surrogate pair"),
        (b"[" * 100_000, "exceeded max depth"),
        (b"[" * 100_000 + b"]" * 100_000, "exceeded max depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "exceeded max depth"),
        (b"9" * 5000, "decode failed"),
    ],
)
def test_what_is_wrong_is_told(body, words):
    """A body that is no JSON is refused with the words that clients of Go's know, and the place."""
    with pytest.raises(BadInput) as caught:
        decode_json(body)
    assert words in str(caught.value)


def test_a_whole_surrogate_pair_is_a_character():
    r"""`\ud83d\ude00` is one character, in front of other text or not."""
    assert decode_json(b'"\\ud83d\\ude00"') == "\U0001f600"
    assert decode_json(b'"\\ud83d\\ude00" rest') == "\U0001f600"


def test_a_number_beyond_all_floats_is_infinite():
    """A number that no float holds is left to whoever reads the field; it does not end the reading."""
    assert decode_json(b"[1e400]") == [math.inf]


def test_answers_are_harmless_as_html():
    """`<`, `>` and `&` are written as Go writes them, in keys too, and nothing else is touched."""
    assert encode_json({"<a>": "b & c"}) == b'{"\\u003ca\\u003e":"b \\u0026 c"}'
    assert encode_json({"a": "é"}) == '{"a":"é"}'.encode()


def test_pretty_is_for_people():
    """Pretty answers are indented by four spaces and end in a new line, as Consul's."""
    assert encode_json({"a": [1], "b": {}}, pretty=True) == b'{\n    "a": [\n        1\n    ],\n    "b": {}\n}\n'
