"""The scripts on a machine where something is missing: they say what, and what to do, and need nothing for saying it."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("bash", "basename", "cksum", "cut", "cat", "dirname", "env", "id", "sed")
"""What the scripts use themselves."""


@pytest.fixture
def machine(tmp_path):
    """A checkout without .venv, on a machine without Python; runs a script there."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (tools / name).symlink_to(found)

    def run(script, *words, **environ):
        return subprocess.run(
            [tmp_path / "scripts" / script, *words],
            env={"PATH": str(tools), "HOME": str(tmp_path), **environ},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    run.tools = tools
    return run


def write_program(path, text):
    """A program in a link's place; never what the link leads to, which is the machine's own."""
    path.unlink(missing_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(f"#!/usr/bin/env bash\n{text}\n")
    path.chmod(0o755)


@pytest.mark.parametrize("script", ["run", "demo", "test", "bench"])
@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_needs_nothing(machine, script, word):
    """Each script says what it does from the comment at its top, without Python and without installing anything."""
    done = machine(script, word)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\n  scripts/{script} " in done.stdout or f"\n  scripts/{script}\n" in done.stdout
    assert "set -" not in done.stdout


@pytest.mark.parametrize("script", ["run", "demo", "test", "bench"])
def test_a_machine_without_python(machine, script):
    """Where no Python is new enough, the script says so and how to name one."""
    write_program(machine.tools / "python3", "exit 1")
    done = machine(script)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{script}: Python 3.11 or later is needed")
    assert "REGISTA_PYTHON=/path/to/python3" in done.stderr


@pytest.mark.parametrize("name", ["/nope/python", "{tools}/old-python"])
def test_the_python_that_was_named(machine, name):
    """A Python that REGISTA_PYTHON names is taken or refused; no other one is taken in its place."""
    write_program(machine.tools / "python3.11", "exit 0")
    write_program(machine.tools / "old-python", "exit 1")
    named = name.format(tools=machine.tools)
    done = machine("run", REGISTA_PYTHON=named)
    assert (done.returncode, done.stderr) == (
        1,
        f"run: REGISTA_PYTHON is {named}, which is no Python 3.11 or later.\n",
    )


def test_a_python_that_makes_no_environments(machine):
    """Debian's Python without its package for environments is told with the package's name."""
    write_program(machine.tools / "id", "echo 1000")
    write_program(
        machine.tools / "python3.11",
        'case "$*" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; esac',
    )
    done = machine("run")
    assert done.returncode == 1
    assert "its modules venv and ensurepip are missing" in done.stderr
    assert "sudo apt-get install python3.11-venv" in done.stderr


def test_an_index_that_does_not_answer(machine):
    """Where nothing can be installed, pip's own words stand first, and what to look at behind them."""
    pip = 'case "$*" in *--version) echo pip 23.0 ;; *install*) echo "pip: no route to host" >&2; exit 1 ;; esac'
    make = f"mkdir -p $4/bin; printf '%s\\n' '#!/usr/bin/env bash' '{pip}' > $4/bin/python; chmod +x $4/bin/python"
    (machine.tools / "mkdir").symlink_to(shutil.which("mkdir"))
    (machine.tools / "chmod").symlink_to(shutil.which("chmod"))
    write_program(machine.tools / "python3.11", f'case "$*" in "-m venv"*) {make} ;; esac')
    done = machine("run")
    assert done.returncode == 1
    assert done.stderr.endswith(
        "pip: no route to host\n"
        "run: pip could not be brought up to date; is the package index reachable? PIP_INDEX_URL names another one.\n"
    )
