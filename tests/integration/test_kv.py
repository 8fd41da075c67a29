"""Keys, locks and waiting over HTTP: what a client sees that no recording shows."""

import base64
import json
import random
import threading

import pytest
from tests.agents import Waiter, eventually, running_agent

WRITERS = 4
WRITES_EACH = 60


def value_of(agent, key):
    return agent.get(f"/v1/kv/{key}?raw").text


def waiting_count(agent):
    limits = agent.get("/v1/regista/limits").json["limits"]
    return next(each["used"] for each in limits if each["name"] == "http.waiting_max")


# ---- waiting ----


@pytest.mark.parametrize("seed", [1, 2])
def test_who_waits_for_a_key_misses_no_last_word_and_wakes_for_no_other(agent, seed):
    """Beside seeded writers to many keys, a follower of one key and one of a prefix see each their own last value."""
    keys = [f"app/{name}" for name in "abc"] + ["app", "apple", "other/x"]
    done = threading.Event()
    seen = {"key": [], "prefix": []}
    bystander = Waiter(agent, "/v1/kv/app/never?index=1&wait=60s")

    def follow(path, name):
        with agent.client(timeout_s=60) as client:
            index = 1
            while True:
                reply = client.get(f"{path}index={index}&wait=2s")
                assert reply.index >= index, "an index went back"
                if reply.index != index:
                    seen[name].append(reply.body)
                elif done.is_set():
                    return
                index = reply.index

    def write(number):
        rng = random.Random(seed * 100 + number)
        with agent.client() as client:
            for count in range(WRITES_EACH):
                key = rng.choice(keys)
                if rng.random() < 0.2:
                    client.delete(f"/v1/kv/{key}")
                else:
                    client.put(f"/v1/kv/{key}", f"{number}-{count}".encode())

    followers = [
        threading.Thread(target=follow, args=("/v1/kv/app/a?", "key"), daemon=True),
        threading.Thread(target=follow, args=("/v1/kv/app/?recurse&", "prefix"), daemon=True),
    ]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in (*followers, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    agent.put("/v1/kv/app/a", b"last of a")
    agent.put("/v1/kv/app/b", b"last of b")
    done.set()
    for thread in followers:
        thread.join(30)
        assert not thread.is_alive()
    assert seen["key"][-1] == agent.get("/v1/kv/app/a").body
    assert seen["prefix"][-1] == agent.get("/v1/kv/app/?recurse").body
    # Written and deleted between two questions, the key has a new index and no body again; that is its own news.
    pairs = zip(seen["key"], seen["key"][1:], strict=False)
    assert all(one != two or not one for one, two in pairs), "woken for another key"
    assert bystander.is_waiting, "woken for another key"
    agent.put("/v1/kv/app/never", b"now")
    assert bystander.reply().json[0]["Key"] == "app/never"


def test_a_missing_key_waits_for_itself(agent):
    """Its index stays while others change, and it returns when the key comes."""
    before = agent.get("/v1/kv/wanted")
    waiter = Waiter(agent, f"/v1/kv/wanted?index={before.index}&wait=30s")
    for number in range(20):
        agent.put(f"/v1/kv/other/{number}", b"x")
        agent.delete(f"/v1/kv/other/{number}")
    assert agent.get("/v1/kv/wanted").index == before.index
    assert waiter.is_waiting
    agent.put("/v1/kv/wanted", b"")
    assert waiter.reply(2).status == 200


def test_a_hundred_who_wait_for_a_prefix_are_answered_alike(agent):
    """One change wakes all of them with the same bytes."""
    for number in range(50):
        agent.put(f"/v1/kv/p/{number}", b"x")
    index = agent.get("/v1/kv/p/?recurse").index
    waiters = [Waiter(agent, f"/v1/kv/p/?recurse&index={index}&wait=30s") for _ in range(100)]
    eventually(lambda: agent.socket_count() > 100)
    agent.put("/v1/kv/q/1", b"x")
    assert all(waiter.is_waiting for waiter in waiters)
    agent.put("/v1/kv/p/1", b"y")
    assert len({waiter.reply().body for waiter in waiters}) == 1


def test_no_text_in_a_parameter_passes_for_another_question(agent):
    """Whatever characters somebody who waits has in it, others are given the answers to their own questions."""
    for name in ("b/c", "d"):
        agent.put(f"/v1/kv/a/{name}", b"x")
    agent.put("/v1/event/fire/deploy")
    index = agent.get("/v1/kv/a/?keys").index
    # As it would read if the parts of a question were joined by characters that a part may have.
    waiting = [
        Waiter(agent, f"/v1/kv/a/?keys&separator=()%00True%00%00/&index={index}&wait=30s"),
        Waiter(agent, "/v1/event/list?name=()%00True%00%00deploy&index=1&wait=30s"),
    ]
    eventually(lambda: waiting_count(agent) == len(waiting))
    agent.get("/v1/kv/a/?keys&separator=()%00True%00%00/")
    agent.get("/v1/event/list?name=()%00True%00%00deploy")
    assert agent.get("/v1/kv/a/?keys&pretty&separator=/").json == ["a/b/", "a/d"]
    assert [event["Name"] for event in agent.get("/v1/event/list?pretty&name=deploy").json] == ["deploy"]


def test_the_raw_value_wakes_when_it_comes_empty(agent):
    """A key that is missing and one with an empty value are different answers, without a byte in either."""
    waiter = Waiter(agent, "/v1/kv/k?raw&index=1&wait=30s")
    agent.put("/v1/kv/k", b"")
    reply = waiter.reply(3)
    assert (reply.status, reply.body) == (200, b"")


# ---- values ----


def test_bytes_are_kept_as_they_are(shared_agent):
    """Any bytes come back, raw and in base64, up to the limit, and no browser will run them."""
    value = bytes(range(256)) * 2048
    assert len(value) == 512 * 1024
    assert shared_agent.put("/v1/kv/bytes", value).json is True
    raw = shared_agent.get("/v1/kv/bytes?raw")
    assert raw.body == value
    assert raw.headers["content-type"] == "text/plain"
    assert raw.headers["x-content-type-options"] == "nosniff"
    assert raw.headers["content-security-policy"] == "sandbox"
    assert base64.b64decode(shared_agent.get("/v1/kv/bytes").json[0]["Value"]) == value


def test_a_value_over_the_limit_is_told_in_consuls_words(tmp_path):
    """The limit is Consul's own key of the configuration; a body of unknown length is held to it too."""
    with running_agent(tmp_path, config={"limits": {"kv_max_value_size": 2000}}) as agent:
        reply = agent.put("/v1/kv/k", b"x" * 2001)
        assert reply.status == 413
        assert reply.text.startswith("Request body(2001 bytes) too large, max size: 2000 bytes. See https://")
        assert "#kv_max_value_size" in reply.text
        assert agent.put("/v1/kv/k", b"x" * 2000).json is True
        chunked = agent.client()
        chunked._connection.request("PUT", "/v1/kv/k", iter([b"x" * 1500, b"x" * 1500]))
        assert chunked._connection.getresponse().status == 413
        chunked.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("PUT", "/v1/kv/k?flags=", 400, 'strconv.ParseUint: parsing "": invalid syntax'),
        ("PUT", "/v1/kv/k?flags=18446744073709551616", 400, "value out of range"),
        ("PUT", "/v1/kv/k?cas=1_0", 400, "invalid syntax"),
        ("PUT", "/v1/kv/k?cas=%D9%A1", 400, "invalid syntax"),
        ("PUT", "/v1/kv/k?release=", 400, "missing session"),
        ("PUT", "/v1/kv/k?acquire=" + "z" * 36, 400, "Invalid UUID"),
        ("PUT", "/v1/kv/k?release=a&cas=1&acquire=b%20c", 400, "Conflicting flags: acquire=b+c&cas=1&release=a"),
        ("PUT", "/v1/kv/" + "k" * 4097, 400, "the key has 4097 bytes"),
        ("GET", "/v1/kv/k?ns=other", 400, "Namespaces are a Consul Enterprise feature"),
        ("GET", "/v1/kv/k?dc=other", 404, "No path to datacenter"),
        ("PUT", "/v1/session/destroy/nonsense", 400, "UUID must be 36 characters"),
        ("GET", "/v1/session/node/", 400, "Missing node name"),
        ("GET", "/v1/kv", 301, ""),
    ],
)
def test_mistakes_are_told_in_consuls_words(shared_agent, method, path, status, words):
    """Each mistake has the fitting 4xx and Consul's words."""
    reply = shared_agent.request(method, path, b"" if method == "PUT" else None)
    assert reply.status == status
    assert words in reply.text


def test_writing_the_same_again_moves_no_index(shared_agent):
    """An identical write answers true and changes nothing; other flags are a change."""
    shared_agent.put("/v1/kv/same?flags=7", b"x")
    before = shared_agent.get("/v1/kv/same")
    assert shared_agent.put("/v1/kv/same?flags=7", b"x").json is True
    assert shared_agent.get("/v1/kv/same").body == before.body
    assert shared_agent.put("/v1/kv/same", b"x").json is True
    assert shared_agent.get("/v1/kv/same").index > before.index


# ---- counting together ----


def test_no_increment_is_lost(agent):
    """Writers that count up one key with `cas` count exactly as often as they were told `true`."""
    agent.put("/v1/kv/count", b"0")
    counted = []

    def count():
        with agent.client() as client:
            left = 25
            while left:
                row = client.get("/v1/kv/count").json[0]
                number = int(base64.b64decode(row["Value"])) + 1
                path = f"/v1/kv/count?cas={row['ModifyIndex']}"
                if client.put(path, str(number).encode()).json:
                    counted.append(number)
                    left -= 1

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(counted) == list(range(1, 101))
    assert value_of(agent, "count") == "100"


def test_one_of_many_gets_the_lock(agent):
    """Many sessions ask for one lock at the same moment, again and again; each time exactly one gets it."""
    ids = [agent.put("/v1/session/create", {"LockDelay": "0s"}).json["ID"] for _ in range(8)]
    for _ in range(5):
        got = []
        barrier = threading.Barrier(len(ids))

        def ask(session, got=got, barrier=barrier):
            with agent.client() as client:
                barrier.wait(10)
                if client.put(f"/v1/kv/lock?acquire={session}", session.encode()).json:
                    got.append(session)

        threads = [threading.Thread(target=ask, args=(session,)) for session in ids]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        row = agent.get("/v1/kv/lock").json[0]
        assert got == [row["Session"]]
        assert agent.put(f"/v1/kv/lock?release={got[0]}").json is True


# ---- sessions ----


def test_a_dead_service_gives_up_its_lock_at_once(agent):
    """The check turns critical, and in the same transaction the lock is free; who waits for the key is told."""
    agent.register(Name="web", Check={"CheckID": "beat", "TTL": "1h", "Status": "passing"})
    body = {"NodeChecks": ["serfHealth"], "ServiceChecks": [{"ID": "beat"}], "Behavior": "delete"}
    session = agent.put("/v1/session/create", body).json["ID"]
    shown = agent.get(f"/v1/session/info/{session}").json[0]
    assert shown["ServiceChecks"] == [{"ID": "beat", "Namespace": ""}]
    assert agent.put(f"/v1/kv/leader?acquire={session}", b"web").json is True
    index = agent.get("/v1/kv/leader").index
    waiter = Waiter(agent, f"/v1/kv/leader?index={index}&wait=30s")
    agent.put("/v1/agent/check/fail/beat")
    reply = waiter.reply(3)
    assert reply.status == 404
    checks = agent.get("/v1/health/checks/web").json
    assert checks[0]["ModifyIndex"] == reply.index
    assert agent.get("/v1/session/list").json == []


def test_locks_and_sessions_survive_a_restart(kept_agent):
    """The holder still holds, the values and flags are the same bytes, and no index goes back."""
    session = kept_agent.put("/v1/session/create", {"TTL": "10s"}).json["ID"]
    kept_agent.put(f"/v1/kv/lock?acquire={session}&flags={2**64 - 1}", b"\x00\xff")
    kept_agent.put("/v1/kv/gone", b"x")
    kept_agent.delete("/v1/kv/gone")
    paths = ("/v1/kv/lock", "/v1/kv/?recurse", "/v1/session/list", "/v1/kv/?keys")
    before = {path: kept_agent.get(path) for path in paths}
    gone = kept_agent.get("/v1/kv/gone").index
    kept_agent.restart()
    for path, reply in before.items():
        after = kept_agent.get(path)
        assert after.body == reply.body, path
        assert after.index >= reply.index, path
    assert kept_agent.get("/v1/kv/gone").index >= gone
    assert kept_agent.put(f"/v1/session/renew/{session}").status == 200
    assert kept_agent.put(f"/v1/kv/lock?release={session}").json is True


def test_a_session_that_nobody_renews_ends(tmp_path):
    """After twice its TTL it is gone, and the key that it held is closed for its lock-delay."""
    with running_agent(tmp_path, config={"session_ttl_min": "200ms"}) as agent:
        session = agent.put("/v1/session/create", {"TTL": "300ms", "LockDelay": "20s"}).json["ID"]
        agent.put(f"/v1/kv/k?acquire={session}")
        for _ in range(4):
            waiter = Waiter(agent, f"/v1/session/info/{session}?index=1000000&wait=200ms")
            waiter.reply()
            assert agent.put(f"/v1/session/renew/{session}").status == 200
        eventually(lambda: agent.get(f"/v1/session/info/{session}").json == [], within_s=3)
        other = agent.put("/v1/session/create").json["ID"]
        assert agent.put(f"/v1/kv/k?acquire={other}").json is False
        assert agent.put(f"/v1/session/renew/{session}").text == f"Session id '{session}' not found"
        assert "was not renewed for 600ms, twice its TTL" in agent.log()


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({}, {"NodeChecks": ["serfHealth"], "ServiceChecks": None}),
        ({"Checks": []}, {"NodeChecks": []}),
        ({"Checks": ["serfHealth"]}, {"NodeChecks": ["serfHealth"]}),
        ({"NodeChecks": []}, {"NodeChecks": []}),
        ({"Checks": ["other"]}, {"NodeChecks": [], "Checks": ["other"]}),
        ({"lockdelay": "3s", "colour": "red"}, {"LockDelay": 3_000_000_000}),
        ({"LockDelay": 5000}, {"LockDelay": 5000}),
        ({"LockDelay": 999}, {"LockDelay": 999_000_000_000}),
        ({"LockDelay": 0}, {"LockDelay": 0}),
        ({"TTL": "0s"}, {"TTL": "0s"}),
    ],
)
def test_sessions_are_created_as_consul_does(shared_agent, body, shown):
    """Defaults, the old list of checks, and lock-delays in every form are shown as Consul shows them."""
    check = {"Name": "other", "TTL": "1h", "Status": "passing"}
    assert shared_agent.put("/v1/agent/check/register", check).status == 200
    session = shared_agent.put("/v1/session/create", body).json["ID"]
    (found,) = shared_agent.get(f"/v1/session/info/{session}").json
    assert found | shown == found
    assert ("Checks" in found) == ("Checks" in shown)


# ---- transactions ----


def test_a_transaction_of_vault_is_understood(shared_agent):
    """128 operations with `get-or-empty` are made, and 129 are too many."""
    operations = [{"KV": {"Verb": "get-or-empty", "Key": f"core/none-{number}"}} for number in range(128)]
    reply = shared_agent.put("/v1/txn", operations)
    assert reply.status == 200
    assert reply.json["Results"][0] == {
        "KV": {
            "LockIndex": 0,
            "Key": "core/none-0",
            "Flags": 0,
            "Value": None,
            "CreateIndex": 0,
            "ModifyIndex": 0,
        }
    }
    reply = shared_agent.put("/v1/txn", [*operations, operations[0]])
    assert (reply.status, reply.text) == (413, "Transaction contains too many operations (129 > 128)")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "Failed to parse body: EOF"),
        (b'"x"', 400, "Failed to parse body: json: cannot unmarshal string into Go value of type api.TxnOps"),
        (b'[{"Session":{}}]', 400, 'Failed to parse body: json: unknown field "Session"'),
        (b'[{"KV":{"Verb":"set","Key":"k","Foo":1}}]', 400, 'json: unknown field "Foo"'),
        (b'[{"KV":{"Verb":"set","Key":"k","Flags":-1}}]', 400, "of type uint64"),
        (
            b'[{"KV":{"Verb":"set","Key":"k","Value":5}}]',
            400,
            "Failed to parse body: json: cannot unmarshal number",
        ),
        (b'[{"KV":{"Verb":"set","Key":"k","Value":"YQ"}}]', 400, "illegal base64 data at input byte 2"),
        (b'[{"Node":{"Verb":"set","Node":{"Node":"x","ID":"1"}}}]', 400, "Bad node ID"),
    ],
)
def test_a_body_that_is_no_transaction_is_refused(shared_agent, body, status, words):
    """What Consul does not decode is a 400 in its words."""
    reply = shared_agent.put("/v1/txn", body)
    assert reply.status == status
    assert words in reply.text


def test_a_large_transaction_is_told_the_limit(shared_agent):
    """Body and value have limits of their own."""
    big = base64.b64encode(b"x" * 600_000).decode()
    reply = shared_agent.put("/v1/txn", json.dumps([{"KV": {"Verb": "set", "Key": "k", "Value": big}}]).encode())
    assert reply.status == 413
    assert "#txn_max_req_len" in reply.text


def test_a_transaction_is_one_index_for_all_who_wait(agent):
    """Two keys of one transaction wake their watchers at the same index, and neither is seen without the other."""
    first = Waiter(agent, "/v1/kv/t/1?index=1&wait=30s")
    second = Waiter(agent, "/v1/kv/t/?recurse&index=1&wait=30s")
    value = base64.b64encode(b"v").decode()
    operations = [{"KV": {"Verb": "set", "Key": f"t/{number}", "Value": value}} for number in (1, 2)]
    agent.put("/v1/txn", operations)
    assert first.reply().index == second.reply().index
    assert len(second.reply().json) == 2
