"""Who may have programs run on this machine."""

import pytest

from regista.health import KindRule
from regista.health.kind_rule import DISABLED
from regista.model import Check, CheckDefinition

REMOTE = (
    "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
)
LOCAL = (
    "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or "
    "'enable_local_script_checks' to true"
)


@pytest.mark.parametrize("kind", ["script", "docker"])
@pytest.mark.parametrize(
    ("rule", "from_api", "from_files"),
    [
        (KindRule(), REMOTE, LOCAL),
        (KindRule(local_scripts=True), REMOTE, ""),
        (KindRule(scripts=True), "", ""),
        (KindRule(scripts=True, local_scripts=True), "", ""),
    ],
)
def test_programs_are_run_only_where_they_are_enabled(kind, rule, from_api, from_files):
    """`enable_script_checks` allows them to everybody, `enable_local_script_checks` to the agent's files alone."""
    assert rule.refusal(kind, "agent") == from_api
    assert rule.refusal(kind, "config") == from_files


def test_other_kinds_are_always_allowed():
    """A kind that runs no program needs no permission; a system service needs the library for it."""
    assert [KindRule().refusal(kind, "agent") for kind in ("http", "tcp", "ttl", "alias", "os_service")] == [
        ""
    ] * 5
    assert KindRule(os_services_problem="install it").refusal("os_service", "config") == "install it"


def check(manager, **definition):
    return Check(
        node="n1", id="c", name="c", manager=manager, definition=CheckDefinition(interval_s=1.0, **definition)
    )


def test_a_script_that_was_registered_when_scripts_were_allowed_is_not_run_any_more():
    """What is in the log from then gets the probe that runs nothing and says why."""
    script = check("agent", script_args=("true",))
    assert KindRule().kind_to_run(script) == DISABLED
    assert KindRule(local_scripts=True).kind_to_run(script) == DISABLED
    assert KindRule(scripts=True).kind_to_run(script) == "script"
    assert KindRule().kind_to_run(check("agent", script_args=("true",), docker_container_id="c")) == DISABLED
    assert KindRule().kind_to_run(check("agent", http="http://x")) == "http"
