"""What the native door needs of the rest of the agent, each declared as small as its use."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from regista.balance import OutcomeReport
from regista.catalog import Available, Catalog, DegradingSettings, Instance, Lookup
from regista.health import PassiveSettings, PassiveState, Protection
from regista.model import Batch
from regista.protocols.http import ClientTraffic, Parameter, Request, Response, Route
from regista.protocols.native.alert_context import Alerts
from regista.protocols.native.event_feed import EventFeed
from regista.protocols.native.instance_feed import InstanceFeed
from regista.protocols.native.limit_context import Limited
from regista.protocols.native.settings import HistorySettings
from regista.protocols.native.webhook_context import Webhooks


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

    def told_hold(self, key: str) -> str:
        """Why a check is held, or marked as flapping, in sentences; "" for neither."""

    @property
    def abstention(self) -> str:
        """Why this agent withholds what its probes find, in sentences; "" while it does not."""


class Guarded(Protocol):
    """Who keeps what silence would end, when too much would at once."""

    @property
    def is_protection_enabled(self) -> bool:
        """Whether it does."""

    def protections(self) -> Sequence[Protection]:
        """The services, or all, whose mass loss is not believed."""

    def enable_protection(self, *, is_enabled: bool) -> None:
        """Has it do so from now on, or not."""


class Passive(Protocol):
    """Who judges instances by what their callers report."""

    def report(self, reports: Iterable[OutcomeReport]) -> tuple[int, int]:
        """Takes reports; how many of them were of known instances, and how many were not."""

    def states(self, service: str = "") -> Sequence[PassiveState]:
        """What reports come to at present, for a service that was reported, or ("") for all."""


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

    def available(self, catalog: Catalog) -> Available:
        """The instances in the answer, and why they are not just what was asked for."""


class Reads(Protocol):
    """Who answers reads with the headers, consistency and waiting that all have."""

    def __call__(
        self, request: Request, *, topics: tuple[str, ...], find: Callable[[], Any], key: str
    ) -> Response | Awaitable[Response]:
        """The answer, at once or when it changes.

        Args:
            topics: what it depends on.
            find: the answer now, as JSON values.
            key: what distinguishes this question from others of the same path.
        """


class StoreState(Protocol):
    """What the writes tell of the store."""

    @property
    def outages(self) -> int:
        """How often it began that it can't be written."""

    def stale_s(self) -> float | None:
        """For how long nothing could be written; None while all is well."""


class Hearing(Protocol):
    """Whether the agent itself could listen."""

    @property
    def stalls(self) -> int:
        """How often it could not, for a while."""

    @property
    def stalled_s(self) -> float:
        """For how long in all."""


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """All that the handlers work with.

    Attributes:
        read_question: what a request asks for that has the service after the last slash, and the parameters
            `question_parameters`.
        answer_read: answers reads that can be waited for, which take the parameters `read_parameters`.
        new_id: a fresh UUID each time.
        node_name: this agent's node.
        version: of Regista.
        routes: those of all HTTP doors.
        explain_name: what a name is answered with over DNS for a type of record, and why, as JSON values; raises
            BadInput for what is neither.
        busiest: the first clients by a figure; and how many requests each that is not known may have made.
        wall_clock: seconds since the epoch.
    """

    catalog: Catalog
    log: Log
    past: Past
    events: EventFeed
    instances: InstanceFeed
    limits: Limited
    webhooks: Webhooks
    alerts: Alerts
    new_id: Callable[[], str]
    deadlines: Deadlines
    guard: Guarded
    passive: Passive
    passive_settings: PassiveSettings
    read_question: Callable[[Request], Question]
    question_parameters: tuple[Parameter, ...]
    answer_read: Reads
    read_parameters: tuple[Parameter, ...]
    store: StoreState
    hearing: Hearing
    degrading: DegradingSettings
    node_name: str
    version: str
    routes: Callable[[], tuple[Route, ...]]
    explain_name: Callable[[str, str], Mapping[str, Any]]
    busiest: Callable[[Callable[[ClientTraffic], int], int], tuple[Sequence[ClientTraffic], int]]
    settings: HistorySettings
    wall_clock: Callable[[], float]
