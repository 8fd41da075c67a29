"""Plans: what they change, what they refuse, and what they rest on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from regista.catalog import (
    Catalog,
    CatalogEntry,
    Registration,
    check_incarnation,
    deregister_check,
    deregister_node,
    deregister_service,
    forget_tombstones,
    managed_by,
    register_check,
    register_in_catalog,
    register_node,
    register_service,
    service_topic,
    set_check_status,
    take_over_node,
)
from regista.model import (
    Batch,
    Check,
    CheckDefinition,
    Conflict,
    Delete,
    Entry,
    Forbidden,
    Node,
    NotFound,
    Put,
    Record,
    RegistaError,
    Service,
    StaleIncarnation,
    Tombstone,
    Transaction,
)

NOW_S = 1000.0
WEB = Service(node="n1", id="web-1", name="web", port=80, manager="agent", incarnation="")
CHECK = Check(node="n1", id="c", name="c", service_id="web-1", service_name="web", type="ttl", manager="agent")


def tables(catalog: Catalog) -> dict[str, dict[str, Entry]]:
    return {
        "node": catalog.nodes,
        "service": catalog.services,
        "check": catalog.checks,
        "tombstone": catalog.tombstones,
    }


def broken_conditions(catalog: Catalog, transaction: Transaction) -> list[str]:
    """The keys of the conditions that don't hold now."""
    held = tables(catalog)
    return [
        condition.key
        for condition in transaction.conditions
        if getattr(held[condition.kind].get(condition.key), "modify_index", 0) != condition.modify_index
    ]


def commit(catalog: Catalog, transaction: Transaction) -> bool:
    """Does what a store and its replica do; whether there was anything to do."""
    broken = broken_conditions(catalog, transaction)
    if broken:
        raise Conflict(f"{broken} changed", index=catalog.index)
    keys = [(change.record.kind, change.record.key) for change in transaction.changes]
    assert len(keys) == len(set(keys)), "no two changes of a transaction name the same record"
    assert transaction.changes or not transaction.conditions
    if transaction.changes:
        catalog.apply(Batch(catalog.index + 1, NOW_S, transaction.changes))
    return bool(transaction.changes)


def catalog_of(*records: Record) -> Catalog:
    catalog = Catalog()
    commit(catalog, Transaction(tuple(Put(record) for record in records)))
    return catalog


def register(catalog: Catalog, service: Service = WEB, *checks: Check, **wanted) -> bool:
    wanted.setdefault("new_incarnation", f"life-{catalog.index}")
    return commit(catalog, register_service(catalog, Registration(service, checks, **wanted), now_s=NOW_S))


def deregister(catalog: Catalog, *, incarnation: str = "", reason: str = "was deregistered by its owner") -> bool:
    return commit(
        catalog,
        deregister_service(catalog, "n1", "web-1", reason=reason, now_s=NOW_S, incarnation=incarnation),
    )


def changed(record, **fields):
    return msgspec.structs.replace(record, **fields)


# ---- registering ----


def test_an_identical_registration_writes_nothing():
    """Registering the same thing a thousand times costs one index, and neither status nor watchers move."""
    catalog = Catalog()
    assert register(catalog, WEB, CHECK)
    commit(catalog, set_check_status(catalog, CHECK.key, "passing", "ok"))
    index = catalog.index
    catalog.topics.watch([service_topic("web")], lambda: pytest.fail("was woken"))
    for _ in range(1000):
        assert not register(catalog, WEB, CHECK, new_incarnation="never used")
    assert catalog.index == index
    assert catalog.checks[CHECK.key].record.status == "passing"


def test_an_identical_registration_in_another_case_is_another():
    """Names are kept as they were spelled last, so another spelling of the same instance is a change."""
    catalog = Catalog()
    register(catalog)
    assert register(catalog, changed(WEB, id="WEB-1"))
    assert len(catalog.services) == 1
    assert catalog.services[WEB.key].record.id == "WEB-1"


def test_a_changed_port_keeps_the_status():
    """Registering with another port changes the port; the check keeps the status and output that it had."""
    catalog = Catalog()
    register(catalog, WEB, CHECK)
    commit(catalog, set_check_status(catalog, CHECK.key, "passing", "fine"))
    register(catalog, changed(WEB, port=81), changed(CHECK, status="critical", output="", notes="new"))
    check = catalog.checks[CHECK.key].record
    assert (check.status, check.output, check.notes) == ("passing", "fine", "new")
    assert catalog.services[WEB.key].record.port == 81
    assert catalog.services[WEB.key].create_index == 1


def test_a_new_check_begins_as_it_says():
    """The status in a registration counts for a check that is new, or that was another instance's."""
    catalog = Catalog()
    register(catalog, WEB, changed(CHECK, status="passing"))
    assert catalog.checks[CHECK.key].record.status == "passing"
    register(catalog, changed(WEB, id="web-2"), changed(CHECK, service_id="web-2", status="warning"))
    assert catalog.checks[CHECK.key].record.status == "warning"
    assert catalog.check_indexes.by_instance.keys() == {"n1/web-2"}


def test_checks_that_are_not_named_stay_or_go():
    """Checks that a registration does not name stay, unless it says that its checks are all there are."""
    catalog = Catalog()
    other = changed(CHECK, id="other")
    of_node = Check(node="n1", id="of-node", name="of node")
    commit(catalog, register_check(catalog, of_node))
    register(catalog, WEB, CHECK, other)
    register(catalog, WEB, CHECK)
    assert catalog.checks.keys() == {CHECK.key, other.key, of_node.key}
    register(catalog, WEB, CHECK, replace_checks=True)
    assert catalog.checks.keys() == {CHECK.key, of_node.key}
    register(catalog, WEB, replace_checks=True)
    assert catalog.checks.keys() == {of_node.key}


def test_a_renamed_service_leaves_its_old_name():
    """An instance with another name is found by the new one only; the log tells readers what it was called."""
    catalog = Catalog()
    register(catalog, WEB, CHECK)
    woken = []
    for name in ("web", "api"):
        catalog.topics.watch([service_topic(name)], lambda name=name: woken.append(name))
    plan = register_service(catalog, Registration(changed(WEB, name="api")), now_s=NOW_S)
    (put,) = plan.changes
    assert put.replaces.name == "web"
    commit(catalog, plan)
    assert catalog.service_indexes.by_name.keys() == {"api"}
    assert sorted(woken) == ["api", "web"]
    assert catalog.services[WEB.key].create_index == 1


def test_a_change_tells_what_it_replaces():
    """A put of what is there already carries the record as it was, and a put of something new carries none."""
    catalog = Catalog()
    first = register_service(catalog, Registration(WEB, (CHECK,)), now_s=NOW_S)
    assert [change.replaces for change in first.changes] == [None, None]
    commit(catalog, first)
    web, check = catalog.services[WEB.key].record, catalog.checks[CHECK.key].record
    plan = register_service(catalog, Registration(changed(WEB, port=9), (changed(CHECK, notes="n"),)), now_s=NOW_S)
    assert [change.replaces for change in plan.changes] == [web, check]


def test_a_check_takes_the_name_and_tags_of_its_instance():
    """A check that is registered on its own carries the name and tags that its instance has then."""
    catalog = Catalog()
    register(catalog, changed(WEB, tags=("v1",)))
    commit(catalog, register_check(catalog, changed(CHECK, service_name="made up")))
    check = catalog.checks[CHECK.key].record
    assert (check.service_name, check.service_tags) == ("web", ("v1",))


def test_a_check_of_nothing_is_refused():
    """A check that names an instance which is not there is refused with what to do."""
    with pytest.raises(NotFound, match=r'"web-1" does not exist. Register the service first'):
        register_check(Catalog(), CHECK)
    assert commit(Catalog(), register_check(Catalog(), changed(CHECK, service_id="")))


def test_a_status_is_written_when_it_changes():
    """The same status with other output writes nothing; a new one is written with its output."""
    catalog = Catalog()
    register(catalog, WEB, CHECK)
    assert not commit(catalog, set_check_status(catalog, CHECK.key, "critical", "other output"))
    assert not commit(catalog, set_check_status(catalog, "n1/absent", "passing", ""))
    assert commit(catalog, set_check_status(catalog, CHECK.key, "passing", "well"))
    check = catalog.checks[CHECK.key].record
    assert (check.status, check.output) == ("passing", "well")


# ---- incarnations ----


def test_what_was_deregistered_cannot_come_back():
    """A late message of an incarnation that ended is refused, with when and why; a new incarnation is accepted."""
    catalog = Catalog()
    register(catalog, new_incarnation="first")
    deregister(catalog, reason="was deregistered by an operator")
    for _ in range(2):
        with pytest.raises(
            StaleIncarnation, match=r"first.*was deregistered by an operator.*new incarnation"
        ) as caught:
            register(catalog, changed(WEB, incarnation="first"))
        assert caught.value.incarnation == "first"
        assert not catalog.services
    with pytest.raises(StaleIncarnation):
        check_incarnation(catalog, "N1", "WEB-1", "first")
    register(catalog, changed(WEB, incarnation="second"))
    assert catalog.services[WEB.key].record.incarnation == "second"
    with pytest.raises(StaleIncarnation):
        register(catalog, changed(WEB, incarnation="first"))


def test_an_incarnation_that_was_replaced_is_buried():
    """Who takes an instance over ends the life that it had; the one that was replaced is told by whom."""
    catalog = Catalog()
    register(catalog, changed(WEB, incarnation="first"))
    register(catalog, changed(WEB, incarnation="second"))
    assert catalog.services[WEB.key].record.incarnation == "second"
    with pytest.raises(StaleIncarnation, match="was replaced by incarnation second"):
        register(catalog, changed(WEB, incarnation="first"))


def test_who_claims_nothing_gets_what_there_is():
    """A caller that knows no incarnations renews the one there is, or gets a new one."""
    catalog = Catalog()
    register(catalog, new_incarnation="first")
    register(catalog, changed(WEB, port=1), new_incarnation="second")
    assert catalog.services[WEB.key].record.incarnation == "first"
    deregister(catalog)
    register(catalog, new_incarnation="third")
    assert catalog.services[WEB.key].record.incarnation == "third"
    assert len(catalog.tombstones) == 1


def test_an_old_owner_cannot_end_a_new_life():
    """A late deregistration of another incarnation than the present one is refused and ends nothing."""
    catalog = Catalog()
    register(catalog, changed(WEB, incarnation="second"))
    with pytest.raises(StaleIncarnation, match="is incarnation second now; first can't end it"):
        deregister(catalog, incarnation="first")
    assert WEB.key in catalog.services
    assert deregister(catalog, incarnation="second")


def test_deregistering_what_is_not_there_writes_nothing():
    """Deregistering an unknown instance, check or node is done already."""
    catalog = Catalog()
    assert not deregister(catalog)
    assert not deregister(catalog, incarnation="any")
    assert not commit(catalog, deregister_check(catalog, "n1", "c"))
    assert not commit(catalog, deregister_node(catalog, "n1", reason="was removed", now_s=NOW_S))
    assert catalog.index == 0


def test_deregistering_takes_the_checks_along():
    """An instance goes with its own checks and leaves its node's and other instances'."""
    catalog = Catalog()
    register(catalog, WEB, CHECK, changed(CHECK, id="d"))
    register(catalog, changed(WEB, id="web-2"), changed(CHECK, id="other", service_id="web-2"))
    commit(catalog, register_check(catalog, Check(node="n1", id="of-node", name="of node")))
    deregister(catalog)
    assert catalog.services.keys() == {"n1/web-2"}
    assert catalog.checks.keys() == {"n1/other", "n1/of-node"}


def _tombstones(catalog: Catalog, *ended_at_s: float) -> None:
    for i, at_s in enumerate(ended_at_s):
        commit(catalog, Transaction((Put(Tombstone(node="n", id="i", incarnation=str(i), at_s=at_s)),)))


def test_tombstones_are_kept_for_a_time_and_a_number():
    """Tombstones go when they are old, or when there are too many, oldest first, and only so many at once."""
    catalog = Catalog()
    _tombstones(catalog, 1, 2, 3, 4, 5, 6)

    def left(**bounds) -> list[str]:
        other = catalog_of(*(entry.record for entry in catalog.tombstones.values()))
        commit(other, forget_tombstones(other, **bounds))
        return [entry.record.incarnation for entry in other.tombstones.values()]

    assert left(before_s=0, keep_max=10) == ["0", "1", "2", "3", "4", "5"]
    assert left(before_s=3, keep_max=10) == ["2", "3", "4", "5"]
    assert left(before_s=0, keep_max=4) == ["2", "3", "4", "5"]
    assert left(before_s=4, keep_max=4) == ["3", "4", "5"]
    assert left(before_s=99, keep_max=0) == []
    assert left(before_s=99, keep_max=0, at_once_max=4) == ["4", "5"]


@given(st.lists(st.floats(0, 10), max_size=12), st.floats(0, 10), st.integers(0, 12), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_forgetting_keeps_its_bounds(ended_at_s, before_s, keep_max, at_once_max):
    """Never more than `at_once_max` go at once, and called again and again it comes to the bounds."""
    catalog = Catalog()
    _tombstones(catalog, *sorted(ended_at_s))
    while True:
        plan = forget_tombstones(catalog, before_s=before_s, keep_max=keep_max, at_once_max=at_once_max)
        assert len(plan.changes) <= at_once_max
        if not commit(catalog, plan):
            break
    young = [at_s for at_s in ended_at_s if at_s >= before_s]
    assert len(catalog.tombstones) == min(len(young), keep_max)


# ---- whose record it is ----


def test_the_servers_own_records_are_protected():
    """Nobody but the server changes or deregisters the server's own instance, check and node."""
    own = changed(WEB, manager="server")
    own_check = changed(CHECK, manager="server")
    catalog = catalog_of(Node(name="n1", manager="server"), own, own_check)
    web_2 = changed(WEB, id="web-2")
    refused: list[Callable[[], object]] = [
        lambda: register(catalog, changed(WEB, port=1)),
        lambda: register(catalog, web_2, changed(CHECK, service_id="web-2")),
        lambda: deregister(catalog),
        lambda: register_check(catalog, changed(CHECK, notes="mine")),
        lambda: deregister_check(catalog, "n1", "c"),
        lambda: deregister_node(catalog, "N1", reason="was removed", now_s=NOW_S),
        lambda: register_in_catalog(catalog, CatalogEntry("n1", None, changed(WEB, port=1, manager="catalog"))),
        lambda: register_in_catalog(catalog, CatalogEntry("n1", None, None, (changed(CHECK, status="passing"),))),
    ]
    for attempt in refused:
        with pytest.raises(Forbidden, match=r"own"):
            attempt()
    assert catalog.index == 1
    assert register(catalog, changed(own, port=2), changed(own_check, notes="new"))


def test_a_row_of_the_catalog_beside_an_agents_survives():
    """What is written through the catalog's paths on an agent's node stays there when the agent registers again."""
    catalog = catalog_of(Node(name="n1", address="10.0.0.1", manager="server"))
    register(catalog, WEB, CHECK)
    external = Service(node="n1", id="ext", name="ext")
    external_check = Check(node="n1", id="ext-c", name="c", service_id="ext", status="passing")
    entry = CatalogEntry("n1", Node(name="n1", address="made up"), external, (external_check,), "life-e")
    assert commit(catalog, register_in_catalog(catalog, entry))
    assert catalog.nodes["n1"].record.address == "10.0.0.1"
    assert not commit(catalog, register_in_catalog(catalog, entry))
    register(catalog, changed(WEB, port=9), CHECK, replace_checks=True)
    deregister(catalog)
    assert catalog.services.keys() == {"n1/ext"}
    assert catalog.checks.keys() == {"n1/ext-c"}
    assert catalog.checks["n1/ext-c"].record.service_name == "ext"


def test_writing_beside_an_agent_takes_nothing_from_it():
    """A row that an agent keeps right stays the agent's when it is written through the catalog's paths."""
    definition = CheckDefinition(ttl_s=10.0)
    catalog = catalog_of(Node(name="n1", manager="agent"))
    register(catalog, changed(WEB, ttl_s=30.0), changed(CHECK, definition=definition), new_incarnation="first")
    service = Service(node="n1", id="web-1", name="web", port=81)
    check = Check(node="n1", id="c", name="c", service_id="web-1", status="passing")
    commit(catalog, register_in_catalog(catalog, CatalogEntry("n1", Node(name="n1"), service, (check,), "second")))
    kept = catalog.services[WEB.key].record
    assert (kept.port, kept.manager, kept.incarnation, kept.ttl_s) == (81, "agent", "first", 30.0)
    kept_check = catalog.checks[CHECK.key].record
    assert (kept_check.status, kept_check.manager, kept_check.type, kept_check.definition) == (
        "passing", "agent", "ttl", definition,
    )  # fmt: skip
    assert catalog.nodes["n1"].record.manager == "agent"
    assert managed_by(catalog, "N1", "agent") == ([catalog.services[WEB.key]], [catalog.checks[CHECK.key]])
    assert managed_by(catalog, "n1", "catalog") == ([], [])


def test_a_catalog_registration_is_all_or_nothing():
    """A check that names an instance which is not there spoils the whole registration."""
    catalog = Catalog()
    entry = CatalogEntry("n1", Node(name="n1"), None, (CHECK,))
    with pytest.raises(NotFound, match="Missing service registration"):
        register_in_catalog(catalog, entry)
    assert commit(catalog, register_in_catalog(catalog, CatalogEntry("n1", None)))
    assert catalog.nodes["n1"].record == Node(name="n1")
    assert not commit(catalog, register_in_catalog(catalog, CatalogEntry("N1", None)))


def test_a_node_goes_with_everything_on_it():
    """A node is deregistered with its instances, their checks and its own; each incarnation is buried."""
    catalog = catalog_of(Node(name="n1"), Node(name="n2"), changed(WEB, node="n2"))
    register(catalog, WEB, CHECK)
    commit(catalog, register_check(catalog, Check(node="N1", id="of-node", name="of node")))
    assert commit(catalog, deregister_node(catalog, "N1", reason="was removed", now_s=NOW_S))
    assert (catalog.nodes.keys(), catalog.services.keys(), catalog.checks.keys()) == ({"n2"}, {"n2/web-1"}, set())
    assert [entry.record.reason for entry in catalog.tombstones.values()] == ["was removed"]


def test_what_a_node_left_over_can_be_removed():
    """What was registered while its node was being deregistered goes when that is done again."""
    catalog = catalog_of(WEB, CHECK)
    assert commit(catalog, deregister_node(catalog, "n1", reason="was removed", now_s=NOW_S))
    assert not catalog.services
    assert not catalog.checks


# ---- another name for the agent ----


def test_a_renamed_agent_takes_everything_along():
    """Instances, checks and tombstones of the old name are the new name's, with their lives and statuses."""
    catalog = catalog_of(Node(name="n1", id="i", manager="server"))
    register(catalog, changed(WEB, id="gone"), new_incarnation="ended")
    commit(catalog, deregister_service(catalog, "n1", "gone", reason="was deregistered", now_s=NOW_S))
    register(catalog, WEB, changed(CHECK, status="passing"), new_incarnation="first")
    commit(catalog, take_over_node(catalog, "N1", Node(name="new", id="i", manager="server")))
    assert catalog.nodes.keys() == {"new"}
    assert catalog.services["new/web-1"].record.incarnation == "first"
    assert catalog.checks["new/c"].record.status == "passing"
    assert len(catalog.services) == len(catalog.checks) == len(catalog.tombstones) == 1
    with pytest.raises(StaleIncarnation):
        check_incarnation(catalog, "new", "gone", "ended")


@pytest.mark.parametrize("name", ["n1", "N1"])
def test_taking_over_its_own_name_loses_nothing(name):
    """An agent that keeps its name, or spells it otherwise, keeps everything."""
    catalog = catalog_of(Node(name="n1"), changed(WEB, incarnation="x"), CHECK)
    _tombstones(catalog, 1)
    commit(catalog, take_over_node(catalog, "n1", Node(name=name)))
    assert (catalog.nodes.keys(), catalog.services.keys(), catalog.checks.keys()) == (
        {"n1"},
        {WEB.key},
        {CHECK.key},
    )
    assert catalog.nodes["n1"].record.name == name
    assert len(catalog.tombstones) == 1


def test_taking_over_nothing_registers_the_node():
    """If nothing stands under the old name, the new node is there all the same."""
    catalog = Catalog()
    commit(catalog, take_over_node(catalog, "absent", Node(name="new")))
    assert catalog.nodes.keys() == {"new"}


# ---- what plans rest on ----


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan with its arguments, to be made on any replica."""

    function: Callable[..., Transaction]
    arguments: tuple
    options: tuple[tuple[str, object], ...] = ()

    def on(self, catalog: Catalog) -> Transaction | type[RegistaError]:
        """The transaction, or what it raises."""
        try:
            return self.function(catalog, *self.arguments, **dict(self.options))
        except RegistaError as error:
            return type(error)


_nodes = st.sampled_from(["n1", "N1", "n2"])
_ids = st.sampled_from(["a", "A", "b"])
_lives = st.sampled_from(["", "", "x", "y"])
_managers = st.sampled_from(["agent", "catalog", "server"])
_services = st.builds(
    Service, node=_nodes, id=_ids, name=st.sampled_from(["web", "api"]), port=st.integers(1, 2), incarnation=_lives,
    manager=_managers,
)  # fmt: skip
_checks = st.builds(
    Check, node=_nodes, id=st.sampled_from(["c", "C", "d"]), name=st.just("c"), manager=_managers,
    service_id=st.sampled_from(["", "a", "b"]), status=st.sampled_from(["passing", "critical"]),
)  # fmt: skip
_node_records = st.builds(Node, name=_nodes, address=st.sampled_from(["1", "2"]), manager=_managers)


@st.composite
def _registrations(draw) -> Registration:
    service = draw(_services)
    ids = draw(st.lists(st.sampled_from(["c", "d", "e"]), max_size=2, unique=True))
    checks = tuple(
        Check(node=service.node, id=each, name="c", service_id=service.id, service_name=service.name)
        for each in ids
    )
    return Registration(service, checks, draw(st.booleans()), new_incarnation="fresh")


@st.composite
def _catalog_entries(draw) -> CatalogEntry:
    name = draw(_nodes)
    service = draw(
        st.none() | _services.map(lambda service: changed(service, node=name, incarnation="", manager="catalog"))
    )
    checks = draw(st.lists(_checks.map(lambda check: changed(check, node=name, manager="catalog")), max_size=1))
    node = draw(st.none() | _node_records.map(lambda node: changed(node, name=name)))
    return CatalogEntry(name, node, service, tuple(checks), new_incarnation="fresh")


_now = (("now_s", NOW_S),)
_reason = (("reason", "was removed"), *_now)
_plans_on_items = st.one_of(
    st.builds(lambda wanted: Plan(register_service, (wanted,), _now), _registrations()),
    st.builds(
        lambda node, service_id, life: Plan(deregister_service, (node, service_id), (*_reason, ("incarnation", life))),
        _nodes, _ids, _lives,
    ),
    st.builds(lambda check: Plan(register_check, (check,)), _checks),
    st.builds(lambda node, check_id: Plan(deregister_check, (node, check_id)), _nodes, st.sampled_from(["c", "d"])),
    st.builds(
        lambda key, status: Plan(set_check_status, (key, status, "output")),
        st.sampled_from(["n1/c", "n1/d", "n2/c"]), st.sampled_from(["passing", "critical"]),
    ),
    st.builds(lambda node: Plan(register_node, (node,)), _node_records),
    st.builds(lambda entry: Plan(register_in_catalog, (entry,)), _catalog_entries()),
)  # fmt: skip
_plans_on_nodes = st.one_of(
    st.builds(lambda name: Plan(deregister_node, (name,), _reason), _nodes),
    st.builds(lambda name, node: Plan(take_over_node, (name, node)), _nodes, _node_records),
)
_histories = st.lists(_plans_on_items | _plans_on_nodes, max_size=8)


def _after(history: list[Plan]) -> Catalog:
    catalog = Catalog()
    for plan in history:
        transaction = plan.on(catalog)
        if isinstance(transaction, Transaction):
            commit(catalog, transaction)
    return catalog


def _changes(outcome: Transaction | type[RegistaError]) -> object:
    return frozenset(map(repr, outcome.changes)) if isinstance(outcome, Transaction) else outcome


@given(_histories, _plans_on_items, _plans_on_items | _plans_on_nodes)
@settings(max_examples=25, deadline=None)
def test_a_plan_rests_on_all_that_it_read(history, plan, others):
    """If another's commit would have led to another plan, the plan made before it no longer holds."""
    catalog = _after(history)
    transaction = plan.on(catalog)
    others_transaction = others.on(catalog)
    if not isinstance(transaction, Transaction) or not isinstance(others_transaction, Transaction):
        return
    commit(catalog, others_transaction)
    if transaction.changes and _changes(plan.on(catalog)) != _changes(transaction):
        assert broken_conditions(catalog, transaction)


@given(_histories, _plans_on_nodes, st.data())
@settings(max_examples=25, deadline=None)
def test_a_plan_for_a_node_rests_on_each_record_it_found(history, plan, data):
    """A plan for a whole node no longer holds if any record that it found has changed or gone.

    What is *added* to the node meanwhile is not covered; deregistering the node again removes it.
    """
    catalog = _after(history)
    transaction = plan.on(catalog)
    if not isinstance(transaction, Transaction) or not transaction.changes:
        return
    change = data.draw(st.sampled_from(transaction.changes))
    table = tables(catalog)[change.record.kind]
    found = table.get(change.record.key)
    if found is not None:
        catalog.apply(Batch(catalog.index + 1, NOW_S, (data.draw(st.sampled_from([Put, Delete]))(found.record),)))
        assert broken_conditions(catalog, transaction) or change.record.kind == "tombstone"


@given(_histories, _plans_on_items | _plans_on_nodes)
@settings(max_examples=25, deadline=None)
def test_a_plan_that_was_carried_out_has_nothing_left_to_do(history, plan):
    """Planning the same again after the commit changes nothing: retries are harmless."""
    catalog = _after(history)
    transaction = plan.on(catalog)
    if isinstance(transaction, Transaction) and commit(catalog, transaction):
        assert _changes(plan.on(catalog)) == frozenset()


@given(_histories)
@settings(max_examples=25, deadline=None)
def test_every_check_belongs_to_something(history):
    """Whatever plans are carried out, no check of an instance is left without its instance."""
    catalog = _after(history)
    for entry in catalog.checks.values():
        assert not entry.record.service_id or entry.record.service_key in catalog.services


def test_a_check_that_comes_in_between_is_not_forgotten():
    """An instance that gets a new check while it is being deregistered is planned again, with that check."""
    catalog = Catalog()
    register(catalog)
    plan = deregister_service(catalog, "n1", "web-1", reason="was removed", now_s=NOW_S)
    replacing = register_service(catalog, Registration(changed(WEB, port=9), replace_checks=True), now_s=NOW_S)
    commit(catalog, register_check(catalog, CHECK))
    for stale in (plan, replacing):
        with pytest.raises(Conflict):
            commit(catalog, stale)
    deregister(catalog)
    assert not catalog.checks


# ---- against a model ----


class CatalogMachine(RuleBasedStateMachine):
    """The replica and the plans against three dicts and a set."""

    def __init__(self) -> None:
        super().__init__()
        self.catalog = Catalog()
        self.services: dict[str, Service] = {}
        self.checks: dict[str, Check] = {}
        self.ended: set[tuple[str, str]] = set()
        self.lives_count = 0

    def carry_out(self, plan: Plan) -> bool:
        """Whether the plan was made; if so, its commit moves the index exactly if it changes something."""
        index = self.catalog.index
        transaction = plan.on(self.catalog)
        if isinstance(transaction, Transaction):
            commit(self.catalog, transaction)
            assert self.catalog.index - index == bool(transaction.changes)
            return True
        assert self.catalog.index == index
        return False

    @rule(wanted=_registrations(), is_old=st.booleans())
    def register(self, wanted: Registration, *, is_old: bool) -> None:
        self.lives_count += 1
        claimed = wanted.service.incarnation
        if claimed and not is_old:
            claimed = f"claimed-{self.lives_count}"
        service = changed(wanted.service, incarnation=claimed, manager="agent")
        fresh = f"fresh-{self.lives_count}"
        wanted = msgspec.structs.replace(wanted, service=service, new_incarnation=fresh)
        was_made = self.carry_out(Plan(register_service, (wanted,), _now))
        assert was_made == (not claimed or (service.key, claimed) not in self.ended)
        if not was_made:
            return
        found = self.services.get(service.key)
        if found and claimed and claimed != found.incarnation:
            self.ended.add((service.key, found.incarnation))
        self.services[service.key] = changed(
            service, incarnation=claimed or (found.incarnation if found else fresh)
        )
        for check in wanted.checks:
            before = self.checks.get(check.key)
            if before and before.service_key == check.service_key:
                check = changed(check, status=before.status, output=before.output)  # noqa: PLW2901 - reads better
            self.checks[check.key] = check
        if wanted.replace_checks:
            kept = {check.key for check in wanted.checks}
            self._drop_checks(lambda check: check.service_key == service.key and check.key not in kept)

    @rule(node=_nodes, service_id=_ids, life=_lives)
    def deregister(self, node: str, service_id: str, life: str) -> None:
        plan = Plan(deregister_service, (node, service_id), (*_reason, ("incarnation", life)))
        key = f"{node}/{service_id}".lower()
        found = self.services.get(key)
        assert self.carry_out(plan) == (found is None or life in ("", found.incarnation))
        if found and life in ("", found.incarnation):
            del self.services[key]
            self.ended.add((key, found.incarnation))
            self._drop_checks(lambda check: check.service_key == key)

    @rule(check=_checks)
    def register_check(self, check: Check) -> None:
        check = changed(check, manager="agent")
        owner = self.services.get(check.service_key)
        assert self.carry_out(Plan(register_check, (check,))) == (owner is not None or not check.service_id)
        if check.service_id and owner is None:
            return
        if owner:
            check = changed(check, service_name=owner.name, service_tags=owner.tags)
        before = self.checks.get(check.key)
        if before and before.service_key == check.service_key:
            check = changed(check, status=before.status, output=before.output)
        self.checks[check.key] = check

    @rule(key=st.sampled_from(["n1/c", "n1/d", "n2/c"]), status=st.sampled_from(["passing", "critical"]))
    def report(self, key: str, status: str) -> None:
        assert self.carry_out(Plan(set_check_status, (key, status, f"is {status}")))
        check = self.checks.get(key)
        if check and check.status != status:
            self.checks[key] = changed(check, status=status, output=f"is {status}")

    @rule(name=_nodes)
    def deregister_node(self, name: str) -> None:
        assert self.carry_out(Plan(deregister_node, (name,), _reason))
        for key, service in list(self.services.items()):
            if service.node.lower() == name.lower():
                del self.services[key]
                self.ended.add((key, service.incarnation))
        self._drop_checks(lambda check: check.node.lower() == name.lower())

    def _drop_checks(self, is_dropped: Callable[[Check], bool]) -> None:
        self.checks = {key: check for key, check in self.checks.items() if not is_dropped(check)}

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert {key: entry.record for key, entry in self.catalog.services.items()} == self.services
        assert {key: entry.record for key, entry in self.catalog.checks.items()} == self.checks

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        assert not {(key, service.incarnation) for key, service in self.services.items()} & self.ended
        assert len(self.catalog.tombstones) == len(self.ended)


TestCatalog = CatalogMachine.TestCase
TestCatalog.settings = settings(max_examples=20, stateful_step_count=15, deadline=None)
