"""Prepared queries: templates, names, finding and answering them."""

import msgspec
import pytest
from tests.unit.catalog.test_queries import catalog_of

from regista.catalog import answer_query, create_query, delete_query, find_query, is_uuid, replace_query
from regista.catalog.query_templates import Template
from regista.model import BadInput, Batch, Check, Coordinate, Node, NotFound, PreparedQuery, QueryName, Service

A = "11111111-2222-4333-8444-555555555555"
B = "22222222-2222-4333-8444-555555555555"
C = "33333333-2222-4333-8444-555555555555"


def applied(catalog, transaction):
    catalog.apply(Batch(catalog.index + 1, 0.0, transaction.changes))


def stored(*queries):
    catalog = catalog_of(Node(name="n1"))
    for query in queries:
        applied(catalog, create_query(catalog, query))
    return catalog


def template(name="geo-", *, template_id=A, regexp="", **fields):
    fields.setdefault("service", "${name.suffix}")
    return PreparedQuery(
        id=template_id, name=name, template_type="name_prefix_match", template_regexp=regexp, **fields
    )


# ---- templates ----


@pytest.mark.parametrize(
    ("text", "name", "wanted"),
    [
        ("${name.full}", "geo-web", "geo-web"),
        ("${name.prefix}", "geo-web", "geo-"),
        ("${name.suffix}", "geo-web", "web"),
        ("${name.suffix}", "GEO-web", "GEO-web"),
        ("a${ name.suffix }b", "geo-web", "awebb"),
        ("${match(0)}", "geo-db-eu", "geo-db-eu"),
        ("${match(1)}.${match(2)}", "geo-db-eu", "db.eu"),
        ("${match(3)}", "geo-db-eu", ""),
        ("${match(1)}", "geo-db", ""),
        ("${agent.segment}x", "geo-web", "x"),
        ('${"literal"}', "geo-web", "literal"),
        ("$${name.full}", "geo-web", "${name.full}"),
        ("$5 and $", "geo-web", "$5 and $"),
    ],
)
def test_expressions_in_a_template(text, name, wanted):
    """Each variable, each group and an escaped expression comes to what Consul makes of it."""
    rendered = Template(template(service=text, regexp="^geo-(.*?)-([^-]+?)$")).render(name)
    assert rendered.service == wanted


def test_every_text_of_the_question_is_rendered():
    """Service, near, tags, datacenters, checks and the values of metadata are rendered; keys and the TTL are not."""
    query = template(
        near="${name.suffix}",
        tags=("${name.suffix}", "${match(1)}"),
        failover_datacenters=("dc-${name.suffix}",),
        ignore_check_ids=("c-${name.suffix}",),
        node_meta={"${name.full}": "${name.suffix}"},
        service_meta={"k": "${name.full}"},
        dns_ttl="${name.full}",
    )
    assert Template(query).render("geo-x") == msgspec.structs.replace(
        query,
        service="x",
        near="x",
        tags=("x", ""),
        failover_datacenters=("dc-x",),
        ignore_check_ids=("c-x",),
        node_meta={"${name.full}": "x"},
        service_meta={"k": "geo-x"},
    )


def test_empty_tags_are_dropped_on_request():
    """`RemoveEmptyTags` leaves out what comes to nothing."""
    query = template(tags=("${match(1)}", "a"), drops_empty_tags=True)
    assert Template(query).render("geo-x").tags == ("a",)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"template_type": "foo"}, "failed compiling template: Bad Template.Type 'foo'"),
        (
            {"template_regexp": "("},
            "failed compiling template: Bad Regexp: error parsing regexp: missing closing ): `(`",
        ),
        (
            {"service": "${bad"},
            (
                "failed compiling template: Bad format '${bad' in Service.Service: parse error at 1:6: "
                'expected "}" but found end of string'
            ),
        ),
        (
            {"service": "${nope.x}"},
            (
                "failed compiling template: Bad evaluation for '${nope.x}' in Service.Service: "
                "1:3: unknown variable accessed: nope.x"
            ),
        ),
        (
            {"service": "${nope(1)}"},
            (
                "failed compiling template: Bad evaluation for '${nope(1)}' in Service.Service: "
                "1:3: unknown function called: nope"
            ),
        ),
        (
            {"tags": ("${match(x)}",)},
            (
                "failed compiling template: Bad format '${match(x)}' in Service.Tags[0]: parse error at 1:9: "
                "match takes one whole number, the number of a group"
            ),
        ),
    ],
)
def test_a_template_that_can_not_be_used_is_refused_when_it_is_written(fields, problem):
    """The author is told in Consul's words, where the mistake is."""
    query = msgspec.structs.replace(template(), **fields)
    with pytest.raises(BadInput) as caught:
        create_query(stored(), query)
    assert str(caught.value) == problem


def test_a_text_can_not_grow_without_end():
    """A template whose text comes to more than the limit is refused."""
    with pytest.raises(BadInput, match="comes to more than 4096 characters"):
        Template(template(service="${name.full}" * 40)).render("geo-" + "x" * 400)


# ---- names ----


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        (PreparedQuery(id=B, name="Q1", service="web"), "name 'Q1' aliases an existing query name"),
        (PreparedQuery(id=B, name=A, service="web"), f"name '{A}' aliases an existing query ID"),
        (template("", template_id=B), "a query template with an empty name already exists"),
        (
            PreparedQuery(id=B, session="none", service="web"),
            "invalid session: index error: UUID must be 36 characters",
        ),
        (PreparedQuery(id=B, session=C, service="web"), f'invalid session "{C}"'),
    ],
)
def test_what_a_query_can_not_be_called_or_bound_to(query, problem):
    """A name belongs to one query, also one without a name to a template; a session must be there."""
    catalog = stored(PreparedQuery(id=A, name="q1", service="web"), template("", template_id=C))
    with pytest.raises(BadInput) as caught:
        create_query(catalog, query)
    assert str(caught.value) == problem


def test_a_name_is_free_again_after_its_query():
    """Deleting or renaming a query frees its name, and only its own."""
    catalog = stored(PreparedQuery(id=A, name="one", service="web"))
    applied(catalog, replace_query(catalog, PreparedQuery(id=A, name="two", service="web")))
    assert [entry.record.name for entry in catalog.query_names.values()] == ["two"]
    applied(catalog, create_query(catalog, PreparedQuery(id=B, name="one", service="web")))
    applied(catalog, delete_query(catalog, A))
    assert [entry.record for entry in catalog.query_names.values()] == [QueryName(name="one", query=B)]
    assert replace_query(catalog, PreparedQuery(id=B, name="one", service="web")).changes == ()


def test_two_writers_of_one_name_rest_on_it():
    """The second of two plans for one name can't be committed: both rest on nobody having it."""
    catalog = stored()
    first = create_query(catalog, PreparedQuery(id=A, name="q", service="web"))
    second = create_query(catalog, PreparedQuery(id=B, name="Q", service="web"))
    shared = {(each.kind, each.key) for each in first.conditions} & {
        (each.kind, each.key) for each in second.conditions
    }
    assert shared == {("query-name", "=q")}


@pytest.mark.parametrize(
    "change", [delete_query, lambda catalog, key: replace_query(catalog, PreparedQuery(id=key))]
)
def test_what_is_not_there_can_not_be_changed(change):
    """Changing an unknown query is NotFound, in Consul's words."""
    with pytest.raises(NotFound) as caught:
        change(stored(), A)
    assert str(caught.value) == f"Cannot modify non-existent prepared query: '{A}'"


# ---- finding ----


def test_queries_are_found_by_id_name_and_prefix():
    """By id, by exact name in any case, by the longest template name, and by the template for all names."""
    catalog = stored(
        PreparedQuery(id=A, name="geo-own", service="own"),
        template("geo-", template_id=B),
        template("", template_id=C, service="any-${name.full}"),
    )

    def service(wanted):
        return find_query(catalog, wanted).record.service

    assert service(A.upper()) == "own"
    assert service("GEO-OWN") == "own"
    assert service("geo-web") == "web"
    assert service("gamma") == "any-gamma"
    with pytest.raises(BadInput, match="prepared query templates can only be resolved up by name, not by ID"):
        find_query(catalog, B)
    applied(catalog, delete_query(catalog, C))
    assert find_query(catalog, "gamma") is None
    assert find_query(stored(), "x") is None


@pytest.mark.parametrize(("text", "wanted"), [(A, True), (A.upper(), True), ("q1", False), (A[:-1], False)])
def test_ids_are_told_from_names(text, wanted):
    """Only what is written as a UUID is an id."""
    assert is_uuid(text) is wanted


# ---- answering ----

WEB = catalog_of(
    Node(name="n1", meta={"zone": "1"}),
    Node(name="n2", meta={"zone": "2"}),
    Service(node="n1", id="pass", name="web", tags=("v1", "EU"), meta={"k": "1"}),
    Service(node="n1", id="warn", name="web", tags=("v1",)),
    Service(node="n1", id="crit", name="Web", tags=("v2",)),
    Service(node="n2", id="other", name="web", tags=("v2",)),
    Check(node="n1", id="w", name="w", status="warning", service_id="warn", service_name="web"),
    Check(node="n1", id="c", name="c", status="critical", service_id="crit", service_name="web"),
    Coordinate(node="n1", vec=(0.0,) * 8),
    Coordinate(node="n2", vec=(1.0,) * 8),
)


def answer(*, near="", limit=0, shuffle=lambda _: None, **fields):
    query = PreparedQuery(id=A, name="q", **{"service": "web", **fields})
    found = answer_query(WEB, query, near=near, limit=limit, shuffle=shuffle).instances
    return [instance.service.record.id for instance in found]


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, ["pass", "warn", "other"]),
        ({"service": "absent"}, []),
        ({"only_passing": True}, ["pass", "other"]),
        ({"ignore_check_ids": ("c",)}, ["crit", "pass", "warn", "other"]),
        ({"ignore_check_ids": ("c", "w"), "only_passing": True}, ["crit", "pass", "warn", "other"]),
        ({"tags": ("V1",)}, ["pass", "warn"]),
        ({"tags": ("v1", "!eu")}, ["warn"]),
        ({"tags": ("!v1",)}, ["other"]),
        ({"node_meta": {"zone": "2"}}, ["other"]),
        ({"service_meta": {"k": "1"}}, ["pass"]),
        ({"service_meta": {"k": "2"}}, []),
        ({"limit": 2}, ["pass", "warn"]),
        ({"limit": -1}, ["pass", "warn", "other"]),
        ({"near": "n2"}, ["other", "pass", "warn"]),
        ({"near": "n2", "limit": 1}, ["other"]),
        ({"shuffle": list.reverse}, ["other", "warn", "pass"]),
        ({"shuffle": list.reverse, "near": "n1"}, ["warn", "pass", "other"]),
    ],
)
def test_what_a_query_answers(fields, wanted):
    """Critical instances are out, and so is what a condition does not fit; the order is random, then by distance."""
    assert answer(**fields) == wanted
