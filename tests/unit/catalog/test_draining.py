"""Drains of instances, planned on a replica."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import (
    DRAIN_PREFIX,
    Catalog,
    Lookup,
    Registration,
    Sidecar,
    cancel_drain,
    deregister_service,
    drain_check,
    drain_service,
    drain_topics,
    explain_lookup,
    is_drain,
    is_own_check,
    register_service,
)
from regista.model import PASSING, Batch, Check, Forbidden, NotFound, Put, Service, StaleIncarnation

KEY = "n1/_drain:web-1"


class World:
    """A replica of one node with the instance Web-1, which has a check of its own."""

    def __init__(self):
        self.catalog = Catalog()
        self.now_s = 1_700_000_000.0
        self.fresh = 0
        self.register(incarnation="one")

    def commit(self, transaction):
        if transaction.changes:
            self.catalog.apply(Batch(self.catalog.index + 1, 0.0, transaction.changes))
        return bool(transaction.changes)

    def register(self, *, incarnation="", replace_checks=True, sidecar=None):
        service = Service(node="n1", id="Web-1", name="web", incarnation=incarnation, manager="agent")
        check = Check(
            node="n1", id="c", name="c", status=PASSING, service_id="Web-1", service_name="web", manager="agent"
        )
        self.fresh += 1
        wanted = Registration(
            service=service,
            checks=(check,),
            replace_checks=replace_checks,
            new_incarnation=f"fresh-{self.fresh}",
            sidecar=sidecar,
        )
        return self.commit(register_service(self.catalog, wanted, now_s=self.now_s))

    def drain(self, for_s=30.0, service_id="web-1"):
        return self.commit(
            drain_service(self.catalog, "n1", service_id, for_s=for_s, asked_by="a test", now_s=self.now_s)
        )

    def cancel(self):
        return self.commit(cancel_drain(self.catalog, "n1", "web-1"))

    @property
    def check(self):
        entry = self.catalog.checks.get(KEY)
        return entry.record if entry else None

    @property
    def service(self):
        return self.catalog.services["n1/web-1"]


def test_a_drain_is_a_critical_check_that_ends_its_instance():
    """It says who wants it and when it ends, and its definition carries the time."""
    world = World()
    assert world.drain(30.0)
    check = world.check
    assert (check.id, check.name, check.type, check.status) == ("_drain:Web-1", "Draining", "drain", "critical")
    assert check.id == DRAIN_PREFIX + "Web-1"
    assert check.definition.deregister_critical_service_after_s == 30.0
    assert check.notes == "Asked for by a test at 2023-11-14T22:13:20.000Z."
    assert "deregistered at 2023-11-14T22:13:50.000Z" in check.output
    assert is_drain(check)
    assert is_own_check(check)
    assert drain_topics(world.catalog, world.service) == {"checks", "node/n1", "service/web"}
    assert drain_check(world.catalog, world.service.record).create_index == world.catalog.index


def test_an_explanation_says_that_it_drains():
    """And until when."""
    world = World()
    world.drain()
    (judged,) = explain_lookup(world.catalog, Lookup("web", passing_only=True))
    assert judged.findings[0].because.startswith("it is draining: it is deregistered at 2023-11-14T22:13:50.000Z")


def test_a_drain_that_is_asked_for_again_ends_at_another_time():
    """It is the same drain: the index at which the instance was taken out stays."""
    world = World()
    world.drain(30.0)
    began = world.catalog.checks[KEY].create_index
    world.now_s += 10
    assert world.drain(60.0)
    assert world.check.definition.deregister_critical_service_after_s == 60.0
    assert "22:14:30" in world.check.output
    assert world.catalog.checks[KEY].create_index == began


@pytest.mark.parametrize("incarnation", ["", "one"])
@pytest.mark.parametrize("replace_checks", [True, False])
def test_registering_again_does_not_end_a_drain(incarnation, replace_checks):
    """A heartbeat that registers the same instance again is late news, and changes nothing."""
    world = World()
    world.drain()
    assert not world.register(incarnation=incarnation, replace_checks=replace_checks)
    assert world.check is not None


def test_a_new_incarnation_does_not_drain():
    """Another process that takes the id over is on its way in, not out."""
    world = World()
    world.drain()
    assert world.register(incarnation="two", replace_checks=False)
    assert world.check is None
    assert world.service.record.incarnation == "two"


def test_an_incarnation_that_was_drained_to_its_end_can_not_come_back():
    """Its late registration is refused; that of a new life is not."""
    world = World()
    world.drain()
    world.commit(deregister_service(world.catalog, "n1", "web-1", reason="was drained for 30s", now_s=1.0))
    assert world.check is None
    with pytest.raises(StaleIncarnation, match="was drained for 30s"):
        world.register(incarnation="one")
    assert world.register(incarnation="two")


def test_a_drain_can_be_cancelled():
    """The instance is as its other checks say; cancelling once more changes nothing."""
    world = World()
    assert not world.cancel()
    world.drain()
    assert world.cancel()
    assert [entry.record.id for entry in world.catalog.check_entries(world.service.record)] == ["c"]
    assert not world.cancel()


def test_a_sidecar_drains_with_its_instance():
    """It is out of answers for the mesh as well, and back when the drain is cancelled."""
    world = World()
    proxy = Service(
        node="n1",
        id="Web-1-sidecar-proxy",
        name="web-sidecar-proxy",
        port=21000,
        sidecar_of="Web-1",
        manager="agent",
    )
    world.register(sidecar=Sidecar(service=proxy, checks=()))
    world.drain()
    check = world.catalog.checks["n1/_drain:web-1-sidecar-proxy"].record
    assert (check.status, check.definition) == ("critical", None)
    assert "service/web-sidecar-proxy" in drain_topics(world.catalog, world.service)
    world.cancel()
    assert set(world.catalog.checks) == {"n1/c"}
    world.drain()
    world.register(incarnation="two", sidecar=Sidecar(service=proxy, checks=()))
    assert set(world.catalog.checks) == {"n1/c"}


def test_only_what_is_there_can_drain():
    """An unknown id is told where to look; the server's own is not to be taken out."""
    world = World()
    for plan in (lambda: world.drain(service_id="none"), lambda: cancel_drain(world.catalog, "n1", "none")):
        with pytest.raises(NotFound, match="/v1/agent/services lists"):
            plan()
    own = Service(node="n1", id="consul", name="consul", manager="server")
    world.catalog.apply(Batch(world.catalog.index + 1, 0.0, (Put(own),)))
    with pytest.raises(Forbidden):
        world.drain(service_id="consul")


@given(
    st.lists(
        st.sampled_from(["drain", "cancel", "again", "same", "new", "deregister"]),
        max_size=30,
    )
)
def test_only_a_cancel_a_new_life_or_the_end_ends_a_drain(steps):
    """Whatever comes in whatever order."""
    world = World()
    is_draining, lives = False, 0
    for step in steps:
        is_there = "n1/web-1" in world.catalog.services
        if step in ("drain", "cancel") and not is_there:
            continue
        if step == "drain":
            world.drain()
            is_draining = True
        elif step == "cancel":
            world.cancel()
            is_draining = False
        elif step == "again":
            world.register()
        elif step == "same" and is_there:
            world.register(incarnation=world.service.record.incarnation)
        elif step == "new":
            lives += 1
            world.register(incarnation=f"life-{lives}")
            is_draining = False
        elif step == "deregister":
            world.commit(deregister_service(world.catalog, "n1", "web-1", reason="ended", now_s=1.0))
            is_draining = False
        assert (world.check is not None) == is_draining
