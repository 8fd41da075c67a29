"""The table of commands: each leads somewhere, and the light ones stay light."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.agents import PROGRAM

from regista.cli import main
from regista.cli.commands import COMMANDS

HEAVY = {"agent", "validate"}
"""Those that read an agent's configuration, or run one."""

SCRIPT = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted({"regista.agent", "uvloop", "aiohttp", "asyncio"} & sys.modules.keys())))
"""


def test_every_command_is_one():
    """Each line of the table leads to a command of its name."""
    context = click.Context(main)
    assert [main.get_command(context, name).name for name in COMMANDS] == list(COMMANDS)


def groups_below(command, context):
    """The group, and all that it leads to."""
    if isinstance(command, click.Group):
        yield command, context
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            yield from groups_below(below, click.Context(below, info_name=name, parent=context))


def test_lists_of_commands_fit_a_terminal():
    """On a terminal of the usual 80 columns no line of a list of commands is cut off."""
    cut = [
        f"{context.command_path}: {line.strip()}"
        for command, context in groups_below(main, click.Context(main, info_name="regista", terminal_width=80))
        for line in command.get_help(context).partition("\nCommands:\n")[2].splitlines()
        if line.endswith("...")
    ]
    assert cut == []


def test_light_commands_load_no_server():
    """A command that asks an agent waits for nothing that only an agent needs."""
    modules = [place.partition(":")[0] for name, place in COMMANDS.items() if name not in HEAVY]
    modules += ["regista.cli.consul_children"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(modules)], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(done.stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("helth", "web"), "No such command 'helth'. Did you mean 'health'?"),
        (("servces",), "No such command 'servces'. Did you mean 'services'?"),
        (("xyzzy",), "No such command 'xyzzy'."),
        (("--vrsion",), "No such option '--vrsion'. Did you mean '--version'?"),
        (
            ("--http-addr", "x", "health", "web"),
            "No such option '--http-addr'. An option of a command stands behind it: regista health web --json.",
        ),
        (("help",), "No such command 'help'. Did you mean 'regista --help'?"),
        (("help", "kv", "put"), "No such command 'help'. Did you mean 'regista kv put --help'?"),
    ],
)
def test_a_misspelled_command(regista, words, said):
    """An unknown command is refused with the nearest that there is."""
    result = regista(*words)
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (2, f"Error: {said}")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [["regista", "version"], ["consul", "version"]])
@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "unbuffered"])
def test_output_that_finds_no_room(words, unbuffered, tmp_path):
    """A full disk is told in a sentence, under either name of the program."""
    program = tmp_path / words[0]
    program.symlink_to(PROGRAM)
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [program, *words[1:]],
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"} | unbuffered,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "Error: the output can't be written: No space left on device.\n",
    )
