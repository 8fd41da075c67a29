"""How a command ends when what it was asked for did not come about."""

from __future__ import annotations

from typing import IO, Any

import click


class Failed(click.ClickException):
    """Ends the command with Consul's own words, which scripts look for; click would put "Error: " before them.

    Attributes:
        exit_code: of the process.
    """

    def __init__(self, text: str, *, code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = code  # type: ignore[misc] # click declares it for the class, and reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints the text as it is."""
        click.echo(self.message, file=file, err=file is None)
