"""Webhooks over real sockets: receivers that fail in every way there is, and agents that are killed."""

import json
import os
import random
import re
import socket
import subprocess
import time

import pytest
from tests.agents import PROGRAM, Agent, eventually, running_agent
from tests.receiver import CLOSE, HANG, OK, SECRET, SLOW, receiving

QUICK = {
    "retry_first": "20ms",
    "retry_most": "100ms",
    "cursor": "50ms",
    "refusals_max": 3,
}
"""Settings with which failures pass quickly."""

SUBSCRIPTIONS = "/v1/regista/subscriptions"


@pytest.fixture
def agent(tmp_path):
    """An agent that keeps everything in memory, and is quick to try again."""
    with running_agent(tmp_path / "agent", config={"notify": QUICK}) as agent:
        yield agent


@pytest.fixture
def kept_agent(tmp_path):
    """The same with a data directory."""
    with running_agent(tmp_path / "agent", keeps_data=True, config={"notify": QUICK}) as agent:
        yield agent


def subscribe(agent, receiver, **fields):
    """The id of a new subscription."""
    url = receiver if isinstance(receiver, str) else receiver.url
    reply = agent.request("POST", SUBSCRIPTIONS, {"url": url, "secret": SECRET, "types": ["kv"], **fields})
    assert reply.status == 200, reply
    return reply.json["id"]


def put_keys(agent, first, last):
    for number in range(first, last + 1):
        assert agent.put(f"/v1/kv/k{number}", b"v").json is True


def keys(deliveries):
    return [each.event["data"].get("key") for each in deliveries]


def names(first, last):
    return [f"k{number}" for number in range(first, last + 1)]


def status(agent, subscription):
    return agent.get(f"{SUBSCRIPTIONS}/{subscription}").json["status"]


def check_deliveries(receiver):
    """Each was signed, and what came again was recognisable and the same."""
    bodies = {}
    for each in receiver.received:
        assert each.is_signed
        assert each.id == each.event["id"]
        assert bodies.setdefault(each.id, each.body) == each.body


def test_what_is_wanted_is_delivered_in_order_and_signed(agent: Agent):
    """A receiver gets the events of its filter, in order, in the CloudEvents form, with a signature that is right."""
    with receiving() as receiver:
        subscribe(agent, receiver, types=["service.*"], services=["WEB"], headers={"X-Team": "blue"})
        agent.register(Name="web", ID="web-1", Port=80, Check={"TTL": "60s", "CheckID": "alive"})
        agent.register(Name="api", ID="api-1")
        agent.put("/v1/kv/k", b"v")
        agent.put("/v1/agent/check/pass/alive")
        agent.put("/v1/agent/service/deregister/web-1")
        heard = receiver.wait_for_accepted(3)
    assert [each.type for each in heard] == [
        "service.registered",
        "service.health_changed",
        "service.deregistered",
    ]
    first = heard[0]
    assert first.headers["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    assert first.headers["X-Team"] == "blue"
    assert first.event["specversion"] == "1.0"
    assert first.event["subject"] == "web/n1/web-1"
    assert [each.attempt for each in heard] == [1, 1, 1]
    check_deliveries(receiver)


@pytest.mark.parametrize("seed", [1, 2, None])
def test_a_receiver_that_fails_in_every_way_loses_nothing(tmp_path, seed):
    """Killed, slow, hanging, answering 500, 429 or half: each event is accepted in the end, in order, recognisably."""
    seed = seed if seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    did = [OK] * 6 + [500, 503, 429, HANG, CLOSE, SLOW]
    with (
        running_agent(tmp_path, config={"notify": {**QUICK, "timeout": "300ms"}}) as agent,
        receiving(lambda _: rng.choice(did), answer_headers={"Retry-After": "0"}) as receiver,
    ):
        subscription = subscribe(agent, receiver)
        for turn in range(6):
            put_keys(agent, turn * 10 + 1, turn * 10 + 10)
            receiver.wait_for_accepted(turn * 10 + 3)
            receiver.stop()
            eventually(lambda: status(agent, subscription)["failing"])
            receiver.start()
        heard = receiver.wait_for_accepted(60, within_s=60)
        assert keys(heard) == names(1, 60)
        check_deliveries(receiver)
        assert {each.did for each in receiver.received} >= {OK, 500, HANG, CLOSE}, "too little failed"
        found = eventually(lambda: status(agent, subscription)["delivered"] == 60 and status(agent, subscription))
    assert (found["dead"], found["rereads"], found["behind_s"]) == (0, 0, 0.0)
    assert found["retried"] > 10


@pytest.mark.parametrize("seed", [1, None])
def test_a_killed_agent_goes_on_where_it_was(kept_agent: Agent, seed):
    """SIGKILL in the middle of deliveries: after a start nothing is missing, and what comes again has its old id."""
    seed = seed if seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    with receiving(lambda _: rng.choice([OK] * 9 + [500])) as receiver:
        subscribe(kept_agent, receiver)
        for turn in range(5):
            put_keys(kept_agent, turn * 40 + 1, turn * 40 + 40)
            receiver.wait_for_accepted(turn * 40 + rng.randrange(1, 40))
            kept_agent.kill()
            kept_agent.start()
        heard = receiver.wait_for_accepted(200, within_s=60)
        assert keys(heard) == names(1, 200)
        check_deliveries(receiver)


def test_a_stopped_agent_repeats_nothing(kept_agent: Agent):
    """SIGTERM: how far deliveries have come is written, so each event is delivered once."""
    with receiving() as receiver:
        subscribe(kept_agent, receiver)
        put_keys(kept_agent, 1, 30)
        receiver.wait_for_accepted(10)
        kept_agent.restart()
        put_keys(kept_agent, 31, 40)
        receiver.wait_for_accepted(40)
        assert keys(receiver.received) == names(1, 40)


def test_what_was_tried_in_vain_counts_after_a_restart(tmp_path):
    """The attempts of an event go on where they were, so a restart makes no receiver look new."""
    config = {"notify": {**QUICK, "retry_first": "10s", "retry_most": "10s"}}
    with receiving(lambda _: 500) as receiver, running_agent(tmp_path, keeps_data=True, config=config) as agent:
        subscription = subscribe(agent, receiver)
        put_keys(agent, 1, 1)
        receiver.wait_for(lambda _: receiver.received)
        eventually(lambda: status(agent, subscription)["next_attempt"])
        assert agent.terminate() < 5
        agent.start()
        receiver.wait_for(lambda _: len(receiver.received) == 2)
        assert [each.attempt for each in receiver.received] == [1, 2]


def test_a_dead_receiver_delays_no_other(tmp_path):
    """With one receiver that hangs and one that nobody listens at, a third waits for no timeout of theirs."""
    timeout_s = 10.0
    with (
        running_agent(tmp_path, config={"notify": {"timeout": f"{timeout_s:g}s"}}) as agent,
        socket.socket() as nobody,
        receiving(lambda _: HANG) as dead,
        receiving() as alive,
    ):
        nobody.bind(("127.0.0.1", 0))
        subscribe(agent, f"http://127.0.0.1:{nobody.getsockname()[1]}/")
        subscribe(agent, dead)
        subscribe(agent, alive)
        waits = []
        for number in range(1, 21):
            put_keys(agent, number, number)
            began_s = time.monotonic()
            alive.wait_for_accepted(number)
            waits.append(time.monotonic() - began_s)
        assert len(dead.received) == 1
    assert max(waits) < timeout_s / 2, waits
    assert keys(alive.accepted) == names(1, 20)


def test_ten_thousand_events(agent: Agent):
    """They all come, each once, in order."""
    with receiving() as receiver:
        subscription = subscribe(agent, receiver)
        began_s = time.monotonic()
        for first in range(0, 10_000, 50):
            operations = [
                {"KV": {"Verb": "set", "Key": f"k{number}", "Value": ""}} for number in range(first, first + 50)
            ]
            assert agent.put("/v1/txn", operations).status == 200
        written_s = time.monotonic() - began_s
        heard = receiver.wait_for_accepted(10_000, within_s=90)
        took_s = time.monotonic() - began_s
        print(f"written in {written_s:.1f} s, delivered in {took_s:.1f} s")  # noqa: T201 - a figure
        assert keys(heard) == names(0, 9_999)
        assert len(receiver.received) == 10_000
        eventually(lambda: status(agent, subscription)["behind_s"] == 0.0)


def test_a_receiver_that_is_gone_disables_its_subscription(agent: Agent):
    """After 410 nothing is sent; once it is enabled, it goes on with the same event."""
    answers = iter([410])
    with receiving(lambda _: next(answers, OK)) as receiver:
        subscription = subscribe(agent, receiver)
        put_keys(agent, 1, 3)
        path = f"{SUBSCRIPTIONS}/{subscription}"
        found = eventually(lambda: not agent.get(path).json["enabled"] and agent.get(path).json)
        assert "410" in found["disabled_because"]
        assert len(receiver.received) == 1
        shown = status(agent, subscription)
        assert (shown["failing"], shown["behind_s"]) == (True, 0.0), "it is not late, it is off"
        assert agent.put(path, {**found, "enabled": True}).json["disabled_because"] is None
        assert keys(receiver.wait_for_accepted(3)) == names(1, 3)
        check_deliveries(receiver)


def test_one_that_somebody_disabled_neither_fails_nor_lags(kept_agent: Agent):
    """Nobody is to be called for it; and one that its receiver left looks the same before a restart and after it."""
    with receiving(lambda _: 500) as failing, receiving(lambda _: 410) as gone:
        off, left = subscribe(kept_agent, failing), subscribe(kept_agent, gone)
        put_keys(kept_agent, 1, 1)
        eventually(lambda: status(kept_agent, off)["failing"] and status(kept_agent, left)["failing"])
        path = f"{SUBSCRIPTIONS}/{off}"
        kept_agent.put(path, {**kept_agent.get(path).json, "enabled": False})

        def looks():
            return [
                (each["failing"], each["behind_s"]) for each in (status(kept_agent, off), status(kept_agent, left))
            ]

        assert looks() == [(False, 0.0), (True, 0.0)]
        assert kept_agent.terminate() < 5
        kept_agent.start()
        assert looks() == [(False, 0.0), (True, 0.0)]


def test_retry_after_is_respected(agent: Agent):
    """A receiver that asks for a second is left alone for a second."""
    answers = iter([429, 503])
    with receiving(lambda _: next(answers, OK), answer_headers={"Retry-After": "1"}) as receiver:
        subscribe(agent, receiver)
        began_s = time.monotonic()
        put_keys(agent, 1, 1)
        receiver.wait_for_accepted(1)
        assert time.monotonic() - began_s > 1.9


def test_dead_letters(agent: Agent):
    """What a receiver refuses is kept, the next goes on; it can be listed, sent again with its id, and deleted."""
    is_broken = True
    with receiving(lambda each: 400 if is_broken and "k2" in str(each.body) else OK) as receiver:
        subscription = subscribe(agent, receiver)
        path = f"{SUBSCRIPTIONS}/{subscription}"
        put_keys(agent, 1, 3)
        assert keys(receiver.wait_for_accepted(2)) == ["k1", "k3"]
        (letter,) = agent.get(f"{path}/dead-letters").json
        assert (letter["type"], letter["attempts"]) == ("kv.created", 3)
        assert letter["error"] == "it answered 400 (Bad Request)"
        again = agent.request("POST", f"{path}/replay").json
        assert again == {"delivered": 0, "left": 1, "error": "it answered 400 (Bad Request)"}
        assert agent.get(f"{path}/dead-letters").json[0]["attempts"] == 4
        is_broken = False
        assert agent.request("POST", f"{path}/replay?event={letter['event']}").json["delivered"] == 1
        last = receiver.received[-1]
        assert (last.id, last.body.decode(), last.attempt) == (letter["event"], letter["body"], 5)
        assert agent.get(f"{path}/dead-letters").json == []
        assert agent.request("POST", f"{path}/replay?event=9.9").status == 404
        check_deliveries(receiver)
        is_broken = True
        agent.put("/v1/kv/k2", b"2")
        eventually(lambda: agent.get(f"{path}/dead-letters").json)
        assert agent.delete(f"{path}/dead-letters").json == {"deleted": 1}
        assert agent.get(f"{path}/dead-letters").json == []


def test_dead_letters_are_bounded(tmp_path):
    """The oldest are dropped first, and counted."""
    config = {"notify": {**QUICK, "dead_letters_max": 3, "refusals_max": 1}}
    with receiving(lambda _: 422) as receiver, running_agent(tmp_path, config=config) as agent:
        subscription = subscribe(agent, receiver)
        put_keys(agent, 1, 8)
        eventually(lambda: status(agent, subscription)["dead"] == 8)
        letters = agent.get(f"{SUBSCRIPTIONS}/{subscription}/dead-letters").json
        assert [json.loads(each["body"])["data"]["key"] for each in letters] == names(6, 8)
        assert status(agent, subscription)["dead_letters_dropped"] == 5


def test_a_new_secret_is_signed_with_beside_the_old_one(agent: Agent):
    """While a secret is rotated, receivers that know either accept deliveries."""
    with receiving() as receiver:
        subscription = subscribe(agent, receiver)
        path = f"{SUBSCRIPTIONS}/{subscription}"
        found = agent.get(path).json
        assert agent.put(path, {**found, "secret": "another secret of many characters"}).status == 200
        put_keys(agent, 1, 1)
        (first,) = receiver.wait_for_accepted(1)
        receiver.secret = "another secret of many characters"
        put_keys(agent, 2, 2)
        _, second = receiver.wait_for_accepted(2)
    assert (first.signatures, first.is_signed, second.is_signed) == (2, True, True)


def test_a_gap_is_told(tmp_path):
    """A receiver that was away for longer than the log is told to read anew, and goes on from there."""
    config = {
        "store": {"log_retention": "0s", "log_bytes_min": 65536},
        "streams": {"batches_max": 16},
        "notify": QUICK,
    }
    with receiving(lambda _: 500) as receiver, running_agent(tmp_path, config=config) as agent:
        subscription = subscribe(agent, receiver)
        path = f"{SUBSCRIPTIONS}/{subscription}"
        assert agent.put(path, {**agent.get(path).json, "enabled": False}).status == 200
        for number in range(400):
            agent.put(f"/v1/kv/k{number}", b"x" * 2000)
        receiver.decide = lambda _: OK
        assert agent.put(path, {**agent.get(path).json, "enabled": True}).status == 200
        receiver.wait_for(lambda _: receiver.accepted and receiver.accepted[-1].type == "regista.reread")
        gap = receiver.accepted[-1]
        assert gap.event["data"]["after"] < gap.event["data"]["index"]
        agent.put("/v1/kv/after", b"")
        receiver.wait_for(lambda _: keys(receiver.accepted[-1:]) == ["after"])
        check_deliveries(receiver)
        assert status(agent, subscription)["rereads"] == 1


def test_a_subscription_may_begin_in_the_past(agent: Agent):
    """From an index on, what is still in the log is delivered."""
    put_keys(agent, 1, 2)
    index = agent.get("/v1/kv/k2").index
    put_keys(agent, 3, 4)
    with receiving() as receiver:
        subscribe(agent, receiver, after_index=index)
        assert keys(receiver.wait_for_accepted(2)) == names(3, 4)
        reply = agent.request("POST", SUBSCRIPTIONS, {"url": receiver.url, "secret": SECRET, "after_index": 10**9})
        assert (reply.status, reply.headers["x-regista-field"]) == (400, "after_index")


def test_a_test_event(agent: Agent):
    """It is sent at once, and the answer says what came of it."""
    with receiving() as receiver:
        subscription = subscribe(agent, receiver)
        path = f"{SUBSCRIPTIONS}/{subscription}/test"
        found = agent.request("POST", path).json
        assert (found["delivered"], found["status"], found["error"]) == (True, 200, None)
        (heard,) = receiver.received
        assert (heard.type, heard.id, heard.is_signed) == ("regista.test", found["id"], True)
        receiver.decide = lambda _: 302
        receiver.answer_headers = {"Location": f"{receiver.url}?elsewhere"}
        found = agent.request("POST", path).json
        assert (found["delivered"], found["status"]) == (False, 302)
        assert "redirects are not followed" in found["error"]
        assert len(receiver.received) == 2
    # The first one may find the connection that was kept open since the last, and see it close.
    eventually(lambda: "(connection refused)" in agent.request("POST", path).json["error"])
    found = agent.request("POST", path).json
    assert (found["status"], found["error"]) == (None, "it can't be reached (connection refused)")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.1.2.3", "192.168.0.1"]
)
def test_private_addresses_can_be_forbidden(tmp_path, host):
    """An address is refused when it is written, a name when it is resolved; nothing is sent."""
    config = {"notify": {**QUICK, "allow_private": False}}
    with receiving() as receiver, running_agent(tmp_path, config=config) as agent:
        body = {"url": f"http://{host}:{receiver.port}/hook", "secret": SECRET}
        reply = agent.request("POST", SUBSCRIPTIONS, body)
        if host == "localhost":
            error = agent.request("POST", f"{SUBSCRIPTIONS}/{reply.json['id']}/test").json["error"]
            assert "not a public address, and notify.allow_private is false" in error
        else:
            assert (reply.status, reply.headers["x-regista-field"]) == (400, "url")
            assert "notify.allow_private" in reply.text
        assert receiver.received == []


def test_networks_can_be_denied(tmp_path):
    """What is in one of them is refused, by name too; a list that is none ends the start with its name."""
    config = {"notify": {"deny": ["127.0.0.0/8", "::1/128"]}}
    with receiving() as receiver, running_agent(tmp_path / "one", config=config) as agent:
        subscription = subscribe(agent, f"http://localhost:{receiver.port}/hook")
        assert "notify.deny" in agent.request("POST", f"{SUBSCRIPTIONS}/{subscription}/test").json["error"]
        assert receiver.received == []
    code, said = Agent(tmp_path / "two", config={"notify": {"deny": ["everything"]}}).fails_to_start()
    assert code != 0
    assert 'notify.deny: "everything" is no network' in said


def test_secrets_are_shown_nowhere(kept_agent: Agent):
    """Not in answers, the log, the history, metrics or errors: neither secrets, nor headers, nor a URL's password."""
    agent = kept_agent
    hidden = [
        "s3cr3t-of-the-subscription",
        "another-s3cr3t-of-it",
        "s3cr3t-bearer",
        "s3cr3t-password",
        "s3cr3t-query",
    ]
    with receiving(lambda _: 500, secret=hidden[1]) as receiver:
        url = f"http://user:{hidden[3]}@127.0.0.1:{receiver.port}/hook?token={hidden[4]}"
        fields = {"headers": {"X-Key": hidden[2]}, "secret": hidden[0]}
        replies = [agent.request("POST", SUBSCRIPTIONS, {"url": url, **fields, "types": ["kv"]})]
        path = f"{SUBSCRIPTIONS}/{replies[0].json['id']}"
        replies.append(agent.put(path, {**replies[0].json, "secret": hidden[1], "name": "renamed"}))
        replies.append(agent.put(path, {**replies[0].json, "url": "http://10.0.0.1/"}))
        assert replies[-1].status == 400, "secret headers must not follow a URL that leads elsewhere"
        replies.append(agent.request("POST", SUBSCRIPTIONS, {"url": f"{url}#x", **fields}))
        replies.append(
            agent.request("POST", SUBSCRIPTIONS, {"url": url, "headers": {"x\n": hidden[2]}, "secret": hidden[0]})
        )
        replies.append(agent.request("POST", SUBSCRIPTIONS, {"url": url, **fields, hidden[0][:5]: 1}))
        put_keys(agent, 1, 1)
        receiver.wait_for(lambda _: len(receiver.received) >= 3)
        assert receiver.received[0].headers["X-Key"] == hidden[2]
        assert receiver.received[0].headers["Authorization"].startswith("Basic ")
        receiver.wait_for(lambda _: receiver.received[-1].is_signed)
        replies.append(agent.request("POST", f"{path}/test"))
        receiver.decide = lambda _: 400
        eventually(lambda: agent.get(f"{path}/dead-letters").json)
        replies += [
            agent.get(each)
            for each in (
                SUBSCRIPTIONS,
                path,
                f"{path}/dead-letters",
                "/v1/regista/history",
                "/v1/regista/history?kind=subscription",
                "/v1/agent/metrics?format=prometheus",
                "/v1/agent/self",
                f"/v1/regista/events/../../regista/explain/instance/{path}",
            )
        ]
        agent.restart()
        replies += [agent.delete(path), agent.get("/v1/regista/history?kind=subscription")]
    assert [each.status for each in replies].count(200) >= 10
    assert "deleted" in replies[-1].text
    told = "\n".join([each.text + str(each.headers) for each in replies] + [agent.log()])
    assert [each for each in hidden if each in told] == []
    assert "***@127.0.0.1" in told


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": "http://example.com:99999/"}, "url"),
        ({"url": "http://exa mple.com/"}, "url"),
        ({"url": "http://example.com/\\x"}, "url"),
        ({"url": "http://2130706433/"}, "url"),
        ({"url": "http://169.254.169.254/latest"}, "url"),
        ({"url": "http://example.com/" + "x" * 3000}, "url"),
        ({"url": None}, "url"),
        ({"secret": "short"}, "secret"),
        ({"secret": "set"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"types": ["nonsense"]}, "types"),
        ({"types": "kv"}, "types"),
        ({"services": ["x"] * 65}, "services"),
        ({"tags": [""]}, "tags"),
        ({"nodes": [1]}, "nodes[0]"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"headers": {"X-Regista-Signature": "x"}}, "headers"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "headers"),
        ({"headers": {"X-A": "a\r\nb"}}, "headers"),
        ({"headers": {"X-A": ""}}, "headers"),
        ({"url": "http://u:p@example.com/", "headers": {"Authorization": "x"}}, "headers"),
        ({"name": "x" * 200}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"key_prefix": "x" * 600}, "key_prefix"),
        ({"after_index": -1}, "after_index"),
        ({"enabled": "yes"}, "enabled"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_a_bad_subscription_is_told_by_its_field(shared_agent: Agent, fields, field):
    """400 names the field, and nothing is kept."""
    body = {"url": "http://example.com/", "secret": SECRET, **fields}
    reply = shared_agent.request("POST", SUBSCRIPTIONS, body)
    assert reply.status == 400, reply
    assert reply.headers["x-regista-field"] == field
    assert shared_agent.get(SUBSCRIPTIONS).json == []


def test_what_is_not_there(shared_agent: Agent):
    """404 for a subscription or a path below one that there is not; 405 where there is another method."""
    for method, path in (
        ("GET", "x"),
        ("PUT", "x"),
        ("DELETE", "x"),
        ("POST", "x/test"),
        ("POST", "x/replay"),
        ("POST", "x"),
        ("GET", "x/nothing"),
        ("DELETE", "x/nothing"),
    ):
        body = {"url": "http://example.com/"} if method == "PUT" else None
        reply = shared_agent.request(method, f"{SUBSCRIPTIONS}/{path}", body)
        assert reply.status == 404, (method, path)
    shown = reply.text.rpartition("see ")[2].strip()
    assert shared_agent.get(shown).status == 200, "the error names where the paths are described"
    assert shared_agent.delete(SUBSCRIPTIONS).status == 405


def test_a_subscription_too_many_is_refused(tmp_path):
    """429 names the limit."""
    with running_agent(tmp_path, config={"notify": {"subscriptions_max": 1}}) as agent:
        subscription = subscribe(agent, "http://example.com/")
        reply = agent.request("POST", SUBSCRIPTIONS, {"url": "http://example.com/", "secret": SECRET})
        assert (reply.status, reply.headers["x-regista-limit"]) == (429, "notify.subscriptions_max")
        assert agent.delete(f"{SUBSCRIPTIONS}/{subscription}").status == 200
        subscribe(agent, "http://example.com/")


def test_a_changed_url_is_tried_at_once(tmp_path):
    """Whoever mends a subscription does not wait for the next attempt."""
    config = {"notify": {**QUICK, "retry_first": "1h", "retry_most": "1h"}}
    with receiving() as receiver, running_agent(tmp_path, config=config) as agent:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            subscription = subscribe(agent, f"http://127.0.0.1:{nobody.getsockname()[1]}/")
            put_keys(agent, 1, 1)
            path = f"{SUBSCRIPTIONS}/{subscription}"
            eventually(lambda: status(agent, subscription)["next_attempt"])
        assert agent.put(path, {**agent.get(path).json, "url": receiver.url}).status == 200
        receiver.wait_for_accepted(1, within_s=5)


def test_a_snapshot_keeps_subscriptions(tmp_path):
    """Restored into another registry, a subscription goes on, and its receiver is told that there is a gap."""
    with receiving() as receiver:
        with running_agent(tmp_path / "one", config={"notify": QUICK}) as agent:
            subscription = subscribe(agent, receiver)
            put_keys(agent, 1, 20)
            receiver.wait_for_accepted(20)
            eventually(
                lambda: any(
                    each["kind"] == "delivery" for each in agent.get("/v1/regista/history").json["changes"]
                )
            )
            snapshot = agent.get("/v1/snapshot").body
        check_deliveries(receiver)
        with running_agent(tmp_path / "two", config={"notify": QUICK}) as agent:
            assert agent.put("/v1/snapshot", snapshot).status == 200
            receiver.wait_for(lambda _: receiver.accepted[-1].type == "regista.reread")
            agent.put("/v1/kv/after", b"")
            receiver.wait_for(lambda _: keys(receiver.accepted[-1:]) == ["after"])
            assert agent.get(f"{SUBSCRIPTIONS}/{subscription}").json["secret"] == "set"
        assert all(each.is_signed for each in receiver.received)


def test_metrics(agent: Agent):
    """Delivered, retried and lag are counted for each subscription."""
    answers = iter([500])
    with receiving(lambda _: next(answers, OK)) as receiver:
        subscription = subscribe(agent, receiver, name="deploys")
        put_keys(agent, 1, 3)
        receiver.wait_for_accepted(3)
        eventually(lambda: status(agent, subscription)["behind_s"] == 0.0)
        text = agent.get("/v1/agent/metrics?format=prometheus").text
    labels = f'{{subscription="{subscription}",name="deploys"}}'
    assert f"regista_webhook_delivered_total{labels} 3" in text
    assert f"regista_webhook_retried_total{labels} 1" in text
    assert f"regista_webhook_lag_seconds{labels} 0" in text
    assert "\nregista_webhooks 1" in text


@pytest.fixture
def regista(agent):
    """Runs `regista subscriptions`; what it printed."""

    def run(*words, code=0):
        environ = {**os.environ, "REGISTA_HTTP_ADDR": agent.http}
        done = subprocess.run(
            [PROGRAM, "subscriptions", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environ,
        )
        assert done.returncode == code, done
        return done.stdout + done.stderr

    return run


def test_the_commands(regista, agent, tmp_path):
    """Subscriptions are made, tried, listed, changed, mended and deleted from the command line."""
    with receiving() as receiver:
        said = regista("create", receiver.url, "--name", "deploys", "--type", "kv", "--header", "X-Team=blue")
        subscription, receiver.secret = re.fullmatch(
            r"(\S+)\nThe secret, which is shown only now: (\S+)\n", said
        ).groups()
        assert regista("test", subscription).startswith("Delivered test.")
        assert receiver.received[-1].is_signed
        put_keys(agent, 1, 1)
        assert receiver.wait_for_accepted(2)[1].headers["X-Team"] == "blue"
        line = next(line for line in regista("list").splitlines() if subscription in line)
        assert re.search(r"deploys +http://127\.0\.0\.1:\d+/hook +delivering +\d+s +0$", line)
        secret = tmp_path / "secret"
        secret.write_text("a new secret of many characters\n")
        regista("update", subscription, "--secret-file", str(secret), "--service", "web", "--disable")
        shown = regista("show", subscription)
        assert re.search(r"^services +web$", shown, re.MULTILINE)
        assert "a new secret" not in shown
        assert "disabled" in regista("list")
        regista("update", subscription, "--enable", "--type", "kv", "--url", receiver.url, code=0)
        found = json.loads(regista("show", subscription, "--json"))
        assert (found["types"], found["services"], found["enabled"]) == (["kv"], ["web"], True)
        other = regista("create", receiver.url, "--secret-file", str(secret), "--type", "kv", "--json")
        other = json.loads(other)["id"]
        receiver.decide = lambda _: 400
        regista("test", other, code=2)
        put_keys(agent, 2, 2)
        eventually(lambda: status(agent, other)["dead_letters"] == 1)
        assert "it answered 400" in regista("dead-letters", other)
        assert regista("replay", other, code=2).startswith("Delivered 0, left 1.")
        receiver.decide = lambda _: OK
        assert regista("replay", other) == "Delivered 1, left 0.\n"
        assert regista("dead-letters", other, "--delete") == "Deleted dead letters: 0\n"
        for each in (subscription, other):
            assert regista("delete", each) == f"Deleted subscription: {each}\n"
        assert regista("list") == "There are no subscriptions.\n"


def test_slow_is_not_failing(agent: Agent):
    """A receiver that takes its time gets each event once."""
    with receiving(lambda _: SLOW) as receiver:
        subscribe(agent, receiver)
        put_keys(agent, 1, 10)
        receiver.wait_for_accepted(10)
        assert keys(receiver.received) == names(1, 10)
