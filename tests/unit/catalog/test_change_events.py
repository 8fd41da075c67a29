"""What a transaction means to whoever waits for news."""

import json

import msgspec
import pytest

from regista.catalog import EVENT_TYPES, EventFilter, change_events, data_schema, encode_event
from regista.model import (
    Batch,
    Check,
    ConfigEntry,
    Delete,
    KvEntry,
    Node,
    PortClaim,
    Put,
    Service,
    caused_by,
)

WEB = Service(node="n1", id="web-1", name="web", address="10.0.0.1", port=80, tags=("v2",), meta={"version": "2"})
WEB_CHECK = Check(node="n1", id="c1", name="alive", service_id="web-1", service_name="web", service_tags=("v2",))
NODE_CHECK = Check(node="n1", id="disk", name="disk", status="passing")
CAUSE = caused_by("request", source="10.9.9.9", path="PUT /v1/agent/service/register")


def changed(record, **fields):
    return msgspec.structs.replace(record, **fields)


def over(before, after):
    return Put(after, before, 1, 2)


def batch(*changes):
    return Batch(42, 1_700_000_000.0, changes, CAUSE)


def told(*changes):
    """Type and subject of each event of a batch with these changes."""
    return [(event.type, event.subject) for event in change_events(batch(*changes))]


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (Put(WEB), ("service.registered", "web/n1/web-1")),
        (over(WEB, changed(WEB, port=81)), ("service.updated", "web/n1/web-1")),
        (Delete(WEB, 1, 2), ("service.deregistered", "web/n1/web-1")),
        (over(WEB_CHECK, changed(WEB_CHECK, status="passing")), ("service.health_changed", "web/n1/web-1")),
        (Put(WEB_CHECK), ("service.health_changed", "web/n1/web-1")),
        (Delete(WEB_CHECK, 1, 2), ("service.health_changed", "web/n1/web-1")),
        (Put(Node(name="n1")), ("node.registered", "n1")),
        (over(Node(name="n1"), Node(name="n1", address="10.0.0.9")), ("node.updated", "n1")),
        (Delete(Node(name="n1"), 1, 2), ("node.deregistered", "n1")),
        (over(NODE_CHECK, changed(NODE_CHECK, status="critical")), ("node.health_changed", "n1")),
        (Put(KvEntry(key="a/b")), ("kv.created", "a/b")),
        (over(KvEntry(key="a/b"), KvEntry(key="a/b", value=b"x")), ("kv.updated", "a/b")),
        (Delete(KvEntry(key="a/b"), 1, 2), ("kv.deleted", "a/b")),
        (
            Put(ConfigEntry(entry_kind="service-defaults", name="web", fields={})),
            ("config.created", "service-defaults/web"),
        ),
    ],
)
def test_each_kind_of_change_is_an_event(change, event):
    """Coming, changing and going of what people know of are events of their types."""
    assert told(change) == [event]


def test_what_nobody_is_told_of_is_no_event():
    """Records of the registry's own making, and records written again as they were, are silent."""
    assert told(Put(PortClaim(node="n1", port=1, service_id="x")), over(WEB, WEB)) == []


def test_a_check_with_the_same_status_is_no_change_of_health():
    """New output or notes are not told."""
    assert told(over(WEB_CHECK, changed(WEB_CHECK, notes="n", output="o"))) == []


def test_checks_that_come_and_go_with_their_instance_are_told_with_it():
    """A registration with checks is one event that lists them, and so is its end."""
    (event,) = change_events(batch(Put(WEB), Put(WEB_CHECK)))
    assert event.type == "service.registered"
    assert [(check.id, check.status) for check in event.data.checks] == [("c1", "critical")]
    assert told(Delete(WEB_CHECK, 1, 2), Delete(WEB, 1, 2)) == [("service.deregistered", "web/n1/web-1")]


def test_events_of_one_transaction_have_ids_of_their_own_and_its_order():
    """The index before the point is shared, the place after it grows."""
    events = change_events(batch(Put(Node(name="n1")), Put(WEB), Put(KvEntry(key="k"))))
    assert [event.id for event in events] == ["42.0", "42.1", "42.2"]


def test_a_value_is_never_told():
    """An event of a key has the length of its value only."""
    (event,) = change_events(batch(Put(KvEntry(key="k", value=b"s3cret"))))
    text = encode_event(event, source="/regista/dc1")
    assert json.loads(text)["data"]["value_bytes"] == 6
    assert b"s3cret" not in text
    assert b"czNjcmV0" not in text


def test_an_event_has_the_attributes_of_cloudevents():
    """Every required attribute is there, and the data says who did it."""
    (event,) = change_events(batch(Put(WEB)))
    found = json.loads(encode_event(event, source="/regista/dc1"))
    assert {key: found[key] for key in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0",
        "id": "42.0",
        "source": "/regista/dc1",
        "type": "service.registered",
        "subject": "web/n1/web-1",
        "time": "2023-11-14T22:13:20.000Z",
    }
    assert found["data"]["cause"]["source"] == "10.9.9.9"
    assert found["data"]["meta"] == {"version": "2"}


@pytest.mark.parametrize(
    ("wanted", "is_told"),
    [
        ({"services": {"web"}, "tags": {"v2"}}, True),
        ({"services": {"web"}}, True),
        ({"services": {"shop"}, "tags": {"v3"}}, True),
        ({"services": {"web"}, "tags": {"v3"}}, False),
        ({"services": {"shop"}, "tags": {"v2"}}, False),
        ({"services": {"api"}}, False),
    ],
)
def test_who_follows_what_an_instance_was_is_told_that_it_is_so_no_more(wanted, is_told):
    """An update that takes a tag or the service away is told to those who want the one before, and says what was."""
    (event,) = change_events(batch(over(WEB, changed(WEB, name="shop", tags=("V3",)))))
    assert EventFilter(**{field: frozenset(words) for field, words in wanted.items()}).admits(event) == is_told
    data = json.loads(encode_event(event, source="/r"))["data"]
    assert (data["service"], data["was_service"], data["tags"], data["was_tags"]) == (
        "shop",
        "web",
        ["V3"],
        ["v2"],
    )


def test_what_was_is_said_only_where_it_is_another():
    """An update of something else, a registration and an end say nothing of tags or services before."""
    for change in (over(WEB, changed(WEB, port=81)), Put(WEB), Delete(WEB, 1, 2)):
        (event,) = change_events(batch(change))
        assert not {"was_service", "was_tags"} & set(json.loads(encode_event(event, source="/r"))["data"])


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_type_has_a_schema(event_type):
    """The schema of every type names the properties of its data."""
    schema = data_schema(event_type)
    (definition,) = [each for name, each in schema["$defs"].items() if name == EVENT_TYPES[event_type].__name__]
    assert set(EVENT_TYPES[event_type].__struct_fields__) == set(definition["properties"])
