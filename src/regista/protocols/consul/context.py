"""What the Consul door needs of the rest of the agent, each declared as small as its use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Protocol

from regista.catalog import Catalog, DegradingSettings, EventRing, Instance, LockDelays
from regista.health import Histogram, KindRule
from regista.model import Cause, Status, Transaction
from regista.protocols.consul.caching import CachedQuestions
from regista.protocols.consul.settings import DrainSettings, EventSettings, KvSettings
from regista.protocols.consul.standing import Standing
from regista.protocols.http import Answers, ByteStream, HttpSettings


class Writer(Protocol):
    """Where writes go."""

    async def write(self, plan: Callable[[Catalog], Transaction], *, cause: Cause) -> int:
        """Commits what `plan` makes of the replica, planning again on a conflict; the index after it.

        The log keeps the cause; take it from the request with `request_cause`.

        Raises:
            CallerError: what the plan raises.
            StateError, StoreError: it could not be committed.
        """

    async def write_alone(self, plan: Callable[[Catalog], Transaction], *, cause: Cause) -> int:
        """As `write`, with no write of others between plan and commit."""

    async def barrier(self) -> int:
        """Returns once every write acknowledged anywhere before is in the replica."""


class Health(Protocol):
    """Who runs the checks and leases of this agent's node."""

    async def report(self, check_id: str, status: Status, output: str, *, cause: Cause) -> None:
        """A service says how it is.

        Raises:
            NotFound: no such check, or not one that waits for reports.
        """

    def report_nowait(
        self, check_id: str, status: Status, output: str, *, cause: Cause
    ) -> Coroutine[Any, Any, None] | None:
        """As `report`, but what has to be written is left to the caller to await; None if nothing has."""

    def renew_check(self, key: str) -> None:
        """The check's TTL begins again; does nothing for checks without."""

    def renew_service(self, key: str) -> None:
        """The instance's TTL begins again; does nothing for instances without."""

    def renew_session(self, session_id: str) -> None:
        """The session's TTL begins again; does nothing for sessions without."""


class Control(Protocol):
    """What can be asked of the agent as a process."""

    async def reload(self) -> None:
        """Makes true what the configuration files say now.

        Raises:
            RegistaError: they can't be used; all is as it was.
        """

    def stop(self) -> None:
        """Begins to stop, as SIGTERM does; requests under way are answered."""

    def describe_host(self) -> dict[str, Any]:
        """The machine, with the keys of Consul's agent/host."""

    def follow_log(self, level: str, *, as_json: bool) -> ByteStream:
        """The log's lines from now on.

        Raises:
            BadInput: there is no such level.
            Overloaded: as many follow it as may.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """Something that is counted.

    Attributes:
        name: in small letters and underscores, with its unit at the end.
        text: what it is, in a sentence.
        values: each with its labels; of a histogram none.
        is_counter: whether it only grows.
        histogram: how what is measured is distributed.
    """

    name: str
    text: str
    values: tuple[tuple[dict[str, str], float], ...] = ()
    is_counter: bool = False
    histogram: Histogram | None = None

    @property
    def type(self) -> str:
        """As Prometheus calls it."""
        if self.histogram is not None:
            return "histogram"
        return "counter" if self.is_counter else "gauge"

    @property
    def full_name(self) -> str:
        """As Prometheus sees it."""
        return f"regista_{self.name}_total" if self.is_counter else f"regista_{self.name}"


class Past(Protocol):
    """Who knows what was."""

    async def at(self, point: str) -> Catalog:
        """The replica at an index or a time, of its own; read only.

        Raises:
            BadInput: it is neither, or too far back.
            Compacted: the log does not reach back that far.
            Overloaded: too many others ask for other times.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who this agent is.

    Attributes:
        address: where other machines reach it.
        server_address: `host:port` of the server; set once it listens.
        started_s: when it started, in seconds since the epoch.
        listening: where it answers, in the words of `DebugConfig`.
    """

    node_name: str
    node_id: str
    datacenter: str
    address: str
    server_address: Callable[[], str]
    version: str
    started_s: float
    listening: Callable[[], Mapping[str, Any]] = dict


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """All that the handlers work with.

    Attributes:
        wall_clock: seconds since the epoch.
        metrics: what is counted, as of now.
        cached_questions: what was asked with `?cached`.
        new_id: a fresh UUID each time.
        shuffle: puts a list in random order.
        standing: how far answers about health can be relied on.
        kind_rule: which kinds of checks may be registered.
        wait_jitter: a random number from 0 to 1 each time; spreads the ends of waits (Consul adds up to 1/16).
    """

    catalog: Catalog
    answers: Answers
    writer: Writer
    health: Health
    past: Past
    control: Control
    metrics: Callable[[], Iterable[Metric]]
    identity: Identity
    cached_questions: CachedQuestions
    settings: HttpSettings
    wall_clock: Callable[[], float]
    new_id: Callable[[], str]
    wait_jitter: Callable[[], float]
    shuffle: Callable[[list[Instance]], None]
    events: EventRing
    event_settings: EventSettings
    drain_settings: DrainSettings
    degrading: DegradingSettings
    standing: Standing
    kv_settings: KvSettings
    lock_delays: LockDelays
    kind_rule: KindRule
