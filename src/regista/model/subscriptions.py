"""Webhooks: who wants events sent to a URL, how far each has come, and what could not be delivered."""

from __future__ import annotations

from typing import ClassVar

import msgspec

SET = "set"
"""What shows of a secret."""


class Subscription(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A wish to have events sent.

    Attributes:
        types: as they were written: types of events, or all of a room (`service`, `kv.*`); empty for all.
        services, tags, statuses, nodes: words in any case; empty for all.
        key_prefix: only of keys that begin so.
        after_index: events after this index are sent; None for those after the subscription was made.
        secret: what deliveries are signed with. Shown to nobody, see `without_secrets`.
        previous_secret: the one before; signed with too until `previous_until_s`, in seconds since the epoch.
        headers: sent with each delivery; their values are as secret.
        disabled_because: why it was disabled by the server; "" where somebody did, or it is enabled.
    """

    kind: ClassVar[str] = "subscription"

    id: str
    url: str
    secret: str
    name: str = ""
    types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    key_prefix: str = ""
    after_index: int | None = None
    previous_secret: str = ""
    previous_until_s: float = 0.0
    headers: dict[str, str] | None = None
    is_enabled: bool = True
    disabled_because: str = ""

    @property
    def key(self) -> str:
        """The record's key: the id."""
        return self.id

    @property
    def shown_url(self) -> str:
        """The URL with what may be a secret in it struck out."""
        return without_credentials(self.url)


class Delivery(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """How far a subscription's deliveries have come; written now and then, so what follows may have been sent too.

    Attributes:
        index, position: the last event that was settled; all of the transaction where `position` is None.
        attempts: how often the next event was sent in vain.
        failing_since_s: when it was sent first, in seconds since the epoch; 0 if it was not.
        dropped: how many dead letters were given up because there were too many.
        is_foreign: whether `index` is of another log, and the receiver is still to be told to read anew.
    """

    kind: ClassVar[str] = "delivery"

    subscription: str
    index: int
    position: int | None = None
    attempts: int = 0
    failing_since_s: float = 0.0
    dropped: int = 0
    is_foreign: bool = False

    @property
    def key(self) -> str:
        """The record's key: the subscription's id."""
        return self.subscription


class DeadLetter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """An event that could not be delivered.

    Attributes:
        event: the event's id.
        type: the event's type.
        body: as it was sent.
        at_s: when it was given up, in seconds since the epoch.
        attempts: how often it was sent.
        error: what came of the last attempt.
    """

    kind: ClassVar[str] = "dead-letter"

    subscription: str
    event: str
    type: str
    body: str
    at_s: float
    attempts: int
    error: str

    @property
    def key(self) -> str:
        """The record's key: `subscription/event`."""
        return dead_letter_key(self.subscription, self.event)


def dead_letter_key(subscription: str, event: str) -> str:
    """The key of a dead letter."""
    return f"{subscription}/{event}"


def without_credentials(url: str) -> str:
    """The URL without user and password, and without the values of its query: any of them may be a token."""
    head, hash_mark, _ = url.partition("#")
    head, question_mark, query = head.partition("?")
    scheme, slashes, rest = head.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        authority = "***@" + authority.rpartition("@")[2]
    if question_mark:
        query = "&".join(
            f"{name}{equals}***" if equals else "***" if name else ""
            for name, equals, _ in (pair.partition("=") for pair in query.split("&"))
        )
    return f"{scheme}{slashes}{authority}{slash}{path}{question_mark}{query}{hash_mark}"


def url_origin(url: str) -> str:
    """Scheme, host and port of a URL, to be compared: whoever has these is sent what is secret in the headers."""
    scheme, _, rest = url.partition("://")
    authority = rest.partition("/")[0].partition("?")[0].partition("#")[0]
    return f"{scheme}://{authority.rpartition('@')[2]}".lower()


def without_secrets(subscription: Subscription) -> Subscription:
    """As it may be shown, to anybody, in every place."""
    return msgspec.structs.replace(
        subscription,
        url=subscription.shown_url,
        secret=SET if subscription.secret else "",
        previous_secret=SET if subscription.previous_secret else "",
        headers=dict.fromkeys(subscription.headers, SET) if subscription.headers else subscription.headers,
    )
