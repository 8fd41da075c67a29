"""`regista events`: the stream as lines, and staying with it."""

import itertools
import json

import pytest

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable
from regista.cli.event_stream import Heard, Place, follow_events, read_stream
from regista.cli.events import event_text
from regista.cli.follow import Lost

PATH = "/v1/regista/events"
CAUGHT_UP = b"id: 9\n: caught up\n\n"


def event(event_id, event_type="kv.created", subject="k", **data):
    content = {
        "id": event_id,
        "type": event_type,
        "subject": subject,
        "time": "2026-11-24T09:00:00.5Z",
        "data": data,
    }
    return f"event: {event_type}\nid: {event_id}\ndata: {json.dumps(content)}\n\n".encode()


def key_event(event_id, **data):
    return event(event_id, **{"value_bytes": 1, "session": "", "cause": {}, **data})


def gap(after, index, kept_after):
    return event(str(index), "regista.reread", "", after=after, index=index, kept_after=kept_after)


def text_of(event_type, subject, **data):
    """The line of an event, without its time."""
    content = {"type": event_type, "subject": subject, "time": "2026-11-24T09:00:00Z", "data": data}
    return event_text(content).split(" ", 2)[2]


def test_a_stream_is_read_event_by_event():
    """Ids beside comments are places; the word that all is told is noticed; what was cut off counts for nothing."""
    stream = b"retry: 1000\nid: 4\n: still here\n\n" + key_event("5.0") + CAUGHT_UP + key_event("6.0")[:-1]
    first, heard, caught_up = read_stream(stream.split(b"\n")[:-1])
    assert first == Place("4", is_caught_up=False)
    assert isinstance(heard, Heard)
    assert (heard.id, heard.type, json.loads(heard.text)) == ("5.0", "kv.created", heard.content)
    assert caught_up == Place("9", is_caught_up=True)


@pytest.mark.parametrize(
    ("event_type", "subject", "data", "line"),
    [
        (
            "service.health_changed",
            "web/n1/web-1",
            {
                "check": "alive",
                "name": "",
                "was": "passing",
                "status": "critical",
                "output": "HTTP GET\n502 \x1b[31m",
                "cause": {"kind": "check", "source": "n1/alive"},
            },
            "service.health_changed web/n1/web-1 alive: passing → critical: HTTP GET 502 [31m (check n1/alive)",
        ),
        (
            "node.health_changed",
            "n1",
            {
                "check": "c",
                "name": "disk",
                "was": "warning",
                "status": None,
                "output": "",
                "cause": {"kind": "expiry"},
            },
            "node.health_changed n1 disk: warning → gone (expiry)",
        ),
        (
            "service.registered",
            "web/n1/web-1",
            {
                "address": "::1",
                "port": 80,
                "tags": ["a", "b"],
                "checks": [{"id": "alive", "status": "critical"}],
                "cause": {"kind": "request", "path": "PUT /v1/x", "source": "10.0.0.7", "reason": "moved"},
            },
            "service.registered web/n1/web-1 [::1]:80 [a,b] alive critical (PUT /v1/x from 10.0.0.7: moved)",
        ),
        ("node.updated", "n1", {"address": "10.0.0.1"}, "node.updated n1 10.0.0.1 (unknown)"),
        (
            "kv.updated",
            "a/b",
            {"value_bytes": 2, "session": "s", "cause": {"kind": "request"}},
            "kv.updated a/b 2 bytes, held by session s (a request)",
        ),
        ("kv.deleted", "a/b", {"value_bytes": 0, "session": ""}, "kv.deleted a/b (unknown)"),
        ("of.tomorrow", "it", {}, "of.tomorrow it (unknown)"),
    ],
)
def test_an_event_is_a_line(event_type, subject, data, line):
    """The line says what, of whom, what changed, and who brought it about; it can't steer a terminal."""
    assert text_of(event_type, subject, **data) == line


def test_what_the_log_has_is_listed(regista, agent):
    """Without --follow the events up to now are printed, and filters are passed on."""
    agent.say(PATH, b"id: 0\n: still here\n\n" + key_event("5.0") + CAUGHT_UP + key_event("10.0"))
    result = regista("events", "--type", "kv", "--service", "a", "--service", "b", "--key", "k", "--json")
    assert agent.asked[0].target == f"{PATH}?type=kv&service=a%2Cb&key=k&after=0"
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["5.0"]
    assert (result.exit_code, result.stderr) == (0, "")


def test_nothing_is_told(regista, agent):
    """No event is a sentence on standard error."""
    agent.say(PATH, CAUGHT_UP)
    result = regista("events")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No such events.\n")


def test_a_log_that_was_cut_is_listed_from_where_it_begins(regista, agent):
    """Where nobody asked for more, the events that are left are printed, and where the log begins is said."""
    agent.say(PATH, gap(0, 9, 4), key_event("5.0") + CAUGHT_UP)
    result = regista("events", "--json")
    assert [asked.target for asked in agent.asked] == [f"{PATH}?after=0", f"{PATH}?after=4"]
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == ["5.0"]
    assert result.stderr == "The log begins after index 4.\n"


def test_a_gap_behind_a_place_is_told(regista, agent):
    """Where --after is no longer in the log, that is said, and is an event of --json."""
    agent.say(PATH, gap(2, 9, 4), key_event("5.0") + CAUGHT_UP)
    result = regista("events", "--after", "2", "--json")
    assert [json.loads(line)["type"] for line in result.stdout.splitlines()] == ["regista.reread", "kv.created"]
    assert "between the indexes 2 and 4" in result.stderr
    agent.say(PATH, gap(2, 9, 4), key_event("5.0") + CAUGHT_UP)


def test_a_place_of_another_log_is_told(regista, agent):
    """An id that this log has not come to is said to be none of it."""
    agent.say(PATH, gap(99, 9, None) + CAUGHT_UP)
    result = regista("events", "--after", "99")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "This log has come to index 9 only, not 99." in result.stderr


def test_a_listing_that_breaks_off_is_an_error(regista, agent):
    """A stream that ends before all is told ends the command with exit code 1."""
    agent.say(PATH, key_event("5.0"))
    result = regista("events")
    assert (result.exit_code, "before it had told everything" in result.stderr) == (1, True)


def test_following_goes_on_where_it_broke_off(agent):
    """Each connection names the last id, of an event or of a comment; the agent's absence is told once."""
    agent.say(PATH, key_event("5.0") + b"id: 7\n: still here\n\n", None, None)
    agent.say(PATH, b"away", status=500)
    agent.say(PATH, key_event("8.0") + key_event("9.0")[:-1])
    slept = []
    client = AgentClient(agent.url)
    said = list(itertools.islice(follow_events(client, {"type": "kv"}, sleep=slept.append), 4))
    assert [type(each) for each in said] == [Heard, Place, Lost, Heard]
    assert said[-1].id == "8.0"
    assert slept == [0.5, 1.0, 2.0, 4.0]
    assert [asked.target.partition("?")[2] for asked in agent.asked] == ["type=kv", *["type=kv&after=7"] * 4]


def test_an_agent_that_was_never_there_is_an_error(free_port):
    """The first connection is not tried again: more likely its address is wrong."""
    with pytest.raises(AgentUnreachable):
        next(follow_events(AgentClient(f"127.0.0.1:{free_port}"), {}, sleep=lambda _: None))


def test_a_wrong_filter_is_an_error(regista, agent):
    """What the agent refuses for the caller's fault is told in its words, and ends following too."""
    agent.say(PATH, b"Invalid type: nonsense", status=400)
    with pytest.raises(AgentRefused):
        next(follow_events(AgentClient(agent.url), {}, sleep=lambda _: None))
    result = regista("events", "--type", "nonsense")
    assert (result.exit_code, "Error: Invalid type: nonsense (400" in result.stderr) == (1, True)


def test_what_is_no_stream_is_an_error(regista, agent):
    """Events that are not JSON end the command with a question."""
    agent.say(PATH, b"id: 1\ndata: <html>\n\n")
    result = regista("events")
    assert (result.exit_code, "Is that an agent?" in result.stderr) == (1, True)
