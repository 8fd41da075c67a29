"""What configuration entries say together, and the transactions that write them."""

import pytest

from regista.catalog import Catalog, delete_config_entry, put_config_entry
from regista.model import BadInput, Batch, ConfigEntry


class World:
    """A replica that is written to as an agent does."""

    def __init__(self):
        self.catalog = Catalog()

    def put(self, kind, name, *, expected_index=None, **fields):
        entry = ConfigEntry(entry_kind=kind, name=name, fields=fields)
        return self._apply(put_config_entry(self.catalog, entry, datacenter="dc1", expected_index=expected_index))

    def delete(self, kind, name, *, expected_index=None):
        return self._apply(
            delete_config_entry(self.catalog, kind, name, datacenter="dc1", expected_index=expected_index)
        )

    def speaks(self, service, protocol):
        self.put("service-defaults", service, Protocol=protocol)

    def refuses(self, kind, name, **fields):
        with pytest.raises(BadInput) as caught:
            self.put(kind, name, **fields)
        return str(caught.value)

    def _apply(self, transaction):
        if transaction is None:
            return False
        if transaction.changes:
            self.catalog.apply(Batch(self.catalog.index + 1, 0.0, transaction.changes))
        return True


@pytest.fixture
def world():
    return World()


def splits(*places):
    return {"Splits": [{"Weight": 100 // len(places), **place} for place in places]}


def route(**destination):
    return {"Routes": [{"Destination": destination}]}


@pytest.mark.parametrize(("kind", "fields"), [("service-router", {}), ("service-splitter", splits({}))])
def test_routing_needs_a_protocol_that_can_be_routed(world, kind, fields):
    """A router or splitter of a tcp service is refused; its defaults or the global ones make it possible."""
    wanted = (
        'discovery chain "web" uses a protocol "tcp" that does not permit advanced routing or splitting behavior'
    )
    assert wanted in world.refuses(kind, "web", **fields)
    world.put("proxy-defaults", "global", Config={"Protocol": "grpc"})
    assert world.put(kind, "web", **fields)
    assert wanted in world.refuses("proxy-defaults", "global", Config={})
    assert wanted in world.refuses("service-defaults", "web", Protocol="tcp")
    with pytest.raises(BadInput, match="does not permit advanced routing"):
        world.delete("proxy-defaults", "global")


def test_a_chain_speaks_one_protocol(world):
    """Another service's protocol must fit wherever a chain leads to it, whichever of them is written last."""
    world.speaks("web", "http")
    wanted = 'discovery chain "web" uses inconsistent protocols; service "api" has "tcp" which is not "http"'
    assert world.refuses("service-router", "web", **route(Service="api")) == wanted
    world.speaks("api", "http")
    world.put("service-router", "web", **route(Service="api"))
    assert world.refuses("service-defaults", "api", Protocol="tcp") == wanted
    with pytest.raises(BadInput, match="inconsistent protocols"):
        world.delete("service-defaults", "api")


def test_subsets_that_a_chain_leads_to_are_there(world):
    """A subset must be one of its service's resolver, which then can't be taken away."""
    world.speaks("web", "http")
    wanted = 'service "web" does not have a subset named "v1"'
    assert world.refuses("service-splitter", "web", **splits({"ServiceSubset": "v1"})) == wanted
    world.put("service-resolver", "web", Subsets={"v1": {}})
    world.put("service-splitter", "web", **splits({"ServiceSubset": "v1"}))
    assert world.refuses("service-resolver", "web", Subsets={"v2": {}}) == wanted
    with pytest.raises(BadInput, match="subset named"):
        world.delete("service-resolver", "web")
    world.delete("service-splitter", "web")
    assert world.delete("service-resolver", "web")


def test_redirects_end_somewhere(world):
    """A circle of redirects is told with its way."""
    world.put("service-resolver", "r1", Redirect={"Service": "r2"})
    wanted = "detected circular resolver redirect: [r2.default.dc1 -> r1.default.dc1 -> r2.default.dc1]"
    assert world.refuses("service-resolver", "r2", Redirect={"Service": "r1"}) == wanted
    assert world.put("service-resolver", "self", Redirect={"Datacenter": "dc2"})


def test_splitters_end_somewhere(world):
    """A circle of splitters is told; one that leads to its own instances is none."""
    for name in ("a", "b"):
        world.speaks(name, "http")
    world.put("service-splitter", "a", **splits({"Service": "b"}, {}))
    wanted = "detected circular reference: [splitter:b -> splitter:a -> splitter:b]"
    assert world.refuses("service-splitter", "b", **splits({"Service": "a"})) == wanted


def test_failover_leads_to_what_is_there(world):
    """A failover to another service's subset needs that subset; other datacenters need nothing here."""
    wanted = 'service "b" does not have a subset named "v1"'
    failover = {"*": {"Service": "b", "ServiceSubset": "v1"}}
    assert world.refuses("service-resolver", "a", Failover=failover) == wanted
    targets = {"*": {"Targets": [{"Service": "b", "ServiceSubset": "v1"}, {"Peer": "p", "ServiceSubset": "v9"}]}}
    assert world.refuses("service-resolver", "a", Failover=targets) == wanted
    world.put("service-resolver", "b", Subsets={"v1": {}})
    assert world.put("service-resolver", "a", Failover=failover)
    assert world.put("service-resolver", "c", Failover={"*": {"Datacenters": ["dc9"]}})


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"Redirect": {"Service": "b"}}, "redirects"),
        ({"Subsets": {"v1": {}}}, "subsets"),
        ({"Failover": {"*": {"Datacenters": ["dc2"]}}}, "failover"),
    ],
)
def test_external_services_are_not_resolved(world, fields, what):
    """A service with an external SNI can have no redirects, subsets or failover."""
    world.put("service-defaults", "x", ExternalSNI="x.example")
    wanted = f'service "x" has an external SNI set; cannot define {what} for external services'
    assert world.refuses("service-resolver", "x", **fields) == wanted


def test_permissions_need_http(world):
    """Intentions with permissions are for services that speak http, whichever is written last."""
    sources = {"Sources": [{"Name": "a", "Permissions": [{"Action": "allow"}]}]}
    wanted = 'service "svc" has protocol "tcp", which is incompatible with L7 intentions permissions'
    assert world.refuses("service-intentions", "svc", **sources) == wanted
    world.speaks("svc", "http")
    world.put("service-intentions", "svc", **sources)
    assert world.refuses("service-defaults", "svc", Protocol="tcp") == wanted


def test_listeners_speak_their_services_protocol(world):
    """An ingress gateway's listener speaks what its service does; any service fits a wildcard."""
    world.speaks("api", "http")
    listeners = [{"Port": 1, "Protocol": "tcp", "Services": [{"Name": "api"}]}]
    wanted = 'service "api" has protocol "http", which does not match defined listener protocol "tcp"'
    assert world.refuses("ingress-gateway", "ig", Listeners=listeners) == wanted
    assert world.put("ingress-gateway", "any", Listeners=[{**listeners[0], "Services": [{"Name": "*"}]}])


def test_gateways_of_two_kinds_share_no_name(world):
    """An ingress and a terminating gateway can't have one name."""
    world.put("ingress-gateway", "ig", Listeners=[])
    wanted = (
        'cannot create a "terminating-gateway" config entry with name "ig", a "ingress-gateway" config entry with '
        "that name already exists"
    )
    assert world.refuses("terminating-gateway", "ig", Services=[]) == wanted


def test_a_chain_is_not_endless(world):
    """A row of more redirects or splitters than the limit is refused, and does not exhaust the agent."""
    for number in range(70, 6, -1):
        world.put("service-resolver", f"r{number - 1}", Redirect={"Service": f"r{number}"})
    wanted = 'discovery chain "r5" has more than 64 redirects in a row'
    assert world.refuses("service-resolver", "r5", Redirect={"Service": "r6"}) == wanted


# ---- writing ----


def test_an_entry_is_written_over_the_one_expected(world):
    """With an index, an entry is written or deleted only if it was last changed then; 0 is for none."""
    assert not world.put("service-defaults", "a", expected_index=5)
    assert world.put("service-defaults", "a", expected_index=0, Protocol="tcp")
    index = world.catalog.config_entries.find("service-defaults", "A").modify_index
    assert not world.put("service-defaults", "a", expected_index=0)
    assert world.put("service-defaults", "a", expected_index=index, Protocol="http")
    assert not world.delete("service-defaults", "a", expected_index=index)
    assert not world.delete("service-defaults", "a", expected_index=0)
    assert world.delete("service-defaults", "a", expected_index=world.catalog.index)
    assert not world.delete("service-defaults", "a", expected_index=1)
    assert world.delete("service-defaults", "a")


def test_the_same_again_writes_nothing(world):
    """Writing an entry as it is, or deleting one that is not there, costs no index."""
    world.put("service-defaults", "a", Protocol="http")
    index = world.catalog.index
    world.put("service-defaults", "a", Protocol="http")
    world.delete("service-defaults", "absent")
    assert world.catalog.index == index


def test_changes_of_entries_come_in_turn(world):
    """Two plans made at once rest on one record, so that the second is made again and sees the first."""
    plans = [
        put_config_entry(
            world.catalog, ConfigEntry(entry_kind="service-defaults", name=name, fields={}), datacenter="dc1"
        )
        for name in ("a", "b")
    ]
    shared = set.intersection(*({(each.kind, each.key) for each in plan.conditions} for plan in plans))
    assert shared == {("config-revision", "all")}


def test_entries_are_listed_by_kind_and_name(world):
    """All entries come by kind, those of a kind by name without regard to case."""
    world.put("service-resolver", "z")
    for name in ("b", "A", "c"):
        world.put("service-defaults", name)
    assert [entry.record.name for entry in world.catalog.config_entries.of_kind("service-defaults")] == [
        "A",
        "b",
        "c",
    ]
    assert [entry.record.name for entry in world.catalog.config_entries.all()] == ["A", "b", "c", "z"]
