"""The one command line of the programs that make pages of `docs/reference/` out of what they describe."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path


def write_page(render: Callable[[], str], *, file: Path, arguments: Sequence[str] | None = None) -> None:
    """Writes a page to the file that the command line names, or else to `file` below the working directory.

    Args:
        render: the whole page; not called if the command line can't be understood.
        arguments: the command line without the program's name; None for the process's own.

    Raises:
        SystemExit: with 0 after `--help`, with 2 for what is not understood. Nothing is written then.
    """
    parser = argparse.ArgumentParser(description=f"Writes {file.name} as the code has it.", allow_abbrev=False)
    parser.add_argument("file", nargs="?", type=Path, default=file, help=f"where to. Default: {file}")
    target: Path = parser.parse_args(arguments).file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(render(), encoding="utf-8")
