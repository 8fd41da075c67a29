"""Keys and the codec of records."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import RECORDS_BY_KIND, names, records

from regista.model import (
    KINDS,
    Check,
    Node,
    Service,
    Tombstone,
    decode_record,
    encode_record,
    node_item_key,
    tombstone_key,
)


@given(names, names, names, names)
def test_item_keys_are_equal_for_equal_names_only(node, item_id, other_node, other_id):
    """Two (node, id) pairs have one key if and only if they differ in case at the most."""
    are_same = (node.lower(), item_id.lower()) == (other_node.lower(), other_id.lower())
    assert (node_item_key(node, item_id) == node_item_key(other_node, other_id)) == are_same


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_tombstone_keys_are_equal_for_equal_incarnations_only(one, other):
    """Two tombstones have one key only if they are of one incarnation of one instance."""
    are_same = (one[0].lower(), one[1].lower(), one[2]) == (other[0].lower(), other[1].lower(), other[2])
    assert (tombstone_key(*one) == tombstone_key(*other)) == are_same


def test_an_at_sign_belongs_to_the_id_or_to_the_incarnation():
    """`a@b` in its life `c` is not `a` in its life `b@c`."""
    assert tombstone_key("n", "a@b", "c") != tombstone_key("n", "a", "b@c")


def test_the_usual_key_is_plain():
    """Names without special characters make a key that a person reads in the database at once."""
    assert node_item_key("Web-01", "Redis") == "web-01/redis"
    assert tombstone_key("web-01", "redis", "6f2c") == "web-01/redis@6f2c"


@given(records)
def test_a_record_survives_the_codec(record):
    """What is encoded is decoded as an equal record with an equal key."""
    decoded = decode_record(record.kind, encode_record(record))
    assert decoded == record
    assert decoded.key == record.key


@given(records)
def test_a_records_text_is_decoded_like_its_bytes(record):
    """The store may keep the JSON as text or as bytes."""
    value = encode_record(record)
    assert decode_record(record.kind, value.decode()) == decode_record(record.kind, value)


def test_every_kind_has_a_strategy():
    """A new kind of record is tested from its first day: it needs a line in tests/strategies.py."""
    assert RECORDS_BY_KIND.keys() == KINDS.keys()


def test_defaults_take_no_room():
    """A field that has its default value is not written, so most records are short."""
    assert encode_record(Node(name="n")) == b'{"name":"n"}'
    assert encode_record(Service(node="n", id="i", name="s")) == b'{"node":"n","id":"i","name":"s"}'


def test_a_field_of_a_later_version_is_passed_over():
    """A record that a later version wrote with one more field can still be read."""
    assert decode_record("node", b'{"name":"n","colour":"red"}') == Node(name="n")


@pytest.mark.parametrize("value", [b"", b"{}", b"[]", b'{"name":1}', b'{"name":"n"', b"\xff"])
def test_what_is_no_record_is_refused(value):
    """Bytes that are not such a record raise an error that the store can tell from its own."""
    with pytest.raises(msgspec.MsgspecError):
        decode_record("node", value)


def test_an_unknown_kind_is_refused():
    """A kind nobody knows is a KeyError."""
    with pytest.raises(KeyError):
        decode_record("horse", b"{}")


def test_a_check_knows_its_instance():
    """A check's `service_key` is the key of its instance, and empty for a check of the node itself."""
    service = Service(node="N", id="Web/1", name="web")
    assert Check(node="n", id="c", name="c", service_id="web/1").service_key == service.key
    assert Check(node="n", id="c", name="c").service_key == ""
    assert Tombstone(node="n", id="web/1", incarnation="x").key.startswith(service.key)


@given(records)
def test_records_cannot_be_changed(record):
    """Records are shared, so an attempt to change one fails."""
    with pytest.raises(AttributeError):
        record.node = "other"
