"""What each kind of rule finds, in all and batch by batch."""

import types

import pytest
from hypothesis import given, settings
from tests.strategies import batch_lists
from tests.unit.notify.alert_world import AlertWorld

from regista.catalog import RULE_KINDS, Catalog, decide_state, set_node_maintenance
from regista.model import AlertRule, Check
from regista.notify.alert_facts import Touched, Unwell
from regista.notify.alert_watchers import WATCHERS, Certificate, Places, Sources


def places(world, *, certificate=None, store_away_s=None):
    return Places(
        Sources(
            catalog=world.catalog,
            protections=lambda: world.protections,
            store_away_s=lambda: store_away_s,
            wall_clock=lambda: world.now_s,
        ),
        lambda: Unwell(world.catalog),
        lambda _: certificate,
    )


def find(world, *, certificate=None, store_away_s=None, **rule):
    """The findings of a rule, by subject."""
    found = AlertRule(name="r", **rule)
    watcher = WATCHERS[found.rule_kind](found, places(world, certificate=certificate, store_away_s=store_away_s))
    return {key: finding for key, finding in watcher.look(None).items() if finding is not None}


def test_every_kind_has_its_watcher():
    """What a rule may be is what is looked at."""
    assert WATCHERS.keys() == RULE_KINDS.keys()


@pytest.mark.parametrize(
    ("statuses", "fields", "sentence"),
    [
        (["passing", "passing"], {"healthy_min": 2}, None),
        (
            ["passing", "critical"],
            {"healthy_min": 2},
            "service web: 1 of 2 instances are passing, and there should be 2",
        ),
        (
            ["passing", "warning"],
            {"healthy_min": 2},
            "service web: 1 of 2 instances are passing, and there should be 2",
        ),
        ([], {"healthy_min": 1}, "service web: there is no instance, and there should be 1"),
        (["passing", "critical"], {"share_min": 0.5}, None),
        (
            ["critical"] * 3 + ["passing"],
            {"share_min": 0.5},
            "service web: 1 of 4 instances are passing, and there should be 50%",
        ),
    ],
)
def test_a_service_with_too_few(statuses, fields, sentence):
    """By number, or by share; what only warns is not passing, and a service that was named may be gone."""
    world = AlertWorld()
    for number, status in enumerate(statuses):
        world.add(f"web-{number}", status=status)
    found = find(world, rule_kind="service_healthy_below", service="web", **fields)
    assert [each.sentence for each in found.values()] == ([sentence] if sentence else [])


@pytest.mark.parametrize(
    ("off_duty", "on_duty", "there"),
    [
        (1, 0, "1 drains or is in maintenance"),
        (2, 0, "2 drain or are in maintenance"),
        (2, 1, "1 of 1 instances are passing, 2 drain or are in maintenance"),
    ],
)
def test_who_is_off_duty_is_told_of(off_duty, on_duty, there):
    """A service of which some or all are in maintenance is not said to have no instance, nor to be all passing."""
    world = AlertWorld()
    for number in range(off_duty):
        world.add(f"off-{number}", node="resting")
    for number in range(on_duty):
        world.add(f"on-{number}")
    world.commit(set_node_maintenance(world.catalog, "resting", is_enabled=True, reason="disks"))
    (found,) = find(world, rule_kind="service_healthy_below", service="web", healthy_min=5).values()
    assert found.sentence == f"service web: {there}, and there should be 5"


def test_a_pattern_watches_each_service_there_is():
    """`*` is for every service by itself, and misses none that has gone."""
    world = AlertWorld()
    world.add("a-1", name="A", status="critical")
    world.add("b-1", name="b")
    found = find(world, rule_kind="service_healthy_below", service="*", healthy_min=1)
    assert [(key, each.labels) for key, each in found.items()] == [("a", {"service": "A"})]
    world.remove("a-1")
    assert find(world, rule_kind="service_healthy_below", service="*", healthy_min=1) == {}


def test_what_is_in_maintenance_does_not_count():
    """Somebody wants it so: of a share it is left out, of a number it is missing."""
    world = AlertWorld()
    world.add("web-1")
    world.commit(set_node_maintenance(world.catalog, "n1", is_enabled=True, reason="disks"))
    assert find(world, rule_kind="service_healthy_below", service="w*", share_min=0.5) == {}
    assert find(world, rule_kind="service_healthy_below", service="web", healthy_min=1)
    assert find(world, rule_kind="check_critical_for", for_s=1.0) == {}


def test_critical_checks_by_pattern():
    """Service, node and check select; a node's own check is one of no service."""
    world = AlertWorld()
    world.add("web-1", status="critical")
    world.put(Check(node="n1", id="disk", name="disk", status="critical", output="full\nof logs"))
    kind = {"rule_kind": "check_critical_for", "for_s": 1.0}
    assert sorted(find(world, **kind)) == ["n1/c-web-1", "n1/disk"]
    assert sorted(find(world, **kind, service="WEB")) == ["n1/c-web-1"]
    assert sorted(find(world, **kind, node="n2")) == []
    (found,) = find(world, **kind, check="d?sk").values()
    assert found.sentence == 'check "disk" of node n1 is critical: full of logs'
    assert found.labels == {"service": "", "instance": "", "node": "n1", "check": "disk"}


def test_flapping_protection_store_and_certificates():
    """The kinds that are no records: marks, mass losses, the store, files."""
    world = AlertWorld()
    world.add("web-1")
    entry = world.catalog.checks["n1/c-web-1"]
    world.catalog.set_mark("flapping", entry.record, "It changes.")
    (found,) = find(world, rule_kind="flapping").values()
    assert found.words["why"] == "It changes."
    assert find(world, rule_kind="flapping", service="api") == {}

    loss = {"scope": "web", "held": 60, "of": 100, "share": 0.6, "limit": 0.15, "command": "off"}
    world.protections = [types.SimpleNamespace(**loss)]
    (found,) = find(world, rule_kind="protection_on").values()
    assert found.value == 60.0
    assert "60 of 100 instances of service web" in found.sentence

    assert find(world, rule_kind="store_unreachable") == {}
    (found,) = find(world, rule_kind="store_unreachable", store_away_s=12.3).values()
    assert found.sentence == "nothing could be written for 12 s"


@pytest.mark.parametrize(
    ("certificate", "start"),
    [
        (None, None),
        (Certificate(end_s=1_700_000_000.0 + 8 * 86400), None),
        (Certificate(end_s=1_700_000_000.0 + 3 * 86400), "a certificate in /x.pem ends in 3.0 days"),
        (Certificate(end_s=1_700_000_000.0 - 86400), "a certificate in /x.pem has ended"),
        (Certificate(problem="no such file"), "the certificates in /x.pem can't be read: no such file"),
    ],
)
def test_a_certificate_near_its_end(certificate, start):
    """It is told of what ends soon, has ended or can't be read; not of what was not read yet."""
    rule = {"rule_kind": "certificate_expires_within", "file": "/x.pem", "within_s": 7 * 86400.0}
    found = find(AlertWorld(), certificate=certificate, **rule)
    assert [each.sentence.startswith(start) for each in found.values()] == ([True] if start else [])


@pytest.mark.parametrize("kind", sorted(RULE_KINDS))
def test_the_words_and_labels_are_those_that_are_promised(kind):
    """Texts are checked against these words when a rule is written, and filled in with them later."""
    world = AlertWorld()
    world.add("web-1", status="critical")
    world.catalog.set_mark("flapping", world.catalog.checks["n1/c-web-1"].record, "It changes.")
    loss = {"scope": "web", "held": 60, "of": 100, "share": 0.6, "limit": 0.15, "command": "off"}
    world.protections = [types.SimpleNamespace(**loss)]
    fields = {"service": "web", "healthy_min": 1} if kind == "service_healthy_below" else {}
    (found,) = find(
        world,
        rule_kind=kind,
        certificate=Certificate(problem="none"),
        store_away_s=1.0,
        **(fields or {"file": "/x" if kind.startswith("cert") else ""}),
    ).values()
    assert set(found.words) == set(RULE_KINDS[kind].words)
    assert set(found.labels) == set(RULE_KINDS[kind].labels)


@given(batch_lists)
@settings(max_examples=60, deadline=None)
def test_batch_by_batch_is_as_from_the_beginning(batches):
    """Following the log, the unwell instances and critical checks are those that a look at everything finds."""
    catalog = Catalog()
    unwell = Unwell(catalog)
    rule = AlertRule(name="r", rule_kind="check_critical_for", for_s=1.0)
    world = types.SimpleNamespace(catalog=catalog, protections=[], now_s=0.0)
    watcher = WATCHERS[rule.rule_kind](rule, places(world))
    holding = {}
    for batch in batches:
        catalog.apply(batch)
        touched = Touched()
        touched.note(catalog, batch)
        unwell.follow(touched)
        holding.update(watcher.look(touched))
    for name, group in catalog.service_indexes.by_name.items():
        states = [decide_state(catalog.check_entries(entry.record)) for entry in group.members.values()]
        off = sum(state in ("draining", "maintenance") for state in states)
        assert unwell.counts(name) == (states.count("passing"), len(states) - off)
    assert {key for key, found in holding.items() if found} == {
        key for key, found in watcher.look(None).items() if found
    }


def test_names_are_told_as_they_are_spelled():
    """A rule finds a service whatever the case of its name."""
    world = AlertWorld()
    world.add("w-1", name="Web", status="critical")
    (found,) = find(world, rule_kind="service_healthy_below", service="wEB", healthy_min=1).values()
    assert found.labels == {"service": "Web"}
