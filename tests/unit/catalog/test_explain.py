"""Why an instance is in an answer."""

from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import batch_lists

from regista.catalog import Catalog, Lookup, explain_lookup, find_instances, parse_range
from regista.model import Batch, Check, Node, Put, Service

lookups = st.builds(
    Lookup,
    name=st.sampled_from(["web", "API"]),
    tags=st.lists(st.sampled_from(["v1", "V2"]), max_size=2).map(tuple),
    meta=st.sampled_from([(), (("zone", "1"),), (("zone", "2"), ("rack", "r"))]),
    node_meta=st.sampled_from([(), (("zone", "1"),)]),
    version=st.sampled_from([None, parse_range("^1")]),
    passing_only=st.booleans(),
)


@given(batch_lists, lookups)
def test_wanted_is_found(batches, lookup):
    """An instance is wanted by its explanation exactly if the look-up finds it."""
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
    judged = explain_lookup(catalog, lookup)
    found = {each.service.record.key for each in find_instances(catalog, lookup)}
    assert {each.instance.service.record.key for each in judged if each.is_wanted} == found


def test_each_finding_says_what_was_found():
    """The sentences name what the instance has instead of what was asked for."""
    catalog = Catalog()
    records = (
        Node(name="n", meta={"zone": "1"}),
        Service(node="n", id="a", name="web", tags=("v1",), meta={"version": "1.4.0"}),
        Service(node="m", id="b", name="web"),
        Check(node="n", id="disk", name="disk", status="critical"),
        Check(node="n", id="up", name="up", status="warning", service_id="a", service_name="web"),
    )
    catalog.apply(Batch(1, 0.0, tuple(Put(record) for record in records)))
    lookup = Lookup(
        "web",
        tags=("V1", "v2"),
        meta=(("k", "v"),),
        node_meta=(("zone", "2"),),
        version=parse_range("^2 || ~1.4"),
        passing_only=True,
    )
    on_m, on_n = explain_lookup(catalog, lookup)
    assert [(each.parameter, each.wanted, each.holds, each.because) for each in on_n.findings] == [
        ("tag", "V1", True, "its tags are v1"),
        ("tag", "v2", False, "its tags are v1"),
        ("meta", "k:v", False, "its metadata has no k"),
        ("node-meta", "zone:2", False, "the metadata of node n has zone:1"),
        ("version", "^2 || ~1.4", True, "its version is 1.4.0"),
        ("passing", "true", False, 'check "disk" of node n is critical; check "up" is warning'),
    ]
    assert [each.because for each in on_m.findings] == [
        "it has no tags",
        "it has no tags",
        "its metadata has no k",
        "the metadata of node m, which is not registered, has no zone",
        "its metadata has no version",
        "it has no checks, which counts as passing",
    ]
