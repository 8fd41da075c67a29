"""Look-ups against a plain search through every record."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import batch_lists

from regista.catalog import Catalog, Lookup, check_list, find_instances, node_list, service_tags
from regista.model import Batch, Check, Node, Put, Service


def catalog_of(*records) -> Catalog:
    catalog = Catalog()
    catalog.apply(Batch(1, 0.0, tuple(Put(record) for record in records)))
    return catalog


def found(catalog: Catalog, **wanted) -> list[str]:
    """The instances of `web` that are found, as node/id."""
    instances = find_instances(catalog, Lookup("web", **wanted))
    return [f"{each.service.record.node}/{each.service.record.id}" for each in instances]


WEB = catalog_of(
    Node(name="n2", meta={"zone": "1"}),
    Node(name="N1", meta={"zone": "1", "rack": "r"}),
    Service(node="n2", id="b", name="web", tags=("v1", "Primary"), meta={"k": "1", "j": "2"}),
    Service(node="n2", id="A", name="Web", tags=("v1",)),
    Service(node="n1", id="c", name="web", tags=("v2", "primary")),
    Service(node="n3", id="d", name="web"),
    Service(node="n1", id="other", name="api", tags=("v1",)),
    Check(node="n2", id="own", name="own", status="critical", service_id="b", service_name="web"),
    Check(node="n1", id="of-node", name="of node", status="passing"),
    Check(node="n1", id="z", name="z", status="warning", service_id="other", service_name="api"),
)


def test_instances_come_by_node_and_id():
    """Instances are ordered by node, then id, without regard to case, whatever the case of the name asked for."""
    assert found(WEB) == ["n1/c", "n2/A", "n2/b", "n3/d"]
    assert len(find_instances(WEB, Lookup("WEB"))) == 4


def test_an_unknown_name_has_no_instances():
    """A name that nobody registered finds nothing, and that is no error."""
    assert find_instances(WEB, Lookup("absent", tags=("v1",), near="n1", passing_only=True)) == []


def test_all_tags_are_wanted_in_any_case():
    """An instance is found if it has every tag asked for, compared without regard to case."""
    assert found(WEB, tags=("V1",)) == ["n2/A", "n2/b"]
    assert found(WEB, tags=("primary", "v1")) == ["n2/b"]
    assert found(WEB, tags=("v1", "absent")) == []


def test_metadata_is_compared_exactly():
    """Every pair of metadata asked for must be there, of the instance or of its node."""
    assert found(WEB, meta=(("k", "1"),)) == ["n2/b"]
    assert found(WEB, meta=(("k", "1"), ("j", "3"))) == []
    assert found(WEB, meta=(("K", "1"),)) == []
    assert found(WEB, node_meta=(("zone", "1"),)) == ["n1/c", "n2/A", "n2/b"]
    assert found(WEB, node_meta=(("zone", "1"), ("rack", "r"))) == ["n1/c"]
    assert found(WEB, node_meta=(("zone", "absent"),)) == []


def test_an_instance_passes_if_each_check_does():
    """With `passing_only` an instance counts if its own checks and its node's are passing, or there are none."""
    assert found(WEB, passing_only=True) == ["n1/c", "n2/A", "n3/d"]
    sick_node = catalog_of(
        Node(name="n"),
        Service(node="n", id="a", name="web"),
        Check(node="n", id="c", name="c", status="warning"),
    )
    assert found(sick_node, passing_only=True) == []


def test_an_instance_carries_its_checks():
    """The node's own checks come first, then the instance's, each by id; a node nobody registered is None."""
    catalog = catalog_of(
        Service(node="n", id="a", name="web"),
        Check(node="n", id="b", name="b", service_id="A", service_name="web"),
        Check(node="n", id="A2", name="a2", service_id="a", service_name="web"),
        Check(node="n", id="z", name="z"),
        Check(node="n", id="other", name="o", service_id="other", service_name="web"),
    )
    (instance,) = find_instances(catalog, Lookup("web"))
    assert [entry.record.id for entry in instance.checks] == ["z", "A2", "b"]
    assert instance.node is None


def test_near_comes_first():
    """Instances of the node named come first, the others in their order."""
    assert found(WEB, near="N2") == ["n2/A", "n2/b", "n1/c", "n3/d"]
    assert found(WEB, near="absent") == ["n1/c", "n2/A", "n2/b", "n3/d"]


def test_nodes_come_by_name():
    """Nodes are ordered by name without regard to case, those near first, filtered by metadata."""
    assert [entry.record.name for entry in node_list(WEB)] == ["N1", "n2"]
    assert [entry.record.name for entry in node_list(WEB, near="N2")] == ["n2", "N1"]
    assert [entry.record.name for entry in node_list(WEB, meta=(("rack", "r"),))] == ["N1"]
    assert node_list(WEB, meta=(("zone", "1"), ("rack", "absent"))) == []


def test_services_come_with_their_tags():
    """Each spelling of a name is listed with the tags of its instances, in the order of their first use."""
    assert service_tags(WEB) == {"Web": ["v1"], "api": ["v1"], "web": ["v2", "primary", "v1", "Primary"]}
    assert list(service_tags(WEB)) == sorted(service_tags(WEB))
    assert service_tags(WEB, node_meta=(("rack", "r"),)) == {"api": ["v1"], "web": ["v2", "primary"]}
    assert service_tags(WEB, keeps=lambda instance: instance.service.record.name == "api") == {"api": ["v1"]}
    assert service_tags(Catalog()) == {}


def test_checks_come_by_node_and_id():
    """A list of checks is ordered by node and id, those near first, filtered by the metadata of their nodes."""
    checks = WEB.checks
    assert [entry.record.id for entry in check_list(WEB, checks)] == ["of-node", "z", "own"]
    assert [entry.record.id for entry in check_list(WEB, checks, near="n2")] == ["own", "of-node", "z"]
    assert [entry.record.id for entry in check_list(WEB, checks, node_meta=(("rack", "r"),))] == ["of-node", "z"]
    assert check_list(WEB, None) == []


_pairs = st.lists(st.sampled_from([("zone", "1"), ("zone", "2"), ("rack", "r")]), max_size=2).map(tuple)
_lookups = st.builds(
    Lookup,
    st.sampled_from(["web", "WEB", "api", "absent"]),
    tags=st.lists(st.sampled_from(["v1", "V1", "v2"]), max_size=2).map(tuple),
    meta=_pairs,
    node_meta=_pairs,
    passing_only=st.booleans(),
    near=st.sampled_from(["", "n1", "N2", "absent"]),
)


def _search(catalog: Catalog, lookup: Lookup) -> list[str]:
    """The keys of the instances wanted, by going through every record there is."""
    keys = []
    for key, entry in catalog.services.items():
        service = entry.record
        node = catalog.nodes.get(service.node.lower())
        statuses = [
            check.record.status
            for check in catalog.checks.values()
            if check.record.node.lower() == service.node.lower()
            and check.record.service_id.lower() in ("", service.id.lower())
        ]
        if (
            service.name.lower() == lookup.name.lower()
            and {tag.lower() for tag in lookup.tags} <= {tag.lower() for tag in service.tags}
            and set(lookup.meta) <= set((service.meta or {}).items())
            and set(lookup.node_meta) <= set(((node.record.meta if node else None) or {}).items())
            and not (lookup.passing_only and set(statuses) - {"passing"})
        ):
            keys.append(key)
    return sorted(keys, key=lambda key: (key.partition("/")[0] != lookup.near.lower(), *key.partition("/")[::2]))


@given(batch_lists, _lookups)
@settings(max_examples=30, deadline=None)
def test_a_look_up_finds_what_a_search_would(batches, lookup):
    """Whatever is registered and wanted, the indexes find what a plain search finds, in the same order."""
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
    instances = find_instances(catalog, lookup)
    assert [instance.service.record.key for instance in instances] == _search(catalog, lookup)
