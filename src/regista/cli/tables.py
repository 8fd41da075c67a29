"""Text for people: tables, and words that fit on one line of a terminal. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import click

from regista.cli.client import Answer


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns with two spaces between, as wide as their widest cell on a terminal; () for no head."""
    lines = [*([head] if head else ()), *([one_line(cell) for cell in row] for row in rows)]
    widths = [max(width(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell + " " * (most - width(cell)) for cell, most in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def one_line(text: str, *, width_max: int = 0) -> str:
    """The text without line breaks and control characters, cut to `width_max` unless that is 0.

    What a checked service answers is shown on a terminal, and must not be able to steer it.
    """
    words = "".join(character if character.isprintable() else " " for character in text).split()
    line = " ".join(words)
    if width_max and len(line) > width_max:
        return line[: width_max - 1] + "…"
    return line


def width(text: str) -> int:
    """How many cells of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def host_port(address: str, port: int) -> str:
    """`10.0.0.1:80`, `[::1]:80`, or the address alone without a port."""
    if not port:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def print_body(answer: Answer) -> None:
    """Prints what the server said, byte for byte, and a line's end if it has none."""
    click.echo(answer.body, nl=not answer.body.endswith(b"\n"))
