"""How commands find an agent, and what they say when it does not answer as hoped."""

import pytest


def test_an_unreachable_agent_is_explained(regista, free_port):
    """Where nobody listens, the error names the address, the reason and what to do."""
    result = regista("catalog", "services", "--http-addr", f"127.0.0.1:{free_port}")
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error: No agent answers at http://127.0.0.1:{free_port}: connection refused. "
        'Start one with "regista agent --dev", or name another with --http-addr.\n'
    )


def test_a_connection_closed_without_an_answer_is_explained(regista, agent):
    """An agent that hangs up is told apart from one that is not there."""
    agent.say("/v1/catalog/services", None)
    result = regista("catalog", "services")
    assert result.exit_code == 1
    assert "the connection was closed" in result.stderr


def test_the_servers_text_is_passed_on(regista, agent):
    """An HTTP error shows the server's own words, its code and the request."""
    agent.say("/v1/agent/service/register", b"Invalid service address \xe2\x9c\x97", method="PUT", status=400)
    result = regista("services", "register", "--name", "web")
    assert result.exit_code == 1
    assert result.stderr == ("Error: Invalid service address ✗ (400 from PUT /v1/agent/service/register)\n")


def test_a_web_page_is_not_shown_as_an_error(regista, agent):
    """The page of a proxy or of another server is told in one line, without its markup."""
    headers = {"Content-Type": "text/html;charset=utf-8"}
    agent.say("/v1/catalog/services", b"<html>\n<h1>no\x1b[2J</h1>", status=502, headers=headers)
    result = regista("catalog", "services")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Bad Gateway. The answer is a web page, not an agent's; is that the address of an agent? "
        "(502 from GET /v1/catalog/services)\n"
    )


def test_a_redirection_is_told_with_its_target(regista, agent):
    """Redirections are not followed; the error says where to."""
    headers = {"Content-Type": "text/html", "Location": "https://registry:8501/v1/catalog/services"}
    agent.say("/v1/catalog/services", b"<a>there</a>", status=308, headers=headers)
    result = regista("catalog", "services")
    assert (result.exit_code, "asked for at https://registry:8501/v1/catalog" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("kv", "put", "a/../b", "1"), "kv/a/../b"),
        (("kv", "delete", "--recurse", "a//"), "kv/a//"),
        (("health", "."), "health/service/."),
        (("query", "execute", ""), "query//execute"),
        (("services", "deregister", "--id", ".."), "agent/service/deregister/.."),
    ],
)
def test_a_name_that_no_address_leads_to_is_refused(regista, agent, words, path):
    """What an agent would take for another path, as Consul does, is not sent at all."""
    result = regista(*words)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        f'Error: no address leads to "/v1/{path}": what stands between slashes may not be empty, "." or "..".'
    )
    assert agent.asked == []


def test_slashes_within_an_id_are_escaped(regista, agent):
    """They part nothing: the agent takes them for characters of the id, two in a row included."""
    regista("services", "deregister", "--id", "http://web")
    assert [asked.line for asked in agent.asked] == ["PUT /v1/agent/service/deregister/http%3A%2F%2Fweb"]


def test_an_error_without_a_text_shows_its_reason(regista):
    """An empty error body is replaced by the status's name."""
    assert "Not Found (404 from GET /v1/catalog/nodes)" in regista("catalog", "nodes").stderr


def test_an_answer_that_is_not_json_is_explained(regista, agent):
    """Another server at the address gives an error that shows how its answer starts."""
    agent.say("/v1/catalog/services", b"<html>hello")
    result = regista("catalog", "services")
    assert result.exit_code == 1
    assert 'starts with "<html>hello". Is that the address of an agent?' in result.stderr


@pytest.mark.parametrize("address", ["", "ftp://x", "http://", "http://x:y"])
def test_an_address_that_is_none_is_refused(regista, address):
    """What is no http address is a usage error, before anything is sent."""
    result = regista("catalog", "services", "--http-addr", address)
    assert result.exit_code == 2
    assert "is not an address of an agent" in result.stderr


def test_the_address_comes_from_flag_then_environment(regista, agent, free_port):
    """--http-addr wins over REGISTA_HTTP_ADDR, and that over CONSUL_HTTP_ADDR; a path before /v1 is kept."""
    agent.say("/v1/catalog/datacenters", ["dc1"])
    agent.say("/behind/v1/catalog/datacenters", ["dc2"])
    nowhere = f"http://127.0.0.1:{free_port}"
    assert regista("catalog", "datacenters", CONSUL_HTTP_ADDR=nowhere).stdout == "dc1\n"
    assert regista("catalog", "datacenters", REGISTA_HTTP_ADDR="", CONSUL_HTTP_ADDR=agent.url).stdout == "dc1\n"
    result = regista("catalog", "datacenters", "--http-addr", f"{agent.url}/behind/", REGISTA_HTTP_ADDR=nowhere)
    assert result.stdout == "dc2\n"


def test_the_token_is_sent_as_consul_wants_it(regista, agent):
    """--token, REGISTA_HTTP_TOKEN or CONSUL_HTTP_TOKEN goes into X-Consul-Token; without any there is no such header."""
    agent.say("/v1/catalog/datacenters", ["dc1"])
    regista("catalog", "datacenters")
    regista("catalog", "datacenters", CONSUL_HTTP_TOKEN="b")
    regista("catalog", "datacenters", REGISTA_HTTP_TOKEN="a", CONSUL_HTTP_TOKEN="b")
    regista("catalog", "datacenters", "--token", "c", REGISTA_HTTP_TOKEN="a")
    assert [asked.headers.get("X-Consul-Token") for asked in agent.asked] == [None, "b", "a", "c"]
