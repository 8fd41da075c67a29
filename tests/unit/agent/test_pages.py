"""The programs that make reference pages write the page, and only where they are told to."""

import subprocess
import sys
from pathlib import Path

import pytest

from regista.agent import write_page

PROGRAMS = (
    "regista.agent.reference",
    "regista.agent.metrics_reference",
    "regista.agent.routes_reference",
    "regista.cli.reference",
)


def _never():
    raise AssertionError("the page is not wanted")


@pytest.fixture(autouse=True)
def below(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_arguments_the_page_is_written_to_its_own_file(below):
    """Without arguments the page is at its place below the working directory."""
    write_page(lambda: "page", file=Path("docs/page.md"), arguments=[])
    assert (below / "docs/page.md").read_text() == "page"


def test_an_argument_names_another_file(below):
    """With a file named the page is there, in directories made for it, and nowhere else."""
    write_page(lambda: "page", file=Path("docs/page.md"), arguments=["other/page.md"])
    assert (below / "other/page.md").read_text() == "page"
    assert not (below / "docs").exists()


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["--file"], 2), (["a", "b"], 2)])
def test_what_names_no_file_writes_none(below, arguments, code):
    """Help, an unknown flag and a second file end the program before anything is written."""
    with pytest.raises(SystemExit) as ended:
        write_page(_never, file=Path("docs/page.md"), arguments=arguments)
    assert ended.value.code == code
    assert not list(below.iterdir())


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_help(below, program):
    """`--help` of each of the programs says where it writes to, and writes nothing."""
    ended = subprocess.run([sys.executable, "-m", program, "--help"], capture_output=True, text=True, check=True)
    assert "docs/reference/" in ended.stdout
    assert not list(below.iterdir())
