"""Entries in Consul's shapes."""

import json

import msgspec
import pytest

from regista.catalog import Catalog, Instance, Lookup, find_instances
from regista.model import Batch, Check, CheckDefinition, Entry, Node, Proxy, Put, Service, ServiceAddress, Weights
from regista.protocols.consul.encode import (
    agent_check,
    agent_service,
    catalog_service,
    content_hash,
    health_check,
    health_entry,
    node_object,
    node_service,
    registration_hash,
)
from regista.protocols.http import encode_json

NODE = Node(
    name="n1",
    id="i1",
    address="10.0.0.9",
    tagged_addresses={"lan": "10.0.0.9"},
    meta={"rack": "7"},
    manager="server",
)
FULL = Service(
    node="n1",
    id="web-1",
    name="web",
    tags=("b", "a"),
    address="10.0.0.1",
    port=80,
    meta={"k": "v"},
    weights=Weights(5, 2),
    tagged_addresses={"wan": ServiceAddress("1.2.3.4", 443), "lan": ServiceAddress("10.0.0.1", 80)},
    enable_tag_override=True,
    service_kind="typical",
    incarnation="life-1",
    manager="agent",
)
BARE = Service(node="n1", id="web-1", name="web")
CHECK = Check(
    node="n1", id="beat", name="Beat", status="passing", notes="n", output="o", service_id="web-1", service_name="web", type="ttl",
    definition=CheckDefinition(ttl_s=1.0), manager="agent",
)  # fmt: skip


def catalog_with(*records):
    catalog = Catalog()
    catalog.apply(Batch(7, 0.0, tuple(Put(record) for record in records)))
    return catalog


def instance_of(service):
    catalog = catalog_with(NODE, service, CHECK)
    (instance,) = find_instances(catalog, Lookup(name="web"))
    return catalog, instance


def as_json(value):
    return json.loads(encode_json(value))


def test_an_instance_in_the_agents_shape():
    """On the agent's paths an instance has no indexes, its metadata is never null, and its addresses are sorted."""
    found = as_json(agent_service(Entry(FULL, 3, 7), "dc1"))
    assert found == {
        "Kind": "typical",
        "ID": "web-1",
        "Service": "web",
        "Tags": ["b", "a"],
        "Meta": {"k": "v"},
        "Port": 80,
        "Address": "10.0.0.1",
        "TaggedAddresses": {
            "lan": {"Address": "10.0.0.1", "Port": 80},
            "wan": {"Address": "1.2.3.4", "Port": 443},
        },
        "Weights": {"Passing": 5, "Warning": 2},
        "EnableTagOverride": True,
        "Datacenter": "dc1",
        "Manager": "agent",
        "Incarnation": "life-1",
    }
    assert list(found["TaggedAddresses"]) == ["lan", "wan"]


@pytest.mark.parametrize(
    ("shape", "key", "value"),
    [
        (lambda _, each: agent_service(each.service, "dc1"), "Meta", {}),
        (lambda _, each: node_service(each.service), "Meta", None),
        (lambda _, each: catalog_service(each, "dc1"), "ServiceMeta", {}),
        (lambda _, each: agent_service(each.service, "dc1"), "Tags", []),
        (lambda _, each: node_service(each.service), "Tags", []),
        (lambda _, each: catalog_service(each, "dc1"), "ServiceTags", []),
    ],
)
def test_what_is_not_set_is_null_or_empty_as_consuls(shape, key, value):
    """Where nothing was set, each shape has null or an empty value just as Consul's has."""
    assert as_json(shape(*instance_of(BARE)))[key] == value


@pytest.mark.parametrize(
    ("shape", "left_out"),
    [
        (lambda each: agent_service(each.service, "dc1"), {"Kind", "TaggedAddresses"}),
        (lambda each: node_service(each.service), {"Kind", "TaggedAddresses"}),
        (lambda each: catalog_service(each, "dc1"), {"ServiceTaggedAddresses"}),
    ],
)
def test_keys_that_consul_leaves_out_are_left_out(shape, left_out):
    """Without a kind and tagged addresses there is no key for them."""
    assert not left_out & set(shape(instance_of(BARE)[1]))
    assert left_out <= set(shape(instance_of(FULL)[1]))


def test_an_instance_in_the_healths_shape():
    """A health entry has the node, the instance with its indexes, and the checks of both: the node's own first."""
    node_check = Check(node="n1", id="serfHealth", name="Serf", status="passing", manager="server")
    catalog = catalog_with(NODE, FULL, CHECK, node_check)
    (instance,) = find_instances(catalog, Lookup(name="web"))
    found = as_json(health_entry(catalog, instance, "dc1"))
    assert list(found) == ["Node", "Service", "Checks"]
    assert found["Node"] == as_json(node_object(Entry(NODE, 7, 7), "dc1"))
    assert (found["Service"]["CreateIndex"], found["Service"]["ModifyIndex"]) == (7, 7)
    assert found["Service"]["Proxy"] == {"MeshGateway": {}, "Expose": {}}
    assert [check["CheckID"] for check in found["Checks"]] == ["serfHealth", "beat"]


def test_an_instance_without_a_node_has_an_empty_one():
    """An instance whose node nobody registered is shown with the node's name and nothing else."""
    instance = Instance(Entry(BARE, 1, 1), None, ())
    assert as_json(catalog_service(instance, "dc1"))["Node"] == "n1"
    found = as_json(health_entry(Catalog(), instance, "dc1"))["Node"]
    assert (found["Node"], found["Address"], found["ID"], found["CreateIndex"]) == ("n1", "", "", 0)


def test_a_check_shows_its_newest_output():
    """The output beside the log is shown in its place, and the definition is not."""
    catalog = catalog_with(NODE, FULL, CHECK)
    catalog.set_output(CHECK.key, "newest")
    found = as_json(health_check(catalog, catalog.checks[CHECK.key]))
    assert (found["Output"], found["Status"], found["Type"], found["Definition"]) == (
        "newest",
        "passing",
        "ttl",
        {},
    )
    assert (found["CreateIndex"], found["ModifyIndex"], found["Manager"]) == (7, 7, "agent")


def test_the_agents_checks_have_no_indexes():
    """On the agent's paths the indexes of a check are 0, as Consul's."""
    catalog = catalog_with(NODE, FULL, CHECK)
    found = agent_check(catalog, catalog.checks[CHECK.key])
    assert (found["CreateIndex"], found["ModifyIndex"]) == (0, 0)


def changed(service):
    """The instance with each of its fields changed, one at a time; not those that say who or what it is."""
    changes = {
        "name": "api",
        "tags": ("a", "b"),
        "address": "10.0.0.2",
        "port": 81,
        "meta": {"k": "w"},
        "weights": Weights(1, 1),
        "tagged_addresses": None,
        "enable_tag_override": False,
        "service_kind": "",
        "ttl_s": 5.0,
        "id": "web-2",
        "proxy": Proxy(destination_name="db"),
        "is_native": True,
        "sidecar_of": "other",
    }
    left = {"node", "incarnation", "manager"}
    assert set(changes) | left == {field.name for field in msgspec.structs.fields(Service)}
    return {name: msgspec.structs.replace(service, **{name: value}) for name, value in changes.items()}


@pytest.mark.parametrize("field", changed(FULL))
def test_every_registered_field_is_in_the_hash(field):
    """A change of anything that the caller registers changes both hashes."""
    other = changed(FULL)[field]
    assert content_hash(other) != content_hash(FULL)
    assert registration_hash(other, [CHECK]) != registration_hash(FULL, [CHECK])


def test_what_the_caller_did_not_register_is_not_in_the_hash():
    """Incarnation and manager are not the caller's words, so they leave the hashes as they are."""
    other = msgspec.structs.replace(FULL, incarnation="life-2", manager="catalog")
    assert content_hash(other) == content_hash(FULL)
    assert registration_hash(other, [CHECK]) == registration_hash(FULL, [CHECK])


def test_the_hash_of_a_registration_is_of_the_checks_definitions():
    """Another definition, a check more or less changes it; status, output and order don't."""
    other = msgspec.structs.replace(CHECK, id="b")
    whole = registration_hash(FULL, [CHECK, other])
    assert registration_hash(FULL, [other, CHECK]) == whole
    sick = msgspec.structs.replace(CHECK, status="critical", output="x")
    assert registration_hash(FULL, [sick, other]) == whole
    slower = msgspec.structs.replace(CHECK, definition=CheckDefinition(ttl_s=2.0))
    assert (
        len(
            {
                whole,
                registration_hash(FULL, [CHECK]),
                registration_hash(FULL, []),
                registration_hash(FULL, [slower, other]),
            }
        )
        == 4
    )


@pytest.mark.parametrize("check_id", ["_service_maintenance:web-1", "_drain:web-1", "_passive:web-1"])
def test_checks_by_others_hands_are_not_in_the_hash(check_id):
    """An instance in maintenance, draining or ejected is still registered as its caller wants it."""
    other = msgspec.structs.replace(CHECK, id=check_id)
    assert registration_hash(FULL, [CHECK, other]) == registration_hash(FULL, [CHECK])


def test_a_hash_is_16_hex_digits():
    """Clients keep it as a text of 16 hexadecimal digits."""
    assert len(content_hash(FULL)) == 16
    assert int(content_hash(FULL), 16) >= 0
