"""What the native door needs of the rest of the agent, each declared as small as its use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

from regista.catalog import Catalog, Instance, Lookup
from regista.model import Batch
from regista.protocols.http import ClientTraffic, Parameter, Request, Route
from regista.protocols.native.settings import HistorySettings


class Log(Protocol):
    """The transactions that are still known."""

    @property
    def floor_index(self) -> int:
        """The index after which every transaction is known."""

    async def changes(self, after_index: int, *, batches_max: int) -> Sequence[Batch]:
        """The transactions after an index, oldest first; the first so many.

        Raises:
            Compacted: they are not known any more.
        """


class Past(Protocol):
    """Who knows what was."""

    async def at(self, point: str) -> Catalog:
        """The replica at an index or a time, of its own; read only.

        Raises:
            BadInput: it is neither, or too far back.
            Compacted: the log does not reach back that far.
            Overloaded: too many others ask for other times.
        """

    async def index(self, point: str, *, field: str) -> int:
        """The index that a parameter means.

        Raises:
            BadInput: it is neither an index nor a time, or in the future.
            Compacted: the log has nothing so old.
        """


class Deadlines(Protocol):
    """What will happen to the instances and checks of this agent's node if nobody does anything."""

    def lease_left_s(self, key: str) -> float | None:
        """Seconds until an instance is removed that nobody renews."""

    def heartbeat_left_s(self, key: str) -> float | None:
        """Seconds until a TTL check is critical that nobody reports."""

    def reap_left_s(self, key: str) -> float | None:
        """Seconds until a critical check ends its service."""


class Question(Protocol):
    """Which instances of a service somebody asked for."""

    @property
    def lookup(self) -> Lookup:
        """By name, tags and so on."""

    @property
    def filter_text(self) -> str:
        """The expression besides; "" for none."""

    def keeps(self, catalog: Catalog, instance: Instance) -> bool:
        """Whether an instance meets the expression."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """All that the handlers work with.

    Attributes:
        read_question: what a request asks for that has the service after the last slash, and the parameters
            `question_parameters`.
        node_name: this agent's node.
        version: of Regista.
        routes: those of all HTTP doors.
        busiest: the first clients by a figure; and how many requests each that is not known may have made.
        wall_clock: seconds since the epoch.
    """

    catalog: Catalog
    log: Log
    past: Past
    deadlines: Deadlines
    read_question: Callable[[Request], Question]
    question_parameters: tuple[Parameter, ...]
    node_name: str
    version: str
    routes: Callable[[], tuple[Route, ...]]
    busiest: Callable[[Callable[[ClientTraffic], int], int], tuple[Sequence[ClientTraffic], int]]
    settings: HistorySettings
    wall_clock: Callable[[], float]
