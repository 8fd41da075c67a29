"""Alerts of a real agent: told by webhook, through Apprise, over restarts; and what is refused and struck out."""

import asyncio
import json
import signal
import socket
import threading

import pytest
from tests.agents import Agent, eventually, running_agent
from tests.alert_mailbox import json_mailbox, mail_server
from tests.ports import free_port
from tests.receiver import SECRET, receiving
from tests.sse import Listener, take

from regista.model import BadInput
from regista.notify import AppriseSender

ALERTS = "/v1/regista/alerts"
QUICK = {"interval": "50ms", "group_wait": "200ms", "group_interval": "300ms", "resend": "1s"}
CONFIG = {"alerts": QUICK, "notify": {"retry_first": "50ms"}}


@pytest.fixture
def quick(tmp_path):
    """An agent with a data directory that looks and tells quickly."""
    with running_agent(tmp_path / "agent", keeps_data=True, config=CONFIG) as agent:
        yield agent


def put(agent, path, fields):
    reply = agent.put(f"{ALERTS}/{path}", fields)
    assert reply.status == 200, reply
    return reply.json


def critical_rule(agent, **fields):
    return put(agent, "rules/checks", {"kind": "check_critical_for", "for": "200ms", **fields})


def register(agent, number, *, status="critical"):
    check = {"CheckID": f"c{number}", "TTL": "600s", "Status": status}
    agent.register(Name="web", ID=f"web-{number}", Check=check)


def alerts(agent, query=""):
    return agent.get(f"{ALERTS}{query}").json["alerts"]


def firing(agent):
    return [each for each in alerts(agent) if each["state"] == "firing"]


def test_an_alert_is_told_signed_and_its_end_too(quick: Agent):
    """A webhook channel gets one signed message for what fires, and one for its end; the events say the same."""
    with (
        receiving() as receiver,
        Listener(f"/v1/regista/events?after={quick.index()}&type=alert").open(quick) as events,
    ):
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        critical_rule(quick, channels=["ops"], annotations={"summary": "{instance} says {output}"})
        register(quick, 1)
        (first,) = receiver.wait_for_accepted(1)
        assert first.is_signed
        assert first.type == first.event["type"] == "regista.alerts"
        (told,) = first.event["data"]["firing"]
        assert (told["rule"], told["labels"]["instance"], told["state"]) == ("checks", "web-1", "firing")
        assert told["annotations"]["summary"].startswith("web-1 says")
        quick.put("/v1/agent/check/pass/c1")
        _, second = receiver.wait_for_accepted(2)
        assert [each["id"] for each in second.event["data"]["resolved"]] == [told["id"]]
        heard = take(events, 2)
        assert [each.type for each in heard] == ["alert.firing", "alert.resolved"]
        assert {each.data["data"]["id"] for each in heard} == {told["id"]}
    assert alerts(quick) == []
    (ended,) = alerts(quick, "?history")
    assert (ended["id"], ended["state"], ended["resolved_because"]) == (told["id"], "resolved", "it holds no more")


def test_a_receiver_that_was_away_is_told_after_the_agent_was_killed(quick: Agent):
    """Fired before a power cut, ended and told after it: one firing, one end, under the same id."""
    with receiving(lambda _: 500) as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        critical_rule(quick, channels=["ops"])
        register(quick, 1)
        receiver.wait_for(lambda found: len(found.received) >= 2)
        assert len({each.id for each in receiver.received}) == 1, "a message keeps its id from attempt to attempt"
        (before,) = firing(quick)
        quick.kill()
        receiver.decide = lambda _: 200
        quick.start()
        (first,) = receiver.wait_for_accepted(1)
        assert [each["id"] for each in first.event["data"]["firing"]] == [before["id"]]
        quick.kill()
        quick.start()
        quick.put("/v1/agent/check/pass/c1")
        messages = receiver.wait_for_accepted(2)
    assert [len(each.event["data"]["resolved"]) for each in messages] == [0, 1]
    history = quick.get("/v1/regista/history?kind=alert&limit=100").json["changes"]
    assert [each["change"] for each in history] == ["created", "changed"]


def test_many_at_once_are_one_message(quick: Agent):
    """A hundred instances that fail together are told in one message with the list."""
    with receiving() as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        critical_rule(quick, channels=["ops"], group_by=["node"], **{"for": "1s"})
        for number in range(100):
            register(quick, number, status="passing")
        for number in range(100):
            quick.put(f"/v1/agent/check/fail/c{number}")
        receiver.wait_for(lambda found: sum(len(each.event["data"]["firing"]) for each in found.accepted) >= 100)
        sizes = [len(each.event["data"]["firing"]) for each in receiver.accepted]
    # How quickly a hundred requests are made is not ours to say; that they are not a message each is.
    assert len(sizes) <= 3
    assert sizes[-1] == 100


def test_a_silence_holds_back_messages_and_shows(quick: Agent):
    """A silenced alert is listed with its silence and not sent; after the silence was deleted, it is."""
    with receiving() as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        critical_rule(quick, channels=["ops"])
        silence = quick.request(
            "POST", f"{ALERTS}/silences", {"matchers": ["instance=~web-.*"], "duration": "1h", "author": "me"}
        ).json
        assert silence["state"] == "active"
        register(quick, 1)
        (found,) = eventually(lambda: firing(quick))
        assert found["silenced_by"] == [silence["id"]]
        register(quick, 2, status="passing")
        put(
            quick,
            "rules/other",
            {"kind": "service_healthy_below", "service": "db", "healthy_min": 1, "channels": ["ops"]},
        )
        (first,) = receiver.wait_for_accepted(1)
        assert [each["rule"] for each in first.event["data"]["firing"]] == ["other"]
        assert quick.delete(f"{ALERTS}/silences/{silence['id']}").status == 200
        _, second = receiver.wait_for_accepted(2)
        assert [each["rule"] for each in second.event["data"]["firing"]] == ["checks"]


def test_apprise_sends_to_a_service_and_by_mail(quick: Agent):
    """Two of Apprise's services, each with a real receiver: JSON over HTTP, and mail."""
    port = free_port()
    with json_mailbox() as box, mail_server(port) as mails:
        put(quick, "channels/chat", {"kind": "apprise", "url": f"json://user:hidden@127.0.0.1:{box.port}/room"})
        mail_url = f"mailto://127.0.0.1:{port}/?from=regista@example.com&to=ops@example.com"
        put(quick, "channels/mail", {"kind": "apprise", "url": mail_url})
        critical_rule(quick, channels=["chat", "mail"])
        register(quick, 1)
        said = box.next()
        assert said["title"] == "[FIRING:1] checks"
        assert "instance web-1 of service web on n1 is critical" in said["message"]
        assert f"http://{quick.http}{ALERTS}" in said["message"]
        recipients, mail = mails.next()
        assert recipients == ["ops@example.com"]
        assert "[FIRING:1] checks" in mail
        quick.put("/v1/agent/check/pass/c1")
        assert box.next()["title"] == "[RESOLVED:1] checks"
    assert "hidden" not in quick.log()


def test_a_channel_can_be_tried(quick: Agent):
    """`/test` says what came of a message, and nothing of it stays."""
    with receiving() as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        tried = quick.request("POST", f"{ALERTS}/channels/ops/test").json
        assert tried == {"sent": True, "problem": ""}
        (first,) = receiver.accepted
        assert first.event["data"]["firing"][0]["rule"] == "regista-test"
    tried = quick.request("POST", f"{ALERTS}/channels/ops/test").json
    assert tried == {"sent": False, "problem": "it can't be reached (connection refused)"}
    assert alerts(quick, "?history") == []


def test_the_rules_of_the_house(tmp_path):
    """They are there without being written; writing one anew changes it, and deleting it brings the old one back."""
    with running_agent(tmp_path / "agent", keeps_data=True, config=CONFIG) as agent:
        names = {each["name"]: each for each in agent.get(f"{ALERTS}/rules").json}
        assert {each["origin"] for each in names.values()} == {"house"}
        assert agent.delete(f"{ALERTS}/rules/regista-store").status == 400
        put(agent, "rules/regista-store", {"kind": "store_unreachable", "enabled": False})
        assert agent.get(f"{ALERTS}/rules/regista-store").json["enabled"] is False
        assert agent.delete(f"{ALERTS}/rules/regista-store").status == 200
        assert agent.get(f"{ALERTS}/rules/regista-store").json["origin"] == "house"


SECRETS = ("hidden-word", "T0KEN", "0123456789abcdef-secret")


def test_no_secret_is_ever_shown(quick: Agent):
    """Neither lists, nor history, nor events, nor errors, nor the log have what a channel keeps secret."""
    channels = {
        "a": {"kind": "apprise", "url": "json://me:hidden-word@127.0.0.1:9/T0KEN"},
        "w": {"kind": "webhook", "url": "http://me:hidden-word@127.0.0.1:9/T0KEN?x=T0KEN", "secret": SECRETS[2]},
        "m": {"kind": "alertmanager", "url": "http://127.0.0.1:9", "token": "T0KEN"},
    }
    seen = [json.dumps(put(quick, f"channels/{name}", fields)) for name, fields in channels.items()]
    critical_rule(quick, channels=["a", "w", "m"])
    register(quick, 1)
    states = eventually(
        lambda: (
            [each for each in quick.get(f"{ALERTS}/channels").json if each["failed"]]
            if all(each["failed"] for each in quick.get(f"{ALERTS}/channels").json)
            else None
        ),
        within_s=20,
    )
    assert all(each["problem"] for each in states)
    for name, fields in channels.items():
        bad = {**fields, "url": fields["url"].replace("127.0.0.1:9", "169.254.169.254")}
        seen.append(quick.put(f"{ALERTS}/channels/{name}", bad).text)
        seen.append(quick.put(f"{ALERTS}/channels/{name}", {**fields, "kind": 1}).text)
    seen += [quick.get(path).text for path in (f"{ALERTS}/channels", "/v1/regista/history?limit=1000", ALERTS)]
    seen.append(quick.get("/v1/agent/metrics?format=prometheus").text)
    seen.append(quick.log())
    for text in seen:
        for secret in SECRETS:
            assert secret not in text, text


def test_a_channel_is_edited_without_its_secrets(quick: Agent):
    """What was shown can be sent back: secrets stay as they were, and a new one takes their place."""
    with receiving() as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        shown = quick.get(f"{ALERTS}/channels/ops").json
        put(quick, "channels/ops", {**shown, "tells_resolved": False})
        assert quick.request("POST", f"{ALERTS}/channels/ops/test").json["sent"]
        assert receiver.accepted[0].is_signed
    reply = quick.put(f"{ALERTS}/channels/new", shown)
    assert (reply.status, reply.headers["x-regista-field"]) == (400, "url")


@pytest.mark.parametrize(
    ("path", "fields", "field"),
    [
        ("rules/r", {"kind": "weather"}, "kind"),
        ("rules/r", {"kind": "flapping", "colour": "red"}, "colour"),
        ("rules/r", {"service": "web"}, "kind"),
        ("rules/r", {"kind": "check_critical_for", "for": "soon"}, "for"),
        ("rules/r", {"kind": "check_critical_for", "for": "-1s"}, "for"),
        ("rules/r", {"kind": "flapping", "annotations": {"summary": "{outpt}"}}, "annotations.summary"),
        ("rules/r", {"kind": "flapping", "annotations": {"summary": "{0.__class__}"}}, "annotations.summary"),
        ("rules/r", {"kind": "flapping", "channels": ["nobody"]}, "channels"),
        ("rules/a%20b", {"kind": "flapping"}, "name"),
        ("rules/r", {"kind": "certificate_expires_within", "file": "/none", "within": "24h"}, "file"),
        ("rules/r", {"kind": "certificate_expires_within", "file": "x.pem", "within": "24h"}, "file"),
        ("channels/c", {"kind": "pigeon", "url": "http://x"}, "kind"),
        ("channels/c", {"kind": "webhook", "url": "ftp://x"}, "url"),
        ("channels/c", {"kind": "webhook", "url": "http://169.254.169.254/"}, "url"),
        ("channels/c", {"kind": "webhook", "url": "http://x", "secret": "short"}, "secret"),
        ("channels/c", {"kind": "alertmanager", "url": "http://x", "secret": SECRET}, "secret"),
        ("channels/c", {"kind": "apprise", "url": "nothing://x"}, "url"),
        ("channels/c", {"kind": "apprise", "url": "syslog://"}, "url"),
        ("channels/c", {"kind": "apprise", "url": "json://169.254.169.254/x"}, "url"),
        ("silences/s", {"matchers": [], "duration": "1h"}, "matchers"),
        ("silences/s", {"matchers": ["a=~("], "duration": "1h"}, "matchers"),
        ("silences/s", {"matchers": ["a=b"]}, "ends"),
        ("silences/s", {"matchers": ["a=b"], "ends": "tomorrow"}, "ends"),
        ("silences/s", {"matchers": ["a=b"], "ends": "2020-01-01T00:00:00Z"}, "ends"),
    ],
)
def test_what_can_not_be_used_is_refused_by_its_field(shared_agent, path, fields, field):
    """400, with the field's name in the text and in a header."""
    reply = shared_agent.put(f"{ALERTS}/{path}", fields)
    assert reply.status == 400, reply
    assert reply.headers["x-regista-field"] == field
    assert field in reply.text


def test_addresses_that_are_not_public_can_be_forbidden(tmp_path):
    """With `notify.allow_private` false, neither a webhook nor Apprise may be pointed at this machine."""
    config = {**CONFIG, "notify": {"allow_private": False}}
    with running_agent(tmp_path / "agent", config=config) as agent:
        for fields in (
            {"kind": "webhook", "url": "http://127.0.0.1/x"},
            {"kind": "alertmanager", "url": "http://[::1]:9093"},
            {"kind": "apprise", "url": "json://localhost/x"},
            {"kind": "apprise", "url": "mailto://me:pw@example.com"},
        ):
            reply = agent.put(f"{ALERTS}/channels/c", fields)
            assert (reply.status, reply.headers.get("x-regista-field")) == (400, "url"), fields
        put(
            agent,
            "channels/c",
            {"kind": "apprise", "url": "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"},
        )


def test_metrics_and_a_clean_end(quick: Agent):
    """Alerts by state and messages by channel are counted; an agent that is sending ends all the same."""
    with receiving(lambda _: "hang") as receiver:
        put(quick, "channels/ops", {"kind": "webhook", "url": receiver.url, "secret": SECRET})
        critical_rule(quick, channels=["ops"])
        register(quick, 1)
        receiver.wait_for(lambda found: found.received)
        text = quick.get("/v1/agent/metrics?format=prometheus").text
        assert 'regista_alerts{state="firing"} 1' in text
        assert 'regista_alert_messages_sent_total{channel="ops"} 0' in text
        assert quick.terminate(signal.SIGTERM) < 5.0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the library's own making
async def test_a_service_of_apprise_that_hangs_holds_up_its_own_channel_only():
    """A message that takes too long has failed; its channel sends no other until the thread is done."""
    with socket.create_server(("127.0.0.1", 0)) as hanging, json_mailbox() as box:
        sender = AppriseSender(timeout_s=1.5, allows_private=True, host_problem=lambda _: "")
        url = f"json://127.0.0.1:{hanging.getsockname()[1]}/?cto=4&rto=4"

        async def send(channel, url):
            return await sender.send(channel, url, title="t", text="x", is_firing=True)

        await sender.check(url)  # the library takes its time to load
        assert await send("ok", f"json://127.0.0.1:{box.port}/") == ""
        assert await send("slow", url) == "it was not sent within 1.5 s"
        assert await send("slow", url) == "the message before is still under way"
        assert await send("ok", f"json://127.0.0.1:{box.port}/") == ""
        hanging.close()
        for thread in threading.enumerate():
            if thread.name == "regista-apprise":
                await asyncio.to_thread(thread.join, 10)
        await asyncio.sleep(0)
        assert not sender._busy


async def test_without_apprise_it_is_said_what_to_install(monkeypatch):
    """A channel that needs the extra is refused, and one that was written before says why nothing is sent."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    sender = AppriseSender(timeout_s=1.0, allows_private=True, host_problem=lambda _: "")
    with pytest.raises(BadInput, match="pip install 'regista") as caught:
        await sender.check("json://127.0.0.1/")
    assert caught.value.field == "kind"
    assert "pip install" in await sender.send("c", "json://127.0.0.1/", title="", text="", is_firing=True)
