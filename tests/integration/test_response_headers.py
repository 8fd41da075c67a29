"""`http_config.response_headers`: headers that every answer has besides its own."""

import pytest
from tests.agents import Agent, running_agent


def test_every_answer_has_them(tmp_path):
    """Reads, the same again, what waits, writes, errors and what nobody handles; in JSON and in HCL."""
    file = tmp_path / "more.hcl"
    file.write_text(
        'http_config {\n response_headers {\n X-One = "1"\n Access-Control-Allow-Origin = "*"\n }\n}\n'
    )
    config = {"http_config": {"response_headers": {"X-Two": "2"}}}
    with running_agent(tmp_path / "agent", config=config, arguments=("--config-file", str(file))) as agent:
        index = agent.index()
        for method, path in (
            *[("GET", "/v1/catalog/nodes")] * 3,
            ("GET", f"/v1/catalog/nodes?index={index}&wait=10ms"),
            ("PUT", "/v1/kv/a"),
            ("GET", "/v1/kv/nothing"),
            ("GET", "/v1/nowhere"),
            ("GET", "/v1/catalog/nodes?index=x"),
            ("HEAD", "/v1/catalog/nodes"),
        ):
            headers = agent.request(method, path).headers
            found = [headers.get(name) for name in ("x-one", "x-two", "access-control-allow-origin")]
            assert found == ["1", "2", "*"], (method, path)


@pytest.mark.parametrize("headers", [{"a b": "c"}, {"X": "a\nb"}, {"X": "é"}, {"Content-Length": "3"}])
def test_what_can_t_be_sent_is_refused_at_the_start(tmp_path, headers):
    """The agent does not start, and names the key."""
    agent = Agent(tmp_path / "agent", config={"http_config": {"response_headers": headers}})
    code, text = agent.fails_to_start()
    assert code == 1
    assert "http_config.response_headers" in text
