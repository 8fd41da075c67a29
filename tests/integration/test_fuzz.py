"""Whatever is sent to the routes that the agent describes, it answers, and never with a fault of its own."""

import collections
import itertools

import hypothesis
import pytest
import schemathesis
from tests.agents import running_agent

EXAMPLES_PER_ROUTE = 2
"""For each of what fits the description and what does not: some 400 requests in all, in a few seconds."""

WAITS_OR_ENDS = ("/v1/agent/leave", "/v1/agent/monitor", "/v1/agent/force-leave/{node}")
"""Routes that end the agent, or an answer of which does not end."""


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """An agent with an instance, and the operations that it describes."""
    config = {"http": {"wait_max": "1s", "wait_default": "1s"}}
    with running_agent(tmp_path_factory.mktemp("fuzz"), config=config) as agent:
        agent.register(Name="web", ID="w", Port=80, Check={"TTL": "1h"})
        schema = schemathesis.openapi.from_dict(agent.get("/v1/openapi.json").json)
        operations = [found.ok() for found in schema.get_all_operations()]
        yield agent, [each for each in operations if each.path not in WAITS_OR_ENDS]


def test_no_request_finds_a_fault(described):
    """Drawn parameters, paths and bodies get an answer below 500, but for a limit that is told with 503."""
    agent, operations = described
    assert len(operations) > 30
    statuses = collections.Counter()

    for operation, mode in itertools.product(operations, schemathesis.GenerationMode):
        # Where nothing can be wrong with a request, none is drawn.
        if mode is schemathesis.GenerationMode.NEGATIVE and not (operation.query or operation.body):
            continue

        @hypothesis.settings(
            max_examples=EXAMPLES_PER_ROUTE,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(mode))
        def call(case):
            reply = case.call(base_url=f"http://{agent.http}", timeout=20)
            statuses[reply.status_code] += 1
            assert reply.status_code < 500, (case.as_curl_command(), reply.text)

        call()
    assert "Traceback" not in agent.log()
    assert statuses[200] > 50, statuses
    assert statuses[400] > 50, statuses
