"""`regista version`."""

from __future__ import annotations

import click

from regista import __version__


@click.command(epilog="\b\nExample:\n  regista version")
def version() -> None:
    """Print the version."""
    click.echo(f"Regista v{__version__}")
