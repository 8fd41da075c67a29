"""Transactions that change subscriptions and what is known of their deliveries.

See `writes.py` for what a plan is.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import (
    BadInput,
    DeadLetter,
    Delivery,
    Entry,
    NotFound,
    Overloaded,
    Subscription,
    Transaction,
    dead_letter_key,
    url_origin,
)


def create_subscription(catalog: Catalog, wanted: Subscription, *, subscriptions_max: int) -> Transaction:
    """The subscription as it is given; its id is fresh.

    Raises:
        BadInput: `after_index` lies in the future.
        Overloaded: there are as many as may be.
    """
    if len(catalog.subscriptions) >= subscriptions_max:
        raise Overloaded("notify.subscriptions_max", used=len(catalog.subscriptions), most=subscriptions_max)
    if wanted.after_index is not None and wanted.after_index > catalog.index:
        raise BadInput(f"Invalid after_index: the log ends at index {catalog.index}", field="after_index")
    draft = Draft()
    draft.put(catalog.subscriptions.get(wanted.key), wanted)
    return draft.transaction()


def replace_subscription(
    catalog: Catalog, wanted: Subscription, *, now_s: float, rotation_s: float
) -> Transaction:
    """The subscription of that id as it is given, but for where it began, and for what is as secret as before.

    An empty secret is the one before, an empty header has its value from before, and a URL that is as the one
    before was shown is that one. After a new secret the one before counts for `rotation_s` more.

    Args:
        now_s: seconds since the epoch.

    Raises:
        NotFound: there is none.
        BadInput: an empty header had no value before, or the URL leads to another host.
    """
    before = find_subscription(catalog, wanted.id).record
    draft = Draft()
    wanted = msgspec.structs.replace(
        wanted,
        url=before.url if wanted.url == before.shown_url else wanted.url,
        headers=_kept_headers(before, wanted),
        after_index=before.after_index,
    )
    if wanted.secret in ("", before.secret):
        wanted = msgspec.structs.replace(
            wanted,
            secret=before.secret,
            previous_secret=before.previous_secret,
            previous_until_s=before.previous_until_s,
        )
    else:
        wanted = msgspec.structs.replace(
            wanted, previous_secret=before.secret, previous_until_s=now_s + rotation_s
        )
    draft.put(catalog.subscriptions[wanted.key], wanted)
    return draft.transaction()


def _kept_headers(before: Subscription, wanted: Subscription) -> dict[str, str] | None:
    """The headers as wanted; an empty one has its value from before."""
    if not wanted.headers:
        return wanted.headers
    values = {name.lower(): value for name, value in (before.headers or {}).items()}
    kept = [name for name, value in wanted.headers.items() if not value]
    for name in kept:
        if name.lower() not in values:
            raise BadInput(
                f"Invalid headers: {name} has no value yet that could be kept; give one", field="headers"
            )
    if kept and url_origin(wanted.url) != url_origin(before.url):
        # Whoever may change a subscription must not be able to have its secrets sent to themselves.
        problem = f"give the value of {kept[0]} again, for the URL leads to another host"
        raise BadInput(f"Invalid headers: {problem}", field="headers")
    return {name: value or values[name.lower()] for name, value in wanted.headers.items()}


def disable_subscription(catalog: Catalog, subscription_id: str, because: str) -> Transaction:
    """The subscription disabled; no changes if it is, or is gone."""
    found = catalog.subscriptions.get(subscription_id)
    draft = Draft()
    if found is not None and found.record.is_enabled:
        draft.put(found, msgspec.structs.replace(found.record, is_enabled=False, disabled_because=because))
    return draft.transaction()


def delete_subscription(catalog: Catalog, subscription_id: str) -> Transaction:
    """The subscription gone, with all that belongs to it.

    Raises:
        NotFound: there is none.
    """
    draft = Draft()
    draft.delete(find_subscription(catalog, subscription_id))
    delivery = catalog.deliveries.get(subscription_id)
    if delivery is not None:
        draft.delete(delivery)
    else:
        draft.rests_on(Delivery.kind, subscription_id, None)
    for letter in catalog.dead_letters.of(subscription_id):
        draft.delete(letter)
    return draft.transaction()


def move_deliveries(catalog: Catalog, deliveries: Iterable[Delivery]) -> Transaction:
    """How far deliveries have come, for all whose subscription there still is."""
    draft = Draft()
    for delivery in deliveries:
        _move(catalog, draft, delivery)
    return draft.transaction()


def bury_event(catalog: Catalog, letter: DeadLetter, delivery: Delivery, *, dead_letters_max: int) -> Transaction:
    """The event among the dead letters, and its delivery settled; the oldest letters make room."""
    draft = Draft()
    letters = catalog.dead_letters.of(letter.subscription)
    before = catalog.dead_letters.entries.get(letter.key)
    others = [each for each in letters if each is not before]
    surplus = others[: max(0, len(others) + 1 - dead_letters_max)]
    for each in surplus:
        draft.delete(each)
    if _move(catalog, draft, delivery, dropped=len(surplus)):
        draft.put(before, letter)
        return draft.transaction()
    return Transaction()


def keep_dead_letter(catalog: Catalog, letter: DeadLetter) -> Transaction:
    """What came of sending a dead letter again in vain; no changes if it is gone."""
    found = catalog.dead_letters.entries.get(letter.key)
    draft = Draft()
    if found is not None:
        draft.put(found, letter)
    return draft.transaction()


def drop_dead_letters(catalog: Catalog, subscription_id: str, event: str) -> Transaction:
    """The dead letter of an event gone, or ("") all of the subscription.

    Raises:
        NotFound: there is no such subscription, or no such letter.
    """
    find_subscription(catalog, subscription_id)
    found = catalog.dead_letters.of(subscription_id)
    if event:
        found = [find_dead_letter(catalog, subscription_id, event)]
    draft = Draft()
    for entry in found:
        draft.delete(entry)
    return draft.transaction()


def find_subscription(catalog: Catalog, subscription_id: str) -> Entry[Subscription]:
    """The subscription of that id.

    Raises:
        NotFound: there is none.
    """
    found = catalog.subscriptions.get(subscription_id)
    if found is None:
        raise NotFound(f'there is no subscription "{subscription_id[:64]}"')
    return found


def find_dead_letter(catalog: Catalog, subscription_id: str, event: str) -> Entry[DeadLetter]:
    """The dead letter of an event.

    Raises:
        NotFound: there is none.
    """
    found = catalog.dead_letters.entries.get(dead_letter_key(subscription_id, event))
    if found is None:
        raise NotFound(f'subscription "{subscription_id[:64]}" has no dead letter "{event[:64]}"')
    return found


def _move(catalog: Catalog, draft: Draft, delivery: Delivery, *, dropped: int = 0) -> bool:
    """Puts a delivery where it has come to; false if its subscription is gone."""
    subscription = catalog.subscriptions.get(delivery.subscription)
    if subscription is None:
        return False
    # Whoever deletes the subscription at the same time finds this record, or this finds no subscription.
    draft.rests_on(Subscription.kind, subscription.record.key, subscription)
    found = catalog.deliveries.get(delivery.key)
    count = dropped + (found.record.dropped if found else 0)
    draft.put(found, msgspec.structs.replace(delivery, dropped=count))
    return True
