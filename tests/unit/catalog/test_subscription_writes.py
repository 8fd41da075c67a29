"""Plans that change subscriptions, their cursors and dead letters."""

import pytest

from regista.catalog import (
    Catalog,
    EventFilter,
    bury_event,
    create_subscription,
    delete_subscription,
    disable_subscription,
    drop_dead_letters,
    event_filter,
    keep_dead_letter,
    move_deliveries,
    replace_subscription,
)
from regista.model import BadInput, Batch, DeadLetter, Delivery, NotFound, Overloaded, Subscription, Transaction


def apply(catalog, transaction):
    """Commits it, once its conditions hold."""
    for condition in transaction.conditions:
        found = catalog.find(condition.kind, condition.key)
        assert condition.modify_index == (found.modify_index if found else 0)
    if transaction.changes:
        catalog.apply(Batch(catalog.index + 1, 0.0, transaction.changes))


def subscription(**fields):
    return Subscription(**{"id": "s1", "url": "http://a.example/", "secret": "old", **fields})


@pytest.fixture
def catalog():
    """With the subscription s1."""
    catalog = Catalog()
    headers = {"X-Key": "k"}
    wanted = subscription(url="http://u:p@a.example/?t=1", headers=headers, after_index=0)
    apply(catalog, create_subscription(catalog, wanted, subscriptions_max=1))
    return catalog


def replace(catalog, **fields):
    wanted = subscription(**{"secret": "", **fields})
    apply(catalog, replace_subscription(catalog, wanted, now_s=100.0, rotation_s=10.0))
    return catalog.subscriptions["s1"].record


def letter(number, **fields):
    return DeadLetter(
        subscription="s1",
        event=f"{number}.0",
        type="kv.created",
        body="{}",
        **{"at_s": 1.0, "attempts": 3, "error": "no", **fields},
    )


def test_there_is_a_limit(catalog):
    """One more is refused, by the name of the setting."""
    with pytest.raises(Overloaded) as error:
        create_subscription(catalog, subscription(id="s2"), subscriptions_max=1)
    assert error.value.limit == "notify.subscriptions_max"


def test_what_is_secret_stays_unless_it_is_given(catalog):
    """An empty secret, an empty header and the URL as it is shown are as before; so is where it began."""
    found = replace(catalog, url="http://***@a.example/?t=***", headers={"x-key": "", "X-New": "n"}, name="new")
    assert (found.url, found.secret, found.name) == ("http://u:p@a.example/?t=1", "old", "new")
    assert found.headers == {"x-key": "k", "X-New": "n"}
    assert found.after_index == 0


def test_a_new_secret_lets_the_old_one_count_for_a_while(catalog):
    """And only the one before."""
    found = replace(catalog, secret="new")
    assert (found.secret, found.previous_secret, found.previous_until_s) == ("new", "old", 110.0)
    assert replace(catalog, name="x").previous_secret == "old"
    assert replace(catalog, secret="newest").previous_secret == "new"


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://b.example/", {"X-Key": ""}),
        ("http://a.example:81/", {"X-Key": ""}),
        ("https://a.example/", {"X-Key": ""}),
        ("http://a.example@b.example/", {"X-Key": ""}),
        ("http://a.example/", {"X-Other": ""}),
    ],
)
def test_secret_headers_do_not_follow_a_url_that_leads_elsewhere(catalog, url, headers):
    """Whoever may change a subscription could read them there; nor is there a value for a header that is new."""
    with pytest.raises(BadInput) as error:
        replace(catalog, url=url, headers=headers)
    assert error.value.field == "headers"


def test_what_is_deleted_leaves_nothing(catalog):
    """Neither cursor nor dead letters; and what is written of it later is not kept."""
    apply(catalog, bury_event(catalog, letter(1), Delivery(subscription="s1", index=1), dead_letters_max=9))
    apply(catalog, delete_subscription(catalog, "s1"))
    assert catalog.deliveries == catalog.dead_letters.entries == catalog.dead_letters.by_subscription == {}
    for transaction in (
        move_deliveries(catalog, [Delivery(subscription="s1", index=2)]),
        bury_event(catalog, letter(2), Delivery(subscription="s1", index=2), dead_letters_max=9),
        keep_dead_letter(catalog, letter(1)),
        disable_subscription(catalog, "s1", "gone"),
    ):
        assert transaction == Transaction()
    with pytest.raises(NotFound):
        delete_subscription(catalog, "s1")


def test_dead_letters_make_room(catalog):
    """The oldest go first and are counted; one that is buried again keeps its place."""
    for number in (1, 2, 3, 1, 4):
        delivery = Delivery(subscription="s1", index=number)
        apply(catalog, bury_event(catalog, letter(number), delivery, dead_letters_max=3))
    assert [entry.record.event for entry in catalog.dead_letters.of("s1")] == ["2.0", "3.0", "4.0"]
    assert catalog.deliveries["s1"].record == Delivery(subscription="s1", index=4, dropped=1)
    apply(catalog, move_deliveries(catalog, [Delivery(subscription="s1", index=9)]))
    assert catalog.deliveries["s1"].record.dropped == 1
    apply(catalog, keep_dead_letter(catalog, letter(2, attempts=4)))
    assert [entry.record.attempts for entry in catalog.dead_letters.of("s1")] == [4, 3, 3]
    apply(catalog, drop_dead_letters(catalog, "s1", "3.0"))
    with pytest.raises(NotFound):
        drop_dead_letters(catalog, "s1", "3.0")
    apply(catalog, drop_dead_letters(catalog, "s1", ""))
    assert catalog.dead_letters.of("s1") == []


def test_what_the_words_of_a_subscription_mean():
    """Rooms are all their types; cases don't matter, but of keys."""
    found = event_filter(subscription(types=("kv", "node.updated"), services=("WEB",), key_prefix="A/"))
    assert found == EventFilter(
        types=frozenset(("kv.created", "kv.updated", "kv.deleted", "node.updated")),
        services=frozenset(("web",)),
        key_prefix="A/",
    )
