"""The table of commands: each leads somewhere, and the light ones stay light."""

import json
import subprocess
import sys

import click

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


def test_light_commands_load_no_server():
    """A command that asks an agent waits for nothing that only an agent needs."""
    modules = [place.partition(":")[0] for name, place in COMMANDS.items() if name not in HEAVY]
    modules += ["regista.cli.consul_children"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(modules)], capture_output=True, text=True, check=True, timeout=30
    )
    assert json.loads(done.stdout) == []
