"""Everything that Regista raises on purpose, split by whose fault it is.

    RegistaError
    ├── CallerError            the request is wrong; the same request will fail again
    │   ├── BadInput           a field has a value that it can't have
    │   ├── Forbidden          this agent is set up not to do that
    │   ├── NotFound           no such service, check, node or datacenter
    │   ├── StaleIncarnation   the instance it speaks for was deregistered or replaced
    │   ├── TooLarge           a body, head or value is over its limit
    │   ├── TooSlow            a body does not arrive in time
    │   └── UnknownEncoding    a body is packed in a way that is not known here
    ├── StateError             the request is right, but not for the present state
    │   ├── Conflict           a precondition of a transaction does not hold; plan again
    │   ├── Contended          too many conflicts in a row; try again later
    │   └── Overloaded         a limit on what may wait or be held is reached; try again later
    │       └── Shed           the same, of one whom others were preferred to
    ├── StoreError             the store's
    │   ├── Compacted          the log no longer reaches back that far; ask for what is later
    │   ├── StoreDamaged       the file is not a sound database; it is left as it is
    │   ├── StoreInUse         another agent has the data directory open
    │   ├── StoreTooNew        a later version of Regista wrote the file
    │   └── StoreUnavailable   it can't be written just now
    └── ConfigError            the configuration can't be used

A door turns these into the codes of its protocol, once, in its `errors.py`.
"""

from __future__ import annotations


class RegistaError(Exception):
    """Whatever Regista raises on purpose; its text says what to do next."""


class CallerError(RegistaError):
    """The request is wrong; sending it again will not help."""


class BadInput(CallerError):
    """A field has a value that it can't have.

    Attributes:
        field: the field as the caller spelled it, or "" where the whole body is meant.
        plain_text: the problem where it stands in a file, for people; the text itself may have words of Go's that
            clients of the API know.
    """

    def __init__(self, problem: str, *, field: str = "", plain_text: str = "") -> None:
        super().__init__(problem)
        self.field = field
        self.plain_text = plain_text or problem


class Forbidden(CallerError):
    """This agent is set up not to do that."""


class NotFound(CallerError):
    """There is no such service, check, node or datacenter."""


class StaleIncarnation(CallerError):
    """The incarnation that the caller speaks for was deregistered or replaced.

    Attributes:
        incarnation: the id that is refused.
    """

    def __init__(self, problem: str, *, incarnation: str) -> None:
        super().__init__(problem)
        self.incarnation = incarnation


class TooLarge(CallerError):
    """A body, head or value is over its limit.

    Attributes:
        limit_bytes: the most that is accepted.
        limit: the setting's name in the configuration, such as `http.body_bytes_max`; "" for none.
        used: how much there was, as far as is known.
    """

    def __init__(self, problem: str, *, limit_bytes: int, limit: str = "", used: int | None = None) -> None:
        super().__init__(problem)
        self.limit_bytes = limit_bytes
        self.limit = limit
        self.used = used


class TooSlow(CallerError):
    """A body does not arrive in time.

    Attributes:
        limit: the setting's name in the configuration, such as `http.body_stall`.
        most: its value.
    """

    def __init__(self, problem: str, *, limit: str, most: float) -> None:
        super().__init__(problem)
        self.limit = limit
        self.most = most


class UnknownEncoding(CallerError):
    """A body is packed in a way that is not known here."""


class StateError(RegistaError):
    """The request is right, but not for the present state."""


class Conflict(StateError):
    """A precondition of a transaction does not hold at `index`; plan it again on a replica that has it."""

    def __init__(self, problem: str, *, index: int) -> None:
        super().__init__(problem)
        self.index = index


class Contended(StateError):
    """Others kept changing the same records between plan and commit."""


class Overloaded(StateError):
    """A limit is reached.

    Attributes:
        limit: the setting's name in the configuration, such as `store.commit_queue_max`.
        used: how much of it is in use.
        most: how much there may be.
        retry_after_s: when asking again makes sense, in seconds.
    """

    def __init__(self, limit: str, *, used: int, most: int, retry_after_s: float = 1.0) -> None:
        super().__init__(
            f"{limit} is reached: {used} of {most} in use. Try again in {retry_after_s:g}s, or raise "
            f"{limit} in the agent's configuration."
        )
        self.limit = limit
        self.used = used
        self.most = most
        self.retry_after_s = retry_after_s


class Shed(Overloaded):
    """The agent has too much to do, and refuses what can best be missed.

    Attributes:
        load: the class of the request, such as `list`.
        ends_connection: whether the connection is wanted for others.
    """

    def __init__(
        self,
        limit: str,
        *,
        used: int,
        most: int,
        load: str,
        retry_after_s: float = 5.0,
        ends_connection: bool = False,
    ) -> None:
        super().__init__(limit, used=used, most=most, retry_after_s=retry_after_s)
        problem = (
            f"the agent has too much to do ({limit}: {used} of {most}) and refuses requests of the class {load}, "
            f"so that registrations and renewals are answered. Try again in {retry_after_s:g}s; see "
            "/v1/regista/limits."
        )
        self.args = (problem,)
        self.load = load
        self.ends_connection = ends_connection


class StoreError(RegistaError):
    """The store can't do what it was asked."""


class Compacted(StoreError):
    """The log no longer reaches back to the index asked for.

    Attributes:
        floor_index: changes after this index are still there.
    """

    def __init__(self, *, floor_index: int) -> None:
        super().__init__(f"the log is kept only after index {floor_index}; ask for what is later, or read again")
        self.floor_index = floor_index


class StoreDamaged(StoreError):
    """The file is not a sound database of Regista's; it is left as it is."""


class StoreInUse(StoreError):
    """Another agent has the data directory open."""


class StoreTooNew(StoreError):
    """A later version of Regista wrote the file."""


class StoreUnavailable(StoreError):
    """The store can't be written just now; reads go on."""


class ConfigError(RegistaError):
    """The configuration can't be used; the text names the key and what it may be."""
