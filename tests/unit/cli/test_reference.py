"""The command line's reference page is what the commands say, and each has an example."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from regista import __version__
from regista.cli import main
from regista.cli.reference import FILE, render

ROOT = Path(__file__).parents[3]


def paths(command, path=()):
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            yield from paths(command.get_command(click.Context(command), name), (*path, name))


def test_the_page_is_current():
    """docs/reference/cli.md is what the commands' help makes."""
    on_disk = (ROOT / FILE).read_text(encoding="utf-8")
    assert on_disk == render(), f"{FILE} is not current; run: python -m regista.cli.reference"


@pytest.mark.parametrize("path", list(paths(main)), ids=" ".join)
def test_every_help_has_an_example(path):
    """Each command and group shows how it is used."""
    result = CliRunner().invoke(main, [*path, "--help"])
    assert result.exit_code == 0
    assert "\n  Example" in result.stdout


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version(arguments):
    """Both spellings print the version."""
    assert CliRunner().invoke(main, arguments).stdout == f"Regista v{__version__}\n"
