"""How many open files an agent's settings may take, what becomes of them where fewer may be had, and running out.

A connection that finds no file free is reset by the event loop without a word, and nobody here hears of it. So one
must always be free: the limits are made to fit at the start, and whoever is one too many is told so by them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import logging
import os
from collections.abc import Callable
from typing import Any

from regista.agent.config import AgentConfig

logger = logging.getLogger(__name__)

_OWN_FILES = 64
"""What an agent has open with nobody there is 24 when it keeps all in memory, some more with a store; the rest is
for what is open for a moment: configuration, names, webhooks."""

_WORKER_FILES = 272
"""What the main process has open for each worker: sockets to listen at, and connections for what it passes on, of
which the worker keeps 256."""

_SCRIPT_FILES = 4
"""A script's output, its errors and what tells of its end."""

_SCALED = (
    ("health", "probes_at_once_max"),
    ("health", "dials_at_once_max"),
    ("dns_config", "recursions_max"),
    ("dns_config", "tcp_connections_max"),
)
"""Settings that say how much may be under way at once, a file each, besides the clients' connections."""

_OTHERS_PART = 8
"""These get at most one in eight files where there are too few: they seldom reach their limit all at once, and a
probe loses less by waiting for its turn than a client by being refused."""

_EXTRA_PART = 16
"""For clients who are one too many, so that they are told: one in sixteen for those who may say what they want,
and as many for those who are told at once."""

_LOOK_S = 0.1
_SAY_S = 60.0
"""A crowd that comes back again and again is in the log once a minute."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A setting that does not fit, and what it is instead."""

    block: str
    field: str
    wanted: int
    fitting: int


def fit_open_files(config: AgentConfig, files_max: int) -> tuple[AgentConfig, str]:
    """The configuration as it fits into so many open files, and a sentence for the log; "" if all of it fits.

    What was made to fit needs no more: giving it to this function again changes nothing.
    """
    need = files_needed(config)
    if need <= files_max:
        return config, ""
    changes = [each for each in _changes(config, files_max) if each.fitting < each.wanted]
    fitting: dict[str, dict[str, int]] = {}
    for each in changes:
        fitting.setdefault(each.block, {})[each.field] = each.fitting
    blocks: dict[str, Any] = {
        block: dataclasses.replace(getattr(config, block), **fields) for block, fields in fitting.items()
    }
    lowered = ", ".join(
        f"{each.block}.{each.field} is {each.fitting} instead of {each.wanted}" for each in changes
    )
    return dataclasses.replace(config, **blocks), (
        f"this process may have {files_max} open files, and its settings may take {need}. So that nobody is cut "
        f"off without an answer, {lowered or 'all is lowered that can be'}. Allow more (ulimit -n {need}; in a "
        f"systemd unit LimitNOFILE={need}), or lower these settings."
    )


def files_needed(config: AgentConfig) -> int:
    """How many files are open when every limit is reached."""
    http = config.http
    clients = http.connections_max + http.connections_reserve + http.refusals_max
    return _fixed(config) + _others(config) + clients


def _fixed(config: AgentConfig) -> int:
    has_scripts = config.enable_script_checks or config.enable_local_script_checks
    scripts = config.health.scripts_at_once_max * _SCRIPT_FILES if has_scripts else 0
    return _OWN_FILES + _WORKER_FILES * config.workers + scripts


def _others(config: AgentConfig) -> int:
    return sum(getattr(getattr(config, block), field) for block, field in _SCALED)


def _changes(config: AgentConfig, files_max: int) -> list[Change]:
    """What each setting is to be that takes files."""
    free = max(0, files_max - _fixed(config))
    others = _others(config)
    for_others = min(others, free // _OTHERS_PART)
    changes = []
    for block, field in _SCALED:
        wanted = getattr(getattr(config, block), field)
        changes.append(Change(block, field, wanted, max(1, wanted * for_others // others)))
    for_clients = free - for_others
    http = config.http
    # The least that the setting allows is let in whatever happens.
    connections = max(10, min(http.connections_max, for_clients - 2 * (for_clients // _EXTRA_PART)))
    left = max(0, for_clients - connections)
    refusals = min(http.refusals_max, left // 2)
    return [
        Change("http", "connections_max", http.connections_max, connections),
        Change("http", "connections_reserve", http.connections_reserve, left - refusals),
        Change("http", "refusals_max", http.refusals_max, refusals),
        *changes,
    ]


class OpenFilesWatch:
    """Looks whether there is still a file to be had, and says so in the log if there is none.

    Args:
        files_max: how many may be open, for the text.
        take: takes a file and gives it back; OSError if there is none.
    """

    def __init__(self, files_max: int, *, take: Callable[[], None] | None = None) -> None:
        self._files_max = files_max
        self._take = _take_one if take is None else take
        self._timer: asyncio.TimerHandle | None = None
        self._said_s: float | None = None

    def start(self) -> None:
        """Begins to look."""
        loop = asyncio.get_running_loop()
        self.look(loop.time())
        self._timer = loop.call_later(_LOOK_S, self.start)

    def stop(self) -> None:
        """Ends it."""
        if self._timer is not None:
            self._timer.cancel()

    def look(self, now_s: float) -> None:
        """Looks once.

        Args:
            now_s: monotonic seconds.
        """
        try:
            self._take()
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                return
            if self._said_s is None or now_s - self._said_s >= _SAY_S:
                self._said_s = now_s
                is_own = error.errno == errno.EMFILE
                whose = f"all {self._files_max} of this process are" if is_own else "all of this machine are"
                logger.error(  # noqa: TRY400 - the text says all
                    "no open file is left (%s in use): whoever connects now is cut off without an answer, and "
                    "checks can't be run. Allow more (ulimit -n; in a systemd unit LimitNOFILE), or lower "
                    "http.connections_max.",
                    whose,
                )


def _take_one() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):
        os.close(descriptor)
