"""`regista watch`: changes as lines, and staying with the agent."""

import itertools
import re

import pytest

from regista.cli.client import AgentClient, AgentRefused, AgentUnreachable
from regista.cli.instances import decode_instances
from regista.cli.watch import Lost, changes_text, follow_service, print_changes

PATH = "/v1/health/service/web"


def follow(agent, count, **options):
    """The first `count` answers, and how long was slept."""
    slept = []
    answers = follow_service(AgentClient(agent.url), "web", passing=False, sleep=slept.append, **options)
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
        next(follow_service(client, "web", passing=False, sleep=lambda _: None))


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
        print_changes(client, "web", passing=False, as_json=False, once=False, sleep=lambda _: None)
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
