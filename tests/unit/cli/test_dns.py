"""`regista dns`."""

import pytest

FOUND = {
    "name": "web.service.consul.",
    "type": "A",
    "meaning": 'instances of service "web"',
    "rcode": "NOERROR",
    "answer": [{"name": "web.service.consul.", "ttl": 5, "type": "A", "data": "10.0.0.1"}],
    "authority": [],
    "additional": [],
    "udp_answers": 1,
    "because": ["A sentence."],
    "instances": [
        {
            "id": "web-1",
            "node": "n1",
            "address": "10.0.0.1",
            "port": 80,
            "included": True,
            "because": "its only check is passing",
        },
        {
            "id": "web-2",
            "node": "n1",
            "address": "fd00::1",
            "port": 80,
            "included": False,
            "because": "it is in maintenance: \x1b[31mdisk",
        },
    ],
}


def test_the_answer_is_shown_and_explained(regista, agent):
    """Records first, then what there is to say of all, then each instance; nothing steers the terminal."""
    agent.say("/v1/regista/dns/web", FOUND)
    result = regista("dns", "web")
    assert agent.asked[0].target == "/v1/regista/dns/web?type=A"
    assert result.stdout == (
        'web.service.consul. A: NOERROR (instances of service "web")\n'
        "\n"
        "web.service.consul.  5  A  10.0.0.1\n"
        "\n"
        "A sentence.\n"
        "\n"
        "Instance  Node  Address       Answer  Because\n"
        "web-1     n1    10.0.0.1:80   yes     its only check is passing\n"
        "web-2     n1    [fd00::1]:80  no      it is in maintenance: [31mdisk\n"
    )


def test_an_empty_answer_is_short(regista, agent):
    """What there is none of leaves no empty lines."""
    empty = FOUND | {"rcode": "NXDOMAIN", "answer": [], "because": ["Nothing."], "instances": []}
    agent.say("/v1/regista/dns/web.service.consul", empty)
    result = regista("dns", "web.service.consul", "--type", "A")
    assert result.stdout == 'web.service.consul. A: NXDOMAIN (instances of service "web")\n\nNothing.\n'


def test_programs_get_what_the_agent_said(regista, agent):
    """With --json the body is printed as it came."""
    agent.say("/v1/regista/dns/web", FOUND)
    result = regista("dns", "web", "--type", "SRV", "--json")
    assert agent.asked[0].target == "/v1/regista/dns/web?type=SRV"
    assert '"udp_answers"' in result.stdout


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_of_dots_is_none(regista, agent, name):
    """The root of all names is no address's end, so nobody is asked about it."""
    result = regista("dns", name)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f'Error: "{name}" is the name of nothing that an agent knows; give that of a service, or one such as '
        "web.service.consul."
    )
    assert agent.asked == []
