"""Sidecars: their port and checks, what they rest on, and that they go with their instance."""

import dataclasses

import msgspec
import pytest

from regista.catalog import (
    Catalog,
    Lookup,
    Registration,
    Sidecar,
    deregister_service,
    find_instances,
    mesh_topic,
    register_check,
    register_service,
    sidecar_id,
)
from regista.catalog.sidecars import PORT_MAX, PORT_MIN
from regista.model import BadInput, Batch, Check, Proxy, Service

WEB = Service(node="n1", id="w1", name="web", port=80, manager="agent")


def sidecar_of(service, **changes):
    return Sidecar(
        Service(
            node=service.node,
            id=sidecar_id(service.id),
            name=f"{service.name}-sidecar-proxy",
            service_kind="connect-proxy",
            proxy=Proxy(destination_name=service.name, local_address="127.0.0.1"),
            sidecar_of=service.id,
            manager="agent",
            **changes,
        )
    )


def commit(catalog, transaction):
    if transaction.changes:
        catalog.apply(Batch(catalog.index + 1, 1000.0, transaction.changes))


def register(catalog, service, sidecar):
    wanted = Registration(service, new_incarnation="life", sidecar=sidecar)
    transaction = register_service(catalog, wanted, now_s=1000.0)
    commit(catalog, transaction)
    return transaction


def port_of(catalog, service_id):
    return catalog.services[f"n1/{service_id}-sidecar-proxy"].record.port


def test_each_sidecar_gets_the_lowest_port_that_no_instance_has():
    """Ports are given from the lowest, passing over those in use, and one that is given back is given again."""
    catalog = Catalog()
    register(catalog, msgspec.structs.replace(WEB, id="other", port=PORT_MIN), None)
    for service_id in ("a", "b"):
        service = msgspec.structs.replace(WEB, id=service_id)
        register(catalog, service, sidecar_of(service))
    assert [port_of(catalog, each) for each in ("a", "b")] == [PORT_MIN + 1, PORT_MIN + 2]
    commit(catalog, deregister_service(catalog, "n1", "a", reason="was ended", now_s=1000.0))
    register(catalog, msgspec.structs.replace(WEB, id="c"), sidecar_of(msgspec.structs.replace(WEB, id="c")))
    assert port_of(catalog, "c") == PORT_MIN + 1


def test_a_sidecar_keeps_its_port_when_it_is_registered_again():
    """Registering again the same writes nothing."""
    catalog = Catalog()
    register(catalog, WEB, sidecar_of(WEB))
    assert not register(catalog, WEB, sidecar_of(WEB)).changes
    assert port_of(catalog, "w1") == PORT_MIN


def test_two_that_plan_at_once_cannot_both_have_a_port():
    """Plans made on the same replica for the same port rest on the same absent claim, and both make it."""
    catalog = Catalog()
    other = msgspec.structs.replace(WEB, id="w2")
    plans = [
        register_service(catalog, Registration(service, sidecar=sidecar_of(service)), now_s=1000.0)
        for service in (WEB, other)
    ]
    claims = [{(c.kind, c.key) for c in plan.conditions if c.kind == "port-claim"} for plan in plans]
    made = [{change.record.key for change in plan.changes if change.record.kind == "port-claim"} for plan in plans]
    assert claims[0] == claims[1] == {("port-claim", f"n1/{PORT_MIN}")}
    assert made == [{f"n1/{PORT_MIN}"}] * 2


def test_a_sidecar_without_a_port_left_is_refused():
    """With every port of the range in use, the caller is told so."""
    catalog = Catalog()
    for port in range(PORT_MIN, PORT_MAX + 1):
        register(catalog, msgspec.structs.replace(WEB, id=f"i{port}", port=port), None)
    with pytest.raises(BadInput, match="none left in the configured range"):
        register(catalog, WEB, sidecar_of(WEB))


def test_a_sidecar_has_two_checks_unless_it_brings_its_own():
    """The checks look whether it listens on its port, and how its instance is."""
    catalog = Catalog()
    register(catalog, WEB, sidecar_of(WEB))
    checks = {key: entry.record for key, entry in catalog.checks.items()}
    assert [check.name for check in checks.values()] == [
        "Connect Sidecar Listening",
        "Connect Sidecar Aliasing w1",
    ]
    assert [check.definition.tcp or check.definition.alias_service for check in checks.values()] == [
        f"127.0.0.1:{PORT_MIN}",
        "w1",
    ]
    assert set(checks) == sidecar_of(WEB).check_keys()
    own = Check(node="n1", id="mine", name="mine", service_id="w2-sidecar-proxy", manager="agent")
    other = msgspec.structs.replace(WEB, id="w2")
    register(catalog, other, dataclasses.replace(sidecar_of(other), checks=(own,)))
    assert [entry.record.id for entry in catalog.check_indexes.by_instance["n1/w2-sidecar-proxy"]] == ["mine"]


@pytest.mark.parametrize("how", ["deregistered", "registered without"])
def test_a_sidecar_goes_with_its_instance(how):
    """It is gone with its checks once its instance is, or is registered without it."""
    catalog = Catalog()
    register(catalog, WEB, sidecar_of(WEB))
    if how == "deregistered":
        commit(catalog, deregister_service(catalog, "n1", "w1", reason="was ended", now_s=1000.0))
    else:
        register(catalog, WEB, None)
    assert "n1/w1-sidecar-proxy" not in catalog.services
    assert not catalog.checks


def test_an_instance_that_only_looks_like_a_sidecar_stays():
    """An instance that somebody registered under that id by itself is left alone."""
    catalog = Catalog()
    register(catalog, msgspec.structs.replace(WEB, id="w1-sidecar-proxy"), None)
    register(catalog, WEB, None)
    commit(catalog, deregister_service(catalog, "n1", "w1", reason="was ended", now_s=1000.0))
    assert set(catalog.services) == {"n1/w1-sidecar-proxy"}


def test_a_service_is_reached_within_the_mesh_through_proxies_and_native_instances():
    """Neither ordinary instances nor proxies of others are found; and whoever waits hears of their checks."""
    catalog = Catalog()
    register(catalog, WEB, sidecar_of(WEB))
    register(catalog, msgspec.structs.replace(WEB, id="native", is_native=True), None)
    register(catalog, msgspec.structs.replace(WEB, id="d1", name="db"), None)
    found = find_instances(catalog, Lookup("WEB", within_mesh=True))
    assert [each.service.record.id for each in found] == ["native", "w1-sidecar-proxy"]
    assert find_instances(catalog, Lookup("db", within_mesh=True)) == []
    before = catalog.topics.index((mesh_topic("web"),))
    commit(catalog, register_check(catalog, Check(node="n1", id="of-node", name="of-node")))
    middle = catalog.topics.index((mesh_topic("web"),))
    commit(catalog, register_check(catalog, Check(node="n1", id="own", name="own", service_id="native")))
    assert before < middle < catalog.topics.index((mesh_topic("web"),))
