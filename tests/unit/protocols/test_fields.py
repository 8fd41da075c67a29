"""Reading JSON objects strictly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import BadInput
from regista.protocols.consul import fields as f

FIELDS = {
    "ID": f.name,
    "Port": f.port,
    "TaggedAddresses": f.map_of(f.object_of({"Address": f.text})),
    "Tags": f.list_of(f.text, "[]string", 2),
    "Token": f.ignored,
    "Mesh": f.not_yet("the mesh"),
}


def problem(reader, value, path=".Field"):
    with pytest.raises(BadInput) as caught:
        reader(value, path)
    return caught.value


# ---- objects ----


@pytest.mark.parametrize(
    "key", ["TaggedAddresses", "tagged_addresses", "taggedAddresses", "TAGGED_ADDRESSES", "taggedaddresses"]
)
def test_a_field_is_known_in_every_spelling(key):
    """Case and underscores of a key don't count."""
    assert f.read_object({key: {}}, FIELDS) == {"TaggedAddresses": {}}


def test_null_is_as_good_as_absent():
    """A null is left out, whatever the field's type, so that defaults apply."""
    assert f.read_object({"ID": None, "Port": None, "Mesh": None}, FIELDS) == {}


def test_the_last_of_two_spellings_counts():
    """As in Go, the later of two keys for one field wins."""
    assert f.read_object({"port": 1, "Port": 2}, FIELDS) == {"Port": 2}


@pytest.mark.parametrize(
    ("key", "hint"),
    [("Prot", "Port"), ("tag", "Tags"), ("tagged_address", "TaggedAddresses"), ("Tagsss", "Tags"), ("zzz", None)],
)
def test_an_unknown_field_is_refused_with_the_nearest(key, hint):
    """An unknown key is named, with the nearest known one if any is near."""
    with pytest.raises(BadInput) as caught:
        f.read_object({key: 1}, FIELDS)
    words = f'Request decode failed: json: unknown field "{key}"'
    assert str(caught.value) == (f'{words}; did you mean "{hint}"?' if hint else words)
    assert caught.value.field == key


def test_an_unknown_field_is_named_with_its_place():
    """Within an inner object the path stands beside the key."""
    with pytest.raises(
        BadInput, match=r'unknown field "Adress" in TaggedAddresses\.lan; did you mean "Address"\?'
    ) as caught:
        f.read_object({"tagged_addresses": {"lan": {"Adress": ""}}}, FIELDS)
    assert caught.value.field == "TaggedAddresses.lan.Adress"


@pytest.mark.parametrize(
    ("value", "word"), [([], "array"), ("x", "string"), (5, "number"), (True, "bool"), (1.5, "number 1.5")]
)
def test_what_is_no_object_is_refused(value, word):
    """Anything but an object is refused by its JSON type."""
    with pytest.raises(BadInput, match=f"cannot unmarshal {word} into Go value of type struct") as caught:
        f.read_object(value, FIELDS)
    assert caught.value.field == "body"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*FIELDS, "x"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(json_values)
def test_any_value_is_read_or_refused(value):
    """Whatever JSON holds, reading gives fields of the right types, or a BadInput and no other error."""
    try:
        found = f.read_object(value, FIELDS)
    except BadInput:
        return
    assert set(found) <= set(FIELDS)
    assert isinstance(found.get("ID", ""), str)
    assert 0 <= found.get("Port", 0) <= 65535
    assert all(isinstance(tag, str) for tag in found.get("Tags", ()))


# ---- values ----


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (f.text, "é\u200b", "é\u200b"),
        (f.text, "", ""),
        (f.free_text, "a\nb\x00", "a\nb\x00"),
        (f.name, "n" * 512, "n" * 512),
        (f.flag, False, False),
        (f.integer, -(2**63), -(2**63)),
        (f.integer, 2**63 - 1, 2**63 - 1),
        (f.count, 0, 0),
        (f.count, 2**31 - 1, 2**31 - 1),
        (f.port, 0, 0),
        (f.port, 65535, 65535),
        (f.duration_s, "", 0.0),
        (f.duration_s, "1m30s", 90.0),
        (f.duration_s, "-5s", -5.0),
        (f.duration_s, 1_500_000_000, 1.5),
        (f.duration_s, 0, 0.0),
        (f.duration_s, "87600h", f.DURATION_S_MAX),
        (f.ignored, [[{}]], None),
        (f.not_yet("x"), {}, None),
        (f.not_yet("x"), False, None),
        (f.not_yet("x"), "", None),
    ],
)
def test_what_fits_is_read(reader, value, read):
    """Values of the right type and within bounds are read, those at the bounds included."""
    assert reader(value, ".Field") == read


@pytest.mark.parametrize(
    ("reader", "value", "words"),
    [
        (f.text, 5, "cannot unmarshal number into Go struct field .Field of type string"),
        (f.text, "a\x1f", "Field has control characters"),
        (f.text, "a\x7f", "Field has control characters"),
        (f.free_text, [], "cannot unmarshal array into Go struct field .Field of type string"),
        (f.name, "n" * 513, "Field is too long: 513 characters (limit: 512)"),
        (f.name, "a\n", "Field has control characters"),
        (f.name, "a\u200b", "Field has a character that can't be printed (U+200B); take it out, for no path"),
        (f.name, ".", 'Field can\'t be ".", for no path can hold it'),
        (f.name, "..", 'Field can\'t be "..", for no path can hold it'),
        (f.name, "\u202egnp", "Field has a character that can't be printed (U+202E)"),
        (f.name, "a\u00a0b", "Field has a character that can't be printed (U+00A0)"),
        (f.name, "\ud800", "Field has a character that can't be printed (U+D800)"),
        (f.known_name, "a\x9b\n", "Field has control characters"),
        (f.known_name, "n" * 513, "Field is too long: 513 characters (limit: 512)"),
        (f.flag, 1, "cannot unmarshal number into Go struct field .Field of type bool"),
        (f.flag, "true", "cannot unmarshal string into Go struct field .Field of type bool"),
        (f.integer, True, "cannot unmarshal bool into Go struct field .Field of type int"),
        (f.integer, 1.0, "cannot unmarshal number 1.0 into Go struct field .Field of type int"),
        (f.integer, 2**63, "Field is a number that does not fit in 64 bits"),
        (f.integer, -(2**63) - 1, "Field is a number that does not fit in 64 bits"),
        (f.count, -1, "Field must be from 0 to 2147483647, not -1"),
        (f.count, 2**31, "Field must be from 0 to 2147483647"),
        (f.port, -1, "Field must be from 0 to 65535, not -1"),
        (f.port, 65536, "Field must be from 0 to 65535, not 65536"),
        (f.port, "80", "cannot unmarshal string into Go struct field .Field of type int"),
        (f.duration_s, "10", 'time: missing unit in duration "10" in Field; write it as 10s, 1m30s or 500ms'),
        (f.duration_s, "ten", 'time: invalid duration "ten" in Field'),
        (f.duration_s, True, "cannot unmarshal bool into Go struct field .Field of type duration"),
        (f.duration_s, [], "cannot unmarshal array into Go struct field .Field of type duration"),
        (f.duration_s, "87601h", "Field is 3650 days; at most 10 years"),
        (f.duration_s, "-87601h", "Field is 3650 days; at most 10 years"),
        (f.duration_s, 10**400, "at most 10 years"),
        (f.duration_s, math.inf, "at most 10 years"),
        (
            f.list_of(f.text, "[]string", 2),
            "a",
            "cannot unmarshal string into Go struct field .Field of type []string",
        ),
        (f.list_of(f.text, "[]string", 2), ["a"] * 3, "Field has 3 items; at most 2"),
        (f.list_of(f.text, "[]string", 2), ["a", 1], "struct field .Field[1] of type string"),
        (f.map_of(f.text), [], "cannot unmarshal array into Go struct field .Field of type map"),
        (f.map_of(f.text), {"k": 1}, "struct field .Field.k of type string"),
        (f.object_of({"A": f.text}), 1, "cannot unmarshal number into Go struct field .Field of type object"),
        (f.not_yet("the mesh"), {"Native": True}, "Field is not supported by this version of Regista: the mesh"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_field(reader, value, words):
    """Values of the wrong type or out of bounds are refused in Go's words, and the error names the field."""
    error = problem(reader, value)
    assert words in str(error)
    assert error.field.startswith("Field")


@pytest.mark.parametrize(
    ("reader", "value", "words"),
    [
        (f.text, 5, "Field: expected a string, got a number"),
        (f.flag, "true", "Field: expected true or false, got a string"),
        (f.integer, True, "Field: expected a whole number, got true"),
        (f.number, {}, "Field: expected a number, got an object"),
        (f.duration_s, True, 'Field: expected a duration such as "10s", got true'),
        (f.duration_s, "10", 'missing unit in duration "10" in Field; write it as 10s, 1m30s or 500ms'),
        (f.list_of(f.text, "[]string", 2), "a", "Field: expected a list of strings, got a string"),
        (f.list_of(f.flag, "[]CheckType", 2), {}, "Field: expected a list, got an object"),
        (f.map_of(f.text), "a", "Field: expected an object, got a string"),
        (
            f.object_of({}),
            [{}, {}],
            "Field: expected an object, got a list of 2; a block that is written several times is such a list",
        ),
        (f.object_of({"Port": f.port}), {"prot": 1}, 'unknown field "prot" in Field; did you mean "Port"?'),
        (f.port, 65536, "Field must be from 0 to 65535, not 65536"),
    ],
)
def test_a_problem_in_a_file_is_told_without_words_of_the_api(reader, value, words):
    """There is no request in a file, and none of Go's types."""
    assert problem(reader, value).plain_text == words


@pytest.mark.parametrize(
    ("value", "inner"),
    [
        ({"service": {"a": 1}}, {"a": 1}),
        ({"Service": {"a": 1}}, {"a": 1}),
        ({"service": {"a": 1}, "b": 2}, {"service": {"a": 1}, "b": 2}),
        ({"service": "web"}, {"service": "web"}),
        ({"a": 1}, {"a": 1}),
        (None, {}),
        ([], []),
    ],
)
def test_one_wrapper_is_taken_off(value, inner):
    """An object alone under the wrapper's name is what is meant; anything else stays as it is; null is empty."""
    assert f.unwrap(value, "service") == inner
