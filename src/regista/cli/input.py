"""What a command is given to send: from an argument, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import click

INPUT_BYTES_MAX = 512 * 1024 * 1024
"""More than any agent takes; standard input that never ends must not fill the memory."""


def read_input(text: str) -> bytes:
    """The bytes meant by an argument: those of standard input for `-`, of a file for `@file`, else its own.

    Source: Consul, the values of `kv put` and others.

    Raises:
        click.ClickException: the file can't be read, or there is too much of it.
    """
    if text == "-":
        return _within_limit(sys.stdin.buffer.read(INPUT_BYTES_MAX + 1), "standard input")
    if text.startswith("@"):
        return read_bytes(Path(text[1:]))
    return text.encode("utf-8", "surrogateescape")


def read_bytes(file: Path) -> bytes:
    """The file's content.

    Raises:
        click.ClickException: it can't be read, or there is too much of it.
    """
    try:
        with file.open("rb") as opened:
            return _within_limit(opened.read(INPUT_BYTES_MAX + 1), str(file))
    except OSError as error:
        raise click.ClickException(f"{file} can't be read: {error.strerror}.") from error


def _within_limit(data: bytes, name: str) -> bytes:
    if len(data) > INPUT_BYTES_MAX:
        raise click.ClickException(f"{name} is larger than {INPUT_BYTES_MAX} bytes; send it in parts.")
    return data
