"""`regista watch`: changes as lines, and staying with the agent."""

import base64
import itertools
import json
import re
import sys

import pytest

from regista.cli import watch_kinds
from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable
from regista.cli.follow import Lost
from regista.cli.follow import follow as follow_path
from regista.cli.instances import decode_instances
from regista.cli.watch import changes_text, print_changes

PATH = "/v1/health/service/web"
WEB = watch_kinds.service("web", tags=(), passing=False)


def follow(agent, count, **options):
    """The first `count` answers, and how long was slept."""
    slept = []
    answers = follow_path(AgentClient(agent.url), ["health", "service", "web"], {}, sleep=slept.append, **options)
    return list(itertools.islice(answers, count)), slept


def test_changes_in_words(instance):
    """Instances that came, went or changed have a line each; those that only say something new have none."""
    before = decode_instances(
        [instance("gone"), instance("same", checks=[("passing", "1")]), instance("bad"), instance("moved")]
    )
    after = decode_instances(
        [
            instance("same", checks=[("passing", "2")]),
            instance("bad", checks=[("critical", "HTTP GET\n502")]),
            instance("moved", port=81),
            instance("new", address="::1"),
        ]
    )
    assert changes_text(before, after) == [
        "- gone 10.0.0.1:80",
        "~ bad passing → critical: HTTP GET 502",
        "~ moved 10.0.0.1:80 → 10.0.0.1:81",
        "+ new [::1]:80 passing",
    ]
    assert changes_text(after, after) == []


def test_the_same_id_on_two_nodes_are_two_instances(instance):
    """An instance is told apart by its node as well as its id."""
    both = decode_instances([instance("web", node="n1"), instance("web", node="n2")])
    assert changes_text(both, both[:1]) == ["- web 10.0.0.1:80"]


def test_each_query_names_the_index_before(agent):
    """The first query asks at once; each other waits for what comes after the answer before."""
    agent.say(PATH, [], index=5)
    agent.say(PATH, [], index=7)
    agent.say(PATH, [], index=9)
    answers, slept = follow(agent, 3)
    assert [answer.index for answer in answers] == [5, 7, 9]
    assert [asked.target.partition("?")[2] for asked in agent.asked] == [
        "",
        "index=5&wait=300s",
        "index=7&wait=300s",
    ]
    assert slept == []


def test_an_index_that_went_down_starts_afresh(agent):
    """After an index below the one before, the next query asks at once."""
    for index in (9, 3, 4):
        agent.say(PATH, [], index=index)
    follow(agent, 3)
    assert [asked.target.partition("?")[2] for asked in agent.asked] == ["", "index=9&wait=300s", ""]


def test_an_agent_that_restarts_is_waited_for(agent):
    """An agent that goes away is told once, asked again ever later, and then from the start."""
    agent.say(PATH, [], index=9)
    agent.say(PATH, None, None, None, None, None, None)
    agent.say(PATH, b"No cluster leader", status=500)
    agent.say(PATH, [], index=2)
    answers, slept = follow(agent, 3)
    assert isinstance(answers[1], Lost)
    assert answers[2].index == 2
    assert slept == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert agent.asked[-1].target == PATH


def test_an_answer_without_an_index_does_not_spin(agent):
    """Where the server names no index, the next query comes after a pause."""
    agent.say(PATH, [])
    assert follow(agent, 3)[1] == [10.0, 10.0]


def test_an_agent_that_was_never_there_is_an_error(free_port):
    """The first query is not tried again: more likely its address is wrong."""
    client = AgentClient(f"127.0.0.1:{free_port}")
    with pytest.raises(AgentUnreachable):
        next(follow_path(client, ["health", "service", "web"], {}, sleep=lambda _: None))


def test_a_wrong_query_is_an_error(agent):
    """What the agent refuses for the caller's fault ends the watch."""
    agent.say(PATH, [], index=1)
    agent.say(PATH, b"Permission denied", status=403)
    with pytest.raises(AgentRefused, match="Permission denied"):
        follow(agent, 2)


def test_watching_prints_a_line_for_each_change(agent, instance, capsys):
    """Lines carry the time; repeated answers print nothing; an agent that is away is told on standard error."""
    agent.say(PATH, [instance("web-1")], index=1)
    agent.say(PATH, [instance("web-1")], index=2)
    agent.say(PATH, None)
    agent.say(PATH, [instance("web-1", checks=[("critical", "no")]), instance("web-2")], index=3)
    agent.say(PATH, b"enough", status=400)
    client = AgentClient(agent.url)
    with pytest.raises(AgentRefused):
        print_changes(client, WEB, as_json=False, once=False, sleep=lambda _: None)
    said = capsys.readouterr()
    assert re.sub(r"\d\d:\d\d:\d\d", "TIME", said.out) == (
        "TIME + web-1 10.0.0.1:80 passing\nTIME ~ web-1 passing → critical: no\nTIME + web-2 10.0.0.1:80 passing\n"
    )
    assert "the connection was closed" in said.err
    assert said.err.endswith(" Trying again.\n")


def test_a_refusal_ends_the_command(regista, agent):
    """What the agent refuses is told in its words, with exit code 1."""
    agent.say(PATH, b"enough", status=400)
    result = regista("watch", "service", "web")
    assert result.exit_code == 1
    assert "Error: enough (400" in result.stderr


def test_once(regista, agent, instance):
    """--once prints what is there and ends; nothing there is told on standard error."""
    agent.say(PATH, [instance("web-1")], index=1)
    result = regista("watch", "service", "web", "--passing", "--once")
    assert (result.exit_code, result.stdout[8:]) == (0, " + web-1 10.0.0.1:80 passing\n")
    assert agent.asked[0].target == f"{PATH}?passing=1"
    agent.say("/v1/health/service/none", [], index=1)
    result = regista("watch", "service", "none", "--once")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No instances of none yet.\n")


def test_json_prints_each_new_answer(regista, agent, instance):
    """--json prints what the server said, once for each change."""
    for number, body in enumerate((b"[]", b"[]", b"[ ]\n"), start=1):
        agent.say(PATH, body, index=number)
    agent.say(PATH, b"enough", status=400)
    assert regista("watch", "service", "web", "--json").stdout == "[]\n[ ]\n"


# ---- every kind ----


def value(text):
    return base64.b64encode(text.encode()).decode()


def pair(key, text, index=7):
    return {
        "LockIndex": 0, "Key": key, "Flags": 0, "Value": value(text), "CreateIndex": index, "ModifyIndex": index
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "target", "answer", "line"),
    [
        (["key", "a/b"], "/v1/kv/a/b", [pair("a/b", "1")], "a/b changed at 7"),
        (["keyprefix", "a/"], "/v1/kv/a/", [pair("a/b", "1")], "a/b changed at 7"),
        (["services"], "/v1/catalog/services", {"web": ["v1", "v2"]}, "web v1,v2"),
        (["nodes"], "/v1/catalog/nodes", [{"Node": "n1", "Address": "10.0.0.1"}], "n1 10.0.0.1"),
        (
            ["checks", "--state", "critical"],
            "/v1/health/state/critical",
            [{"Node": "n1", "ServiceID": "", "CheckID": "c", "Status": "critical"}],
            "n1 - c critical",
        ),
        (["event", "--name", "deploy"], "/v1/event/list", [{"ID": "1-2", "Name": "deploy"}], "deploy 1-2"),
    ],
    ids=["key", "keyprefix", "services", "nodes", "checks", "event"],
)
def test_every_kind_once_for_people_and_as_json(regista, agent, *, arguments, target, answer, line):
    """Each kind asks the path that it is about, and shows a line, or the result as indented JSON."""
    agent.say(target, answer, index=7)
    result = regista("watch", *arguments, "--once")
    assert (result.exit_code, result.stdout[9:]) == (0, f"{line}\n")
    shown = answer[0] if arguments[0] == "key" else answer
    assert regista("watch", *arguments, "--once", "--json").stdout == json.dumps(shown, indent=4) + "\n"


def test_a_key_that_was_never_there_is_waited_for(regista, agent):
    """Nothing is shown for a key until it is there; once it is gone, null is."""
    agent.answers[("GET", "/v1/kv/a")] = [
        (404, {"X-Consul-Index": "3"}, b""),
        (200, {"X-Consul-Index": "5"}, json.dumps([pair("a", "1")]).encode()),
        (404, {"X-Consul-Index": "6"}, b""),
        (400, {}, b"enough"),
    ]
    result = regista("watch", "key", "a", "--json")
    assert [asked.target for asked in agent.asked][1:3] == [
        "/v1/kv/a?index=3&wait=300s",
        "/v1/kv/a?index=5&wait=300s",
    ]
    assert result.stdout == json.dumps(pair("a", "1"), indent=4) + "\nnull\n"


def test_each_event_is_shown_once(regista, agent):
    """Of a list of events only those behind the last known one are shown."""
    first, second, third = ({"ID": name, "Name": "e"} for name in ("1", "2", "3"))
    agent.say("/v1/event/list", [first, second], index=9)
    agent.say("/v1/event/list", [first, second, third], index=5)
    agent.say("/v1/event/list", b"enough", status=400)
    result = regista("watch", "event")
    assert [line[9:] for line in result.stdout.splitlines()] == ["e 1", "e 2", "e 3"]


SCRIPT = """
import os, sys
with open(sys.argv[1], "a") as file:
    file.write(os.environ["CONSUL_INDEX"] + " " + sys.stdin.read())
sys.exit(int(sys.argv[2]))
"""


def test_a_command_is_run_at_each_change(regista, agent, tmp_path):
    """The command gets the JSON on standard input and the index; its failure is told, and watching goes on."""
    agent.say("/v1/catalog/services", {"a": []}, index=5)
    agent.say("/v1/catalog/services", {"b": ["é"]}, index=6)
    agent.say("/v1/catalog/services", b"enough", status=400)
    file = tmp_path / "said"
    result = regista("watch", "services", "--", sys.executable, "-c", SCRIPT, str(file), "3")
    assert file.read_text() == '5 {"a": []}\n6 {"b": ["é"]}\n'
    assert result.stderr.count("ended with exit code 3") == 2
    assert "enough" in result.stderr


def test_a_command_that_is_not_there_is_an_error(regista, agent):
    """A program that can't be run ends the watch."""
    agent.say("/v1/catalog/services", {"a": []}, index=5)
    result = regista("watch", "services", "--", "/no/such/program")
    assert (result.exit_code, result.stderr) == (1, "/no/such/program can't be run: No such file or directory.\n")


def test_the_instances_of_a_service_can_be_given_to_a_command(regista, agent, tmp_path, instance):
    """`watch service` with a command runs it with the server's list."""
    agent.say(PATH, [instance("web-1")], index=5)
    file = tmp_path / "said"
    regista("watch", "service", "web", "--tag", "v1", "--once", "--", sys.executable, "-c", SCRIPT, str(file), "0")
    assert agent.asked[0].target == f"{PATH}?tag=v1"
    assert json.loads(file.read_text().partition(" ")[2])[0]["Service"]["ID"] == "web-1"
