"""Telling the world that the agent answers: people on standard output, programs in files."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from regista.agent.config import AgentConfig
from regista.agent.greeting import Ready
from regista.model import ConfigError

logger = logging.getLogger(__name__)


def say_ready(
    ready: Ready, greet: Callable[[Ready], str], config: AgentConfig, ending: contextlib.AsyncExitStack
) -> None:
    """Writes the PID file and the ready file, which go at the end, and greets.

    Raises:
        ConfigError: a file can't be written; nobody was told that all is well.
    """
    if config.pid_file:
        _write_whole(config.pid_file, b"%d\n" % os.getpid())
        ending.callback(config.pid_file.unlink, missing_ok=True)
    if config.ready_file:
        _write_whole(config.ready_file, msgspec.json.encode({"pid": os.getpid(), **ready.listeners}) + b"\n")
        ending.callback(config.ready_file.unlink, missing_ok=True)
    print(greet(ready), flush=True)  # noqa: T201 - the one thing that the agent says to its starter
    for warning in config.warnings:
        logger.warning("%s", warning)


def _write_whole(path: Path, content: bytes) -> None:
    """Writes the file so that a reader sees all of it or none."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as error:
        raise ConfigError(f"the file {path} can't be written: {error.strerror}") from error
