"""Script checks: real programs, run by the probe and through a running agent."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest
from tests.agents import Agent, eventually, running_agent
from tests.integration.polling import open_files, until

from regista.health import HealthSettings, open_probes
from regista.health.probes.script import ScriptProbe
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition

DISABLED = (
    "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true"
)


@pytest.fixture
async def observe():
    """Observes a program with the probe."""
    async with open_probes(HealthSettings()) as probes:

        async def observe(*args, **fields):
            return await probes["script"].observe(CheckDefinition(script_args=args, **fields))

        yield observe


def is_alive(pid):
    """Whether a process is there, and no zombie."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
        return state not in (b"Z", b"X")
    return False


def children(pid):
    """The numbers of a process's children, zombies too."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(path.read_bytes().rpartition(b")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def pids_in(folder):
    return [int(path.name) for path in folder.iterdir()]


# ---- the probe ----


@pytest.mark.parametrize(
    ("script", "status", "output"),
    [
        ("exit 0", PASSING, ""),
        ("echo well", PASSING, "well\n"),
        ("echo so so; exit 1", WARNING, "so so\n"),
        ("echo bad; exit 2", CRITICAL, "bad\n"),
        ("exit 255", CRITICAL, ""),
        ("echo one; echo two >&2; echo three", PASSING, "one\ntwo\nthree\n"),
        ("printf 'bad \\377 bytes'", PASSING, "bad � bytes"),
        ("echo last words; kill -9 $$", CRITICAL, "last words\n"),
        ("kill -9 $$", CRITICAL, "signal: killed"),
        ("cat", PASSING, ""),
        ("exec >&- 2>&-; exit 1", WARNING, ""),
    ],
)
async def test_the_exit_code_is_the_status_and_what_was_written_the_output(observe, script, status, output):
    """0 is passing, 1 a warning, all else critical; both streams in order; there is nothing to read."""
    found = await observe("sh", "-c", script)
    assert (found.status, found.output) == (status, output)


async def test_no_shell_looks_at_the_arguments(observe):
    """Quotes, dollars, lines and empty arguments come to the program as they are."""
    found = await observe("printf", "[%s]", "$HOME", "a b", "", "; exit 3", "two\nlines", "ü")
    assert found.output == "[$HOME][a b][][; exit 3][two\nlines][ü]"


async def test_the_program_has_the_agents_surroundings(observe, monkeypatch):
    """Environment and directory are the agent's; the session is its own, and open files are of the usual number."""
    monkeypatch.setenv("REGISTA_TEST_WORD", "seen")
    found = await observe(
        "sh", "-c", 'echo "$REGISTA_TEST_WORD" "$PWD"; ulimit -n; cat /proc/$$/stat; ls /proc/$$/fd'
    )
    word, limit, stat, *files = found.output.splitlines()
    assert word == f"seen {Path.cwd()}"
    assert int(limit) <= 1024
    pid, _, _, _, group, session, *_ = stat.split()
    assert pid == group == session
    assert files == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("program", "output"),
    [
        ("/nope", "fork/exec /nope: no such file or directory"),
        ("nope-nope", 'exec: "nope-nope": executable file not found in $PATH'),
        ("/etc/passwd", "fork/exec /etc/passwd: permission denied"),
        ("/", "fork/exec /: permission denied"),
    ],
)
async def test_what_cannot_be_started_is_critical_and_says_why(observe, program, output):
    """A program that isn't there, or can't be run, in the words that Consul has for it."""
    found = await observe(program)
    assert (found.status, found.output, found.is_own_fault) == (CRITICAL, output, False)


async def test_a_file_that_is_no_program_is_critical(observe, tmp_path):
    """A script without its first line is not guessed at by a shell."""
    script = tmp_path / "check"
    script.write_text("exit 0\n")
    script.chmod(0o755)
    assert (await observe(str(script))).output == f"fork/exec {script}: exec format error"


async def test_of_much_output_the_end_is_kept(observe):
    """The last bytes, below a line that says how many there were; a definition can ask for fewer."""
    found = await observe("sh", "-c", "head -c 9000 /dev/zero | tr '\\0' x; printf END")
    assert found.output == "Captured 4096 of 9003 bytes\n...\n" + "x" * 4093 + "END"
    found = await observe("sh", "-c", "echo 12345678", output_bytes_max=4)
    assert found.output == "Captured 4 of 9 bytes\n...\n678\n"


async def test_a_flood_of_output_neither_blocks_nor_fills_anything(observe):
    """A program that writes without end is read to its timeout, and its last words are shown."""
    found = await observe("yes", timeout_s=0.5)
    head, _, tail = found.output.partition("\n...\n")
    assert head.startswith("Timed out (500ms) running check\n\nCaptured 4096 of ")
    assert len(tail) == 4096
    assert set(tail) == {"y", "\n"}


async def test_a_great_deal_of_output_ends_by_itself(observe):
    """More than any pipe holds comes through, and the exit code counts."""
    found = await observe("sh", "-c", "head -c 50000000 /dev/zero; exit 1")
    assert found.status == WARNING
    assert found.output.startswith("Captured 4096 of 50000000 bytes\n")


async def test_at_the_timeout_all_descendants_are_killed(observe, tmp_path):
    """Children, grandchildren whose parents ended, and daemons with a session and an environment of their own."""
    note = tmp_path / "note"
    note.write_text('#!/bin/sh\ntouch "${0%/*}/pids/$$"\nexec "$@"\n')
    note.chmod(0o755)
    pids_folder = tmp_path / "pids"
    pids_folder.mkdir()
    script = f"""
        echo begun
        (({note} sleep 60 &) &)
        setsid {note} sh -c 'setsid env -i {note} sh -c "trap : TERM HUP INT; sleep 60; sleep 60" & sleep 60' &
        exec {note} sleep 60
    """
    began_s = time.monotonic()
    found = await observe("sh", "-c", script, timeout_s=1.0)
    assert time.monotonic() - began_s < 1.5
    assert (found.status, found.output) == (CRITICAL, "Timed out (1s) running check\n\nbegun\n")
    pids = pids_in(pids_folder)
    assert len(pids) == 4
    await until(lambda: not any(map(is_alive, pids)))


async def test_a_program_that_multiplies_is_killed_whole(observe, tmp_path):
    """Processes that start others all the time do not outrun the killing."""
    marker = f"sleep 59.{os.getpid()}"
    script = f"f() {{ {marker} & f2; }}; f2() {{ for i in 1 2 3 4 5 6 7 8; do (setsid {marker} &); sleep 0.01; done; f; }}; f"
    await observe("sh", "-c", script, timeout_s=0.6)

    def left():
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if path.read_bytes().replace(b"\0", b" ").strip() == marker.encode():
                    found.append(int(path.parent.name))
        return [pid for pid in found if is_alive(pid)]

    await until(lambda: not left())


async def test_a_check_that_is_dropped_takes_its_program_with_it(observe, tmp_path):
    """Cancelling the probe kills what runs."""
    task = asyncio.create_task(observe("sh", "-c", f"touch {tmp_path}/$$; sleep 60"))
    await until(lambda: pids_in(tmp_path))
    task.cancel()
    await asyncio.wait([task])
    await until(lambda: not is_alive(pids_in(tmp_path)[0]))


async def test_a_program_that_ends_may_leave_another_behind(observe, tmp_path):
    """As under cron: the exit code counts at once, even if a daemon holds the output open, and the daemon lives on."""
    began_s = time.monotonic()
    found = await observe("sh", "-c", f"sh -c 'touch {tmp_path}/$$; sleep 60' & sleep 0.2; echo started; exit 1")
    assert time.monotonic() - began_s < 5
    assert (found.status, found.output) == (WARNING, "started\n")
    (pid,) = pids_in(tmp_path)
    try:
        assert is_alive(pid)
    finally:
        os.killpg(os.getpgid(pid), signal.SIGKILL)


async def test_only_so_many_run_at_once():
    """Others wait their turn; who gets none within its timeout did not run, which is this machine's fault."""
    async with open_probes(HealthSettings(scripts_at_once_max=2)) as probes:
        probe = probes["script"]
        began_s = time.monotonic()
        definition = CheckDefinition(script_args=("sleep", "0.2"), timeout_s=5.0)
        found = await asyncio.gather(*(probe.observe(definition) for _ in range(6)))
        assert time.monotonic() - began_s >= 0.6
        assert {each.status for each in found} == {PASSING}

        busy = [asyncio.create_task(probe.observe(CheckDefinition(script_args=("sleep", "3")))) for _ in range(2)]
        await asyncio.sleep(0)
        late = await probe.observe(CheckDefinition(script_args=("true",), timeout_s=0.3))
        assert (late.status, late.is_own_fault) == (CRITICAL, True)
        assert late.output.startswith("true did not run: 2 other scripts (health.scripts_at_once_max)")
        for task in busy:
            task.cancel()
        await asyncio.wait(busy)


async def test_a_thousand_runs_leave_nothing_behind():
    """No process, zombie, open file or task is left of a thousand runs, whatever their ends."""
    async with open_probes(HealthSettings()) as probes:
        probe = probes["script"]
        definitions = [
            CheckDefinition(script_args=("true",)),
            CheckDefinition(script_args=("sh", "-c", "(setsid true &); exit 1")),
            CheckDefinition(script_args=("/nope",)),
            CheckDefinition(script_args=("sleep", "9"), timeout_s=0.01),
        ]
        await asyncio.gather(*map(probe.observe, definitions))
        (runner,) = children(os.getpid())
        tasks_count = len(asyncio.all_tasks())
        files_before = (open_files(os.getpid()), open_files(runner))
        for _ in range(10):
            await asyncio.gather(*map(probe.observe, definitions * 25))
        await until(lambda: not children(runner))
        assert (open_files(os.getpid()), open_files(runner)) == files_before
        assert len(asyncio.all_tasks()) == tasks_count
    assert not is_alive(runner)


async def test_the_end_of_the_runner_ends_its_programs_and_another_is_started(tmp_path):
    """Should it be killed, what it ran is killed by the kernel, those checks are not counted, and the next one runs."""
    probe = ScriptProbe(HealthSettings())
    try:
        task = asyncio.create_task(
            probe.observe(CheckDefinition(script_args=("sh", "-c", f"touch {tmp_path}/$$; exec sleep 60")))
        )
        await until(lambda: pids_in(tmp_path))
        (runner,) = children(os.getpid())
        os.kill(runner, signal.SIGKILL)
        found = await task
        assert (found.status, found.is_own_fault) == (CRITICAL, True)
        assert found.output == "the agent's program that runs scripts failed: it ended"
        await until(lambda: not is_alive(pids_in(tmp_path)[0]))
        assert (await probe.observe(CheckDefinition(script_args=("true",)))).status == PASSING
    finally:
        await probe.close()


# ---- through an agent ----


@pytest.fixture(scope="module")
def scripting_agent(tmp_path_factory):
    """An agent that runs scripts for whoever registers them."""
    with running_agent(tmp_path_factory.mktemp("scripting"), config={"enable_script_checks": True}) as agent:
        yield agent


def check_of(agent, check_id):
    return agent.get("/v1/agent/checks").json[check_id]


def settled(agent, check_id):
    """The check once its first result is there."""
    return eventually(lambda: (found := check_of(agent, check_id))["Output"] and found)


@pytest.mark.parametrize("field", ["Args", "ScriptArgs", "args", "script_args"])
def test_a_script_is_registered_run_and_shown(scripting_agent, field):
    """Under every name of its arguments, in the agent's own list and in the health answers."""
    name = f"script {field}"
    fields = {
        "Name": name,
        field: ["sh", "-c", "echo so so; exit 1"],
        "Interval": "1s",
        "Timeout": "2s",
        "Notes": "n",
    }
    assert scripting_agent.put("/v1/agent/check/register", fields).status == 200
    found = settled(scripting_agent, name)
    shown = {
        key: found[key] for key in ("Type", "Status", "Output", "Notes", "Interval", "Timeout", "ExposedPort")
    }
    assert shown == {
        "Type": "script", "Status": "warning", "Output": "so so\n", "Notes": "n",
        "Interval": "1s", "Timeout": "2s", "ExposedPort": 0,
    }  # fmt: skip
    in_health = {each["CheckID"]: each for each in scripting_agent.get("/v1/health/node/n1").json}[name]
    assert (in_health["Type"], in_health["Status"], in_health["Definition"]) == ("script", "warning", {})


def test_a_services_script_decides_on_the_service(tmp_path):
    """The instance is in passing answers exactly while its script says so."""
    flag = tmp_path / "well"
    flag.touch()
    with running_agent(tmp_path / "agent", config={"enable_script_checks": True}) as agent:
        check = {"Args": ["sh", "-c", f"echo looked; test -e {flag} || exit 2"], "Interval": "1s"}
        agent.register(Name="scripted", Check=check)
        passing = "/v1/health/service/scripted?passing"
        eventually(lambda: agent.get(passing).json)
        flag.unlink()
        eventually(lambda: not agent.get(passing).json)
        assert check_of(agent, "service:scripted")["Status"] == "critical"


def test_a_script_that_hangs_is_critical_and_killed_with_its_children(scripting_agent, tmp_path):
    """The status says so after the timeout, and nothing of it is left."""
    script = f"touch {tmp_path}/$$; setsid sh -c 'touch {tmp_path}/$$; sleep 60' & sleep 60"
    fields = {"Name": "hanging", "Args": ["sh", "-c", script], "Interval": "60s", "Timeout": "1s"}
    # Its first run is anywhere within the interval, so that it is registered with a short one.
    scripting_agent.put("/v1/agent/check/register", fields | {"Interval": "1s"})
    found = settled(scripting_agent, "hanging")
    assert (found["Status"], found["Output"]) == ("critical", "Timed out (1s) running check")
    scripting_agent.put("/v1/agent/check/deregister/hanging")
    eventually(lambda: not any(map(is_alive, pids_in(tmp_path))))
    assert pids_in(tmp_path)


def test_a_program_that_is_not_there_is_critical(scripting_agent):
    """And the output says which."""
    scripting_agent.put("/v1/agent/check/register", {"Name": "nope", "Args": ["/nope", "x"], "Interval": "1s"})
    assert settled(scripting_agent, "nope")["Output"] == "fork/exec /nope: no such file or directory"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_agent_ends_its_scripts(tmp_path, number):
    """However it ends, nothing that it ran goes on, nor does the program that runs it."""
    folder = tmp_path / "pids"
    folder.mkdir()
    with running_agent(tmp_path / "agent", config={"enable_script_checks": True}) as agent:
        script = (
            f"touch {folder}/$$; trap : TERM INT HUP; (setsid sh -c 'touch {folder}/$$; sleep 60' &); sleep 60"
        )
        agent.put("/v1/agent/check/register", {"Name": "x", "Args": ["sh", "-c", script], "Interval": "1s"})
        eventually(lambda: len(pids_in(folder)) == 2)
        (runner,) = children(agent.pid)
        if number == signal.SIGKILL:
            agent.kill()
        else:
            assert agent.terminate() < 5
        eventually(lambda: not any(map(is_alive, (runner, *pids_in(folder)))))


def test_scripts_are_refused_unless_they_are_enabled(shared_agent):
    """With Consul's sentence, for checks and for services; nothing of the registration is kept."""
    script = {"Args": ["true"], "Interval": "1s"}
    for path, fields in (
        ("check", {"Name": "x", **script}),
        ("check", {"Name": "x", "DockerContainerID": "c", **script}),
        ("service", {"Name": "x", "Check": script}),
        ("service", {"Name": "x", "Checks": [{"TTL": "1s"}, script]}),
    ):
        reply = shared_agent.put(f"/v1/agent/{path}/register", fields)
        assert (reply.status, reply.text) == (403, DISABLED)
    assert "x" not in shared_agent.get("/v1/agent/services").json
    assert "x" not in shared_agent.get("/v1/agent/checks").json


def test_local_scripts_are_those_of_the_agents_files(tmp_path):
    """`enable_local_script_checks` runs what the files define, and refuses the same from the API."""
    script = {"args": ["sh", "-c", "echo local"], "interval": "1s"}
    config = {"enable_local_script_checks": True, "check": {"name": "mine", **script}}
    with running_agent(tmp_path, config=config) as agent:
        assert settled(agent, "mine")["Output"] == "local\n"
        reply = agent.put("/v1/agent/check/register", {"Name": "theirs", **script})
        assert (reply.status, reply.text) == (403, DISABLED)


def test_an_agent_with_a_script_in_its_files_does_not_start_while_scripts_are_disabled(tmp_path):
    """It says which check, and what to configure."""
    agent = Agent(tmp_path, config={"check": {"name": "mine", "args": ["true"], "interval": "1s"}})
    code, said = agent.fails_to_start()
    assert code == 1
    assert 'check "mine" in the configuration: Scripts are disabled on this agent; to enable' in said


def test_a_script_that_was_registered_is_not_run_once_scripts_are_disabled(tmp_path):
    """After a restart without the setting it is critical and says so, instead of keeping an old status."""
    config = {"enable_script_checks": True}
    with running_agent(tmp_path / "agent", keeps_data=True, config=config) as agent:
        ran = tmp_path / "ran"
        script = ["sh", "-c", f"touch {ran}; echo ok"]
        agent.put("/v1/agent/check/register", {"Name": "x", "Args": script, "Interval": "1s"})
        assert settled(agent, "x")["Status"] == "passing"
        agent.configure({})
        agent.terminate()
        ran.unlink()
        agent.start()
        found = eventually(lambda: (found := check_of(agent, "x"))["Status"] == "critical" and found)
        assert found["Output"] == DISABLED
        assert not ran.exists()
