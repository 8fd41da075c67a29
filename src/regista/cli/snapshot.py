"""`regista snapshot`: the whole registry in one file, and back."""

from __future__ import annotations

import os
from pathlib import Path

import click

from regista.cli.client import AgentClient
from regista.cli.failures import Failed
from regista.cli.input import read_bytes
from regista.cli.options import agent_options
from regista.cli.snapshot_file import SnapshotContent, SnapshotDamaged, read_snapshot

TIMEOUT_S = 300.0
"""A snapshot is as large as the registry."""


@click.group(epilog="\b\nExamples:\n  regista snapshot save backup.snap\n  regista snapshot inspect backup.snap")
def snapshot() -> None:
    """Save, restore and inspect snapshots."""


@snapshot.command(epilog="\b\nExample:\n  regista snapshot save backup.snap")
@click.argument("file", type=click.Path(path_type=Path))
@agent_options
def save(client: AgentClient, file: Path) -> None:
    """Save the registry in FILE, and verify what was written."""
    answer = client.get(["snapshot"], timeout_s=TIMEOUT_S)
    content = _read(answer.body, "the agent's answer")
    beside = file.with_name(f"{file.name}.{os.getpid()}.unverified")
    try:
        # Tokens and values are in it: readable by its owner alone, and whole or not there.
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as opened:
            opened.write(answer.body)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Failed(f"{file} can't be written: {error.strerror}.") from error
    click.echo(f"Saved and verified snapshot to index {content.index}")


@snapshot.command(epilog="\b\nExample:\n  regista snapshot restore backup.snap")
@click.argument("file", type=click.Path(path_type=Path))
@agent_options
def restore(client: AgentClient, file: Path) -> None:
    """Replace the whole registry by what is in FILE."""
    client.put_bytes(["snapshot"], read_bytes(file), timeout_s=TIMEOUT_S)
    click.echo("Restored snapshot")


@snapshot.command(epilog="\b\nExample:\n  regista snapshot inspect backup.snap")
@click.argument("file", type=click.Path(path_type=Path))
def inspect(file: Path) -> None:
    """Verify FILE, and show what it says of itself. Needs no agent."""
    content = _read(read_bytes(file), str(file))
    rows = (
        ("ID", content.id),
        ("Size", str(content.size_bytes)),
        ("Index", str(content.index)),
        ("Term", str(content.term)),
        ("Version", str(content.version)),
    )
    click.echo("\n".join(f"{name:<13}{value}" for name, value in rows))


def _read(data: bytes, name: str) -> SnapshotContent:
    try:
        return read_snapshot(data)
    except SnapshotDamaged as error:
        raise Failed(f"Error verifying snapshot {name}: {error}") from error
