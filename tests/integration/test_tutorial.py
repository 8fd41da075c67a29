"""The commands of README.md, the tutorial and a guide, run in order against a real agent, with what they say they print.

A block that begins with ```sh run is run; ```sh run retry is run again until it prints what it should, for what
takes a moment. A ```text output block after it must be printed: its lines, in order, where `…` stands for anything.
Ports are replaced by free ones, and ids and times of day are taken to be equal.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from tests.agents import running_agent
from tests.ports import free_ports

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/tutorial.md",
    "docs/guides/drop-in-consul.md",
    "docs/guides/events.md",
    "docs/guides/alerts.md",
)
RETRY_S_MAX = 15.0

_BLOCK = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HASH = re.compile(r"\b[0-9a-f]{16}\b")
_SERVICE_PORTS = ("9001", "9002", "9003", "9004")


@dataclasses.dataclass
class Step:
    """Commands, and the lines that they print."""

    commands: str
    is_retried: bool
    output: list[str] = dataclasses.field(default_factory=list)


def steps_in(page):
    """The steps of a page, in order."""
    steps = []
    for block in _BLOCK.finditer(page):
        match block["info"].split():
            case ["sh", "run", *rest]:
                steps.append(Step(block["text"], is_retried=rest == ["retry"]))
            case ["text", "output"]:
                steps[-1].output += block["text"].splitlines()
    return steps


class Shell:
    """One bash for a whole page, so that variables and background jobs live from block to block."""

    def __init__(self, agent, ports):
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "REGISTA_HTTP_ADDR": f"http://{agent.http}",
        }
        self._ports = {"8500": agent.http.rpartition(":")[2], **ports}
        self._bash = subprocess.Popen(
            ["bash"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )

    def run(self, commands):
        """What the commands print, in the page's ports."""
        mark = f"end-{uuid.uuid4().hex}"
        for shown, real in self._ports.items():
            commands = re.sub(rf"\b{shown}\b", real, commands)
        self._bash.stdin.write(f"{commands}\nprintf '\\n{mark}\\n'\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            if line.strip() == mark:
                break
            output += line
        for shown, real in self._ports.items():
            output = re.sub(rf"\b{real}\b", shown, output)
        return output

    def close(self):
        """Ends the shell and all that it started."""
        self._bash.stdin.write("kill $(jobs -p) 2>/dev/null; exit\n")
        self._bash.stdin.close()
        self._bash.wait(15)
        self._bash.stdout.close()


def alike(line):
    """The line without what differs from run to run."""
    line = _HASH.sub("0" * 16, _UUID.sub("<uuid>", line))
    return " ".join(line.split())


def missing_from(output, wanted):
    """The first line that is wanted and not printed, or not in its place; None if all are."""
    printed = iter([alike(line) for line in output.splitlines()])
    for line in wanted:
        pattern = re.compile(".*".join(re.escape(part) for part in alike(line).split("…")))
        if not any(pattern.fullmatch(each) for each in printed):
            return line
    return None


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_every_command_does_what_the_page_says(tmp_path, name):
    """Somebody who types what the page says sees what it shows."""
    steps = steps_in((ROOT / name).read_text(encoding="utf-8"))
    assert steps, f"{name} has no block that is run"
    with running_agent(tmp_path / "agent") as agent:
        ports = dict(zip(_SERVICE_PORTS, map(str, free_ports(len(_SERVICE_PORTS))), strict=True))
        shell = Shell(agent, ports)
        try:
            for step in steps:
                run_step(shell, step)
        finally:
            shell.close()


def run_step(shell, step):
    end_s = time.monotonic() + (RETRY_S_MAX if step.is_retried else 0)
    while True:
        output = shell.run(step.commands)
        missing = missing_from(output, step.output)
        if missing is None:
            return
        assert time.monotonic() < end_s, f"after\n{step.commands}\nthis is missing:\n{missing}\nin:\n{output}"
        time.sleep(0.1)


def test_the_runner_notices_what_is_not_printed():
    """A page that shows another output than its commands print is wrong."""
    (step,) = steps_in("```sh run\nls\n```\n\n```text output\none …\ntwo\n```\n")
    assert missing_from("one 1\nmore\ntwo\n", step.output) is None
    assert missing_from("two\none 1\n", step.output) == "two"
