"""How the agent writes its log: a line a record, for people or as JSON."""

from __future__ import annotations

import datetime as dt
import logging
import sys
from typing import TextIO

import msgspec

from regista.agent.log_listeners import LogListeners
from regista.agent.settings import RegistrySettings

LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
}
"""Consul's names of levels."""

_NAMES = {
    logging.DEBUG: "DEBUG",
    logging.INFO: "INFO",
    logging.WARNING: "WARN",
    logging.ERROR: "ERROR",
    logging.CRITICAL: "ERROR",
}


class _TextFormatter(logging.Formatter):
    """`2026-11-24T05:35:56.123Z [INFO]  regista.health.statuses: …`, like Consul's."""

    def format(self, record: logging.LogRecord) -> str:
        level = f"[{_NAMES.get(record.levelno, record.levelname)}]"
        line = f"{_time(record)} {level:<7} {record.name}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    """One object a line, with the keys of Consul's JSON log."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "@timestamp": _time(record),
            "@level": _NAMES.get(record.levelno, record.levelname).lower(),
            "@module": record.name,
            "@message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def line_formatter(as_json: bool) -> logging.Formatter:  # noqa: FBT001 - the one thing that there is to say
    """What makes a line of a record."""
    return _JsonFormatter() if as_json else _TextFormatter()


def settle_level() -> None:
    """Has records made from the lowest level up that anybody wants, and no others."""
    root = logging.getLogger()
    root.setLevel(min(handler.level for handler in root.handlers))


def add_listeners(settings: RegistrySettings) -> LogListeners:
    """A place for clients to follow the log; `drop_listeners` ends it."""
    listeners = LogListeners(
        line_formatter,
        listeners_max=settings.log_listeners_max,
        lines_max=settings.log_listener_lines_max,
        on_level=settle_level,
    )
    logging.getLogger().addHandler(listeners)
    return listeners


def drop_listeners(listeners: LogListeners) -> None:
    """Ends what they follow, and takes their place away."""
    listeners.end_all()
    logging.getLogger().removeHandler(listeners)
    settle_level()


def set_up_logs(level: str, *, as_json: bool, stream: TextIO = sys.stderr) -> None:
    """Sends every logger's records from `level` up to `stream`; call again to change the level."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(line_formatter(as_json))
    handler.setLevel(LEVELS[level])
    root = logging.getLogger()
    root.handlers[:] = [handler, *(each for each in root.handlers if isinstance(each, LogListeners))]
    settle_level()
    # The event loop's own debugging is no help to whoever operates the agent.
    logging.getLogger("asyncio").setLevel(max(LEVELS[level], logging.INFO))


def _time(record: logging.LogRecord) -> str:
    moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
