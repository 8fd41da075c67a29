"""Keys, locks and sessions through py-consul, a client that knows nothing of Regista."""

import threading

import consul
import pytest

MAGIC_FLAGS = 3304740253564472344
"""By which Consul's own clients know the keys of their locks; more than a double can hold."""


@pytest.fixture
def api(agent):
    host, _, port = agent.http.rpartition(":")
    with consul.Consul(host=host, port=int(port)) as api:
        yield api


@pytest.fixture
def other_api(agent):
    host, _, port = agent.http.rpartition(":")
    with consul.Consul(host=host, port=int(port)) as api:
        yield api


def test_values_are_put_got_listed_and_deleted(api):
    """`put`, `get`, `recurse`, `keys`, `separator` and `delete` do what its documentation says."""
    index, nothing = api.kv.get("app/name")
    assert nothing is None
    assert int(index) >= 1
    assert api.kv.put("app/name", "vélo", flags=MAGIC_FLAGS) is True
    assert api.kv.put("app/deep/er", b"\x00\xff")
    assert api.kv.put("app/empty", None)
    _, found = api.kv.get("app/name")
    assert (found["Value"].decode(), found["Flags"]) == ("vélo", MAGIC_FLAGS)
    _, rows = api.kv.get("app/", recurse=True)
    assert [row["Key"] for row in rows] == ["app/deep/er", "app/empty", "app/name"]
    assert [row["Value"] for row in rows] == [b"\x00\xff", None, "vélo".encode()]
    assert api.kv.get("app/", keys=True, separator="/")[1] == ["app/deep/", "app/empty", "app/name"]
    assert api.kv.delete("app/name") is True
    assert api.kv.delete("app/", recurse=True) is True
    assert api.kv.get("app/", recurse=True)[1] is None


def test_cas_writes_only_what_was_read(api):
    """`cas` with the index that was read succeeds once, and 0 writes only a new key."""
    assert api.kv.put("k", "1", cas=0) is True
    assert api.kv.put("k", "2", cas=0) is False
    _, found = api.kv.get("k")
    assert api.kv.put("k", "3", cas=found["ModifyIndex"]) is True
    assert api.kv.put("k", "4", cas=found["ModifyIndex"]) is False
    assert api.kv.delete("k", cas=found["ModifyIndex"]) is False
    assert api.kv.get("k")[1]["Value"] == b"3"


def test_a_key_is_waited_for(api, other_api):
    """`index` and `wait` return with the change of the key, also of one that is not there yet."""
    index, _ = api.kv.get("later")
    found = []
    waiter = threading.Thread(target=lambda: found.append(other_api.kv.get("later", index=index, wait="20s")))
    waiter.start()
    api.kv.put("other", "x")
    assert waiter.is_alive()
    api.kv.put("later", "now")
    waiter.join(5)
    ((_, row),) = found
    assert row["Value"] == b"now"


def test_sessions_are_created_shown_renewed_and_destroyed(api):
    """The session paths give what the client expects of them."""
    session = api.session.create(name="mine", lock_delay=5, behavior="delete", ttl=20)
    _, shown = api.session.info(session)
    assert (shown["Name"], shown["Behavior"], shown["TTL"]) == ("mine", "delete", "20s")
    assert shown["LockDelay"] == 5_000_000_000
    assert [row["ID"] for row in api.session.list()[1]] == [session]
    assert [row["ID"] for row in api.session.node("n1")[1]] == [session]
    assert api.session.renew(session)["ID"] == session
    assert api.session.destroy(session) is True
    assert api.session.list()[1] == []
    with pytest.raises(consul.exceptions.NotFound):
        api.session.renew(session)


def test_a_leader_is_elected_and_followed(api, other_api):
    """Two candidates ask for one lock; the loser waits for the key, and leads when the winner's session is gone."""
    one = api.session.create(name="one", lock_delay=0)
    two = api.session.create(name="two", lock_delay=0)
    assert api.kv.put("leader", "one", acquire=one) is True
    assert other_api.kv.put("leader", "two", acquire=two) is False
    index, row = other_api.kv.get("leader")
    assert row["Session"] == one
    took_over = []

    def follow():
        _, after = other_api.kv.get("leader", index=index, wait="20s")
        took_over.append(("Session" in after, other_api.kv.put("leader", "two", acquire=two)))

    follower = threading.Thread(target=follow)
    follower.start()
    api.session.destroy(one)
    follower.join(5)
    assert took_over == [(False, True)]
    _, row = api.kv.get("leader")
    assert (row["Session"], row["Value"], row["LockIndex"]) == (two, b"two", 2)
    assert api.kv.put("leader", "", release=two) is True


def test_a_lock_with_a_delay_stays_closed(api):
    """After its session was destroyed, a key can't be locked at once."""
    one, two = api.session.create(lock_delay=30), api.session.create(lock_delay=0)
    assert api.kv.put("k", "", acquire=one)
    assert api.session.destroy(one)
    assert api.kv.put("k", "", acquire=two) is False


def test_transactions_are_made_whole_or_not_at_all(api):
    """`txn.put` gives the results, and raises with nothing changed when one operation fails."""
    value = "MQ=="
    done = api.txn.put([{"KV": {"Verb": "set", "Key": "a", "Value": value}}, {"KV": {"Verb": "get", "Key": "a"}}])
    assert done["Results"][1]["KV"]["Value"] == value
    with pytest.raises(consul.ConsulException):
        api.txn.put([{"KV": {"Verb": "delete", "Key": "a"}}, {"KV": {"Verb": "get", "Key": "none"}}])
    assert api.kv.get("a")[1]["Value"] == b"1"
