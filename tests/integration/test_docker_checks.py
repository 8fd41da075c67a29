"""Docker checks against a stand-in for the engine on a Unix socket."""

import asyncio
import time

import pytest
from tests.agents import eventually, running_agent
from tests.integration.docker_engine import STDERR, STDOUT, frame, running_engine
from tests.integration.polling import open_files, until

from regista.health import HealthSettings
from regista.health.probes.docker import DockerProbe
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition

WELL = ([frame(STDOUT, b"one\n"), frame(STDERR, b"two\n"), frame(STDOUT, b"three\n")], 0)


@pytest.fixture
def engine(tmp_path):
    with running_engine(tmp_path / "docker.sock") as engine:
        yield engine


@pytest.fixture
async def observe(engine):
    """Observes a command in a container with a probe that knows the engine from the environment."""
    probe = DockerProbe(HealthSettings(), {"DOCKER_HOST": engine.address})

    async def observe(container, *args, **fields):
        return await probe.observe(CheckDefinition(docker_container_id=container, script_args=args, **fields))

    yield observe
    await probe.close()


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("code", "status"), [(0, PASSING), (1, WARNING), (2, CRITICAL), (137, CRITICAL)])
async def test_the_commands_exit_code_is_the_status(engine, observe, is_chunked, code, status):
    """0 is passing, 1 a warning, all else critical; both streams are the output, in their order."""
    engine.is_chunked = is_chunked
    engine.outcomes["web"] = (WELL[0], code)
    found = await observe("web", "check", "--all")
    assert (found.status, found.output) == (status, "one\ntwo\nthree\n")
    (made,) = engine.made
    assert made == (
        "web",
        {
            "AttachStdin": False,
            "AttachStdout": True,
            "AttachStderr": True,
            "Tty": False,
            "Cmd": ["check", "--all"],
        },
    )


async def test_a_shell_in_the_container_gets_the_command_as_one_text(engine, observe):
    """With `Shell` the container's shell runs it, each argument kept as it is."""
    engine.outcomes["web"] = WELL
    await observe("web", "check", "a b", "$HOME", shell="/bin/bash")
    assert engine.made[0][1]["Cmd"] == ["/bin/bash", "-c", "check 'a b' '$HOME'"]


@pytest.mark.parametrize(
    ("container", "output"),
    [
        ("nope", "create exec failed for container nope: No such container: nope (status 404)"),
        ("../x y", "create exec failed for container ../x y: No such container: ../x y (status 404)"),
        ("paused", "create exec failed for container paused: container paused is not running (status 409)"),
        ("broken", "create exec failed for container broken: <html>not even JSON</html> (status 500)"),
    ],
)
async def test_what_the_engine_refuses_is_critical_in_its_words(engine, observe, container, output):
    """An unknown container, one that is stopped, and an engine that fails."""
    engine.outcomes |= {"paused": 409, "broken": 500}
    found = await observe(container, "true")
    assert (found.status, found.output) == (CRITICAL, output)


async def test_a_command_that_takes_too_long_is_critical(engine, observe):
    """After the timeout, with what it said until then."""
    engine.outcomes["web"] = WELL
    engine.is_hanging = True
    began_s = time.monotonic()
    found = await observe("web", "true", timeout_s=0.5)
    assert time.monotonic() - began_s < 2
    assert (found.status, found.output) == (CRITICAL, "Timed out (500ms) running check\n\none\ntwo\nthree\n")


async def test_an_exit_code_that_comes_late_is_waited_for(engine, observe):
    """The stream may end before the engine knows the code."""
    engine.outcomes["web"] = ([], 1)
    engine.codes_late = 2
    assert (await observe("web", "true")).status == WARNING


async def test_of_much_output_the_end_is_kept(engine, observe):
    """As with scripts: the last bytes, below a line that says how many there were."""
    engine.outcomes["web"] = ([frame(STDOUT, b"x" * 65536)] * 40 + [frame(STDERR, b"END")], 0)
    found = await observe("web", "true")
    assert found.output == "Captured 4096 of 2621443 bytes\n...\n" + "x" * 4093 + "END"


@pytest.mark.parametrize(
    ("host", "output"),
    [
        (
            "unix:///nope/docker.sock",
            (
                "create exec failed for container c: dial unix /nope/docker.sock: connect: no such file or directory; "
                "does the engine run, and may this agent use it?"
            ),
        ),
        (
            "ssh://somewhere",
            (
                '"ssh://somewhere" is no address of a Docker engine; set health.docker_host to unix:///path/of/socket '
                "or tcp://host:port"
            ),
        ),
    ],
)
async def test_an_engine_that_cannot_be_reached_is_critical(host, output):
    """No socket, or an address that means nothing here."""
    probe = DockerProbe(HealthSettings(docker_host=host), {"DOCKER_HOST": "unix:///other"})
    found = await probe.observe(CheckDefinition(docker_container_id="c", script_args=("true",)))
    await probe.close()
    assert (found.status, found.output) == (CRITICAL, output)


async def test_an_engine_that_says_nothing_is_critical_in_time(tmp_path):
    """One that takes the connection and never answers costs the timeout, not more."""
    path = tmp_path / "silent.sock"

    async def keep_silent(reader, writer):
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(keep_silent, str(path))
    probe = DockerProbe(HealthSettings(docker_host=f"unix://{path}"), {})
    found = await probe.observe(CheckDefinition(docker_container_id="c", script_args=("true",), timeout_s=0.3))
    await probe.close()
    server.close()
    await asyncio.sleep(0.05)  # until the server has seen the end of the connection
    assert (found.status, found.output) == (CRITICAL, "Timed out (300ms) running check")


async def test_many_checks_leave_no_connection_behind(engine, observe):
    """Two hundred commands, a half of them refused, and as many open files as before."""
    engine.outcomes["web"] = WELL
    await observe("web", "true")
    before = open_files()
    for _ in range(10):
        await asyncio.gather(*(observe("web" if each % 2 else "nope", "true") for each in range(20)))
    await until(lambda: open_files() <= before)


def test_a_docker_check_is_registered_run_and_shown(engine, tmp_path):
    """Through an agent that is told the engine's address, in the spelling of the API."""
    engine.outcomes["web"] = (WELL[0], 1)
    config = {"enable_script_checks": True, "health": {"docker_host": engine.address}}
    with running_agent(tmp_path / "agent", config=config) as agent:
        check = {
            "Name": "in web",
            "DockerContainerID": "web",
            "Shell": "/bin/sh",
            "Args": ["check"],
            "Interval": "1s",
        }
        assert agent.put("/v1/agent/check/register", check).status == 200
        eventually(lambda: agent.get("/v1/agent/checks").json["in web"]["Output"])
        found = agent.get("/v1/agent/checks").json["in web"]
        assert (found["Type"], found["Status"], found["Output"]) == ("docker", "warning", "one\ntwo\nthree\n")
