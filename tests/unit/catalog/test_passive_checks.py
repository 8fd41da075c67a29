"""The check of an instance that says what its callers found."""

import pytest

from regista.catalog import (
    Catalog,
    CatalogEntry,
    Registration,
    deregister_check,
    deregister_service,
    is_own_check,
    is_passive,
    passive_check_key,
    register_check,
    register_in_catalog,
    register_service,
    set_passive_status,
)
from regista.model import CRITICAL, PASSING, Batch, Check, Node, Service
from regista.protocols.consul.encode import registration_hash

WEB = Service(node="n1", id="Web-1", name="web", tags=("a",), manager="agent")
KEY = "n1/_passive:web-1"


class Log:
    """A catalog, and what commits to it."""

    def __init__(self):
        self.catalog = Catalog()

    def commit(self, transaction):
        if transaction.changes:
            self.catalog.apply(Batch(self.catalog.index + 1, 0.0, transaction.changes))
        return bool(transaction.changes)

    def register(self, service=WEB, *, incarnation="i1", checks=(), replace_checks=False):
        wanted = Registration(service, checks=checks, new_incarnation=incarnation, replace_checks=replace_checks)
        return self.commit(register_service(self.catalog, wanted, now_s=0.0))

    def set(self, status, output="", *, instance=None):
        instance = instance or self.catalog.services["n1/web-1"]
        return self.commit(set_passive_status(self.catalog, instance, status, output))


@pytest.fixture
def log():
    log = Log()
    log.register(checks=(Check(node="n1", id="c", name="c", service_id="Web-1", manager="agent"),))
    return log


def test_it_is_made_when_the_instance_is_first_taken_out_and_stays(log):
    """Saying that all is well makes none; once there, it changes its status and nothing else."""
    assert not log.set(PASSING, "well")
    assert log.set(CRITICAL, "5 failures")
    check = log.catalog.checks[KEY].record
    assert (check.id, check.name, check.type, check.status, check.output) == (
        "_passive:Web-1",
        "Passive health",
        "passive",
        CRITICAL,
        "5 failures",
    )
    assert (check.service_id, check.service_name, check.service_tags) == ("Web-1", "web", ("a",))
    assert is_passive(check)
    assert is_own_check(check)
    assert passive_check_key(WEB) == KEY
    assert not log.set(CRITICAL, "6 failures")
    created_index = log.catalog.checks[KEY].create_index
    assert log.set(PASSING, "back")
    assert log.catalog.checks[KEY].create_index == created_index
    assert log.catalog.checks[KEY].record.output == "back"


@pytest.mark.parametrize("replace_checks", [False, True])
def test_registering_the_instance_again_leaves_it_alone(log, replace_checks):
    """Also where checks that are not named go; its own check does."""
    log.set(CRITICAL, "5 failures")
    log.register(replace_checks=replace_checks)
    assert log.catalog.checks[KEY].record.status == CRITICAL
    assert ("n1/c" in log.catalog.checks) is not replace_checks


def test_it_does_not_count_as_registered_with_the_instance(log):
    """A renewal that compares what it registered finds no difference."""

    def held():
        checks = log.catalog.check_indexes.by_instance["n1/web-1"]
        return registration_hash(WEB, (entry.record for entry in checks))

    before = held()
    log.set(CRITICAL, "5 failures")
    assert held() == before


def test_it_goes_with_the_instance(log):
    """And what is decided afterwards of that life changes nothing, nor of a life that another took over."""
    instance = log.catalog.services["n1/web-1"]
    log.set(CRITICAL, "5 failures")
    log.commit(deregister_service(log.catalog, "n1", "web-1", reason="was deregistered", now_s=0.0))
    assert KEY not in log.catalog.checks
    assert not log.set(CRITICAL, "late", instance=instance)
    log.register()
    assert not log.set(CRITICAL, "late", instance=instance)


def test_another_incarnation_is_another_life():
    """What callers found of the process before says nothing of the one that took its place."""
    log = Log()
    log.register()
    instance = log.catalog.services["n1/web-1"]
    log.commit(
        register_service(
            log.catalog, Registration(Service(node="n1", id="Web-1", name="web", incarnation="i2")), now_s=0.0
        )
    )
    assert not log.set(CRITICAL, "late", instance=instance)


def test_instances_that_the_catalogs_paths_wrote_have_one_too():
    """On any node."""
    log = Log()
    service = Service(node="far", id="db", name="db")
    log.commit(register_in_catalog(log.catalog, CatalogEntry("far", Node(name="far"), service)))
    assert log.set(CRITICAL, "5 failures", instance=log.catalog.services["far/db"])
    assert log.catalog.checks["far/_passive:db"].record.status == CRITICAL


def test_the_servers_own_instance_is_not_judged():
    """Nobody takes the registry out."""
    log = Log()
    log.register(Service(node="n1", id="Web-1", name="web", manager="server"))
    assert not log.set(CRITICAL, "5 failures")


def test_somebody_elses_check_of_that_id_is_left_alone(log):
    """It belongs to whoever registered it."""
    other = Check(node="n1", id="_passive:web-1", name="mine", service_id="Web-1", status=PASSING, manager="agent")
    log.commit(register_check(log.catalog, other))
    assert not log.set(CRITICAL, "5 failures")
    assert log.catalog.checks[KEY].record.status == PASSING


def test_an_operator_may_take_it_away(log):
    """As any other check of the node."""
    log.set(CRITICAL, "5 failures")
    log.commit(deregister_check(log.catalog, "n1", "_passive:web-1"))
    assert KEY not in log.catalog.checks
