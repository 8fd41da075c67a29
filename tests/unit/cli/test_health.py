"""`regista health`, and instances in words."""

from regista.cli.instances import OUTPUT_WIDTH_MAX, decode_instances


def test_instances_with_their_worst_check(regista, agent, instance):
    """Each instance shows the status of its worst check, and what its failing checks say."""
    agent.say(
        "/v1/health/service/web",
        [
            instance("web-1", checks=[("passing", "fine")]),
            instance(
                "web-2", address="", port=0, checks=[("warning", "slow"), ("critical", "HTTP GET:\n  502 ✗")]
            ),
        ],
    )
    assert regista("health", "web").stdout == (
        "Instance  Address      Node  Status    Failing checks\n"
        "web-1     10.0.0.1:80  n1    passing\n"
        "web-2     10.9.9.9     n1    critical  HTTP GET: 502 ✗; slow\n"
    )


def test_only_passing_ones_are_asked_for(regista, agent):
    """--passing is the server's filter, and an empty result says what was looked for."""
    agent.say("/v1/health/service/web", [])
    result = regista("health", "web", "--passing")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No passing instances of web.\n")
    assert agent.asked[0].target == "/v1/health/service/web?passing=1"


def test_json_is_what_the_server_said(regista, agent):
    """--json prints the answer byte for byte."""
    agent.say("/v1/health/service/web", b"[ ]\n")
    assert regista("health", "web", "--json").stdout_bytes == b"[ ]\n"


def test_outputs_cannot_steer_the_terminal(instance):
    """Control characters of a check's output are dropped, and a long one is cut."""
    (item,) = decode_instances([instance("a", checks=[("critical", "\x1b[2Jred\x07 " + "x" * 200)])])
    assert item.output.startswith("[2Jred xxx")
    assert len(item.output) == OUTPUT_WIDTH_MAX
    assert item.output.endswith("…")


def test_a_foreign_status_counts_as_failing(instance):
    """A status that is none of Consul's three stands between warning and critical; no output gives way to words."""
    (item,) = decode_instances([instance("a", checks=[("warning", "w"), ("odd", ""), ("passing", "")])])
    assert (item.status, item.output) == ("odd", "check 1 is odd; w")
