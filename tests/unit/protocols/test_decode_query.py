"""Prepared queries as callers write them, and what is refused in Consul's words."""

import pytest

from regista.model import BadInput, PreparedQuery
from regista.protocols.consul.decode_query import check_query, read_query

WEB = {"Service": "web"}


def problem_of(body):
    with pytest.raises(BadInput) as caught:
        check_query(read_query(body))
    return str(caught.value)


def test_every_field_is_read():
    """A query with all of its fields, in snake_case too, is kept with all of them."""
    body = {
        "Name": "q",
        "token": "t",
        "Template": {"Type": "name_prefix_match", "Regexp": "(.)", "remove_empty_tags": True},
        "Service": {
            "Service": "web",
            "Failover": {"NearestN": 2, "Datacenters": ["dc2"]},
            "OnlyPassing": True,
            "IgnoreCheckIDs": ["c"],
            "Near": "_agent",
            "Tags": ["a", "!b"],
            "NodeMeta": {"a": "b"},
            "ServiceMeta": {"c": "d"},
            "Connect": False,
        },
        "DNS": {"TTL": "10s"},
        "CreateIndex": 5,
    }
    assert read_query(body) == PreparedQuery(
        id="",
        name="q",
        token="t",
        template_type="name_prefix_match",
        template_regexp="(.)",
        drops_empty_tags=True,
        service="web",
        failover_nearest_n=2,
        failover_datacenters=("dc2",),
        only_passing=True,
        ignore_check_ids=("c",),
        near="_agent",
        tags=("a", "!b"),
        node_meta={"a": "b"},
        service_meta={"c": "d"},
        dns_ttl="10s",
    )


def test_a_list_is_shown_as_it_was_given():
    """An empty list and none at all are told apart, as in Consul."""
    assert read_query({"Service": {"Tags": []}}).tags == ()
    assert read_query({"Service": {"Tags": None}}).tags is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({}, "Invalid prepared query: Must be bound to a session"),
        ({"Service": {}}, "Invalid prepared query: Must be bound to a session"),
        ({"Name": "x"}, "Invalid prepared query: Must provide a Service name to query"),
        (
            {"Name": "x", "Service": {**WEB, "Failover": {"NearestN": -1}}},
            "Invalid prepared query: Bad NearestN '-1', must be >= 0",
        ),
        (
            {"Name": "x", "Service": WEB, "DNS": {"TTL": "10"}},
            "Invalid prepared query: Bad DNS TTL '10': time: missing unit in duration \"10\"",
        ),
        (
            {"Name": "x", "Service": WEB, "DNS": {"TTL": "-10s"}},
            "Invalid prepared query: Bad DNS TTL '-10000000000', must be >=0",
        ),
        (
            {"Name": "x", "Service": WEB, "Token": "<hidden>"},
            "Invalid prepared query: Bad Token '<hidden>', it looks like a query definition with a redacted token was submitted",
        ),
        (
            {"Name": "x", "Service": {**WEB, "NodeMeta": {"bad key": "x"}}},
            "Invalid prepared query: Couldn't load metadata pair ('bad key', 'x'): Key contains invalid characters",
        ),
        (
            {"Name": "x", "Service": {**WEB, "ServiceMeta": {"": "x"}}},
            "Invalid prepared query: Couldn't load metadata pair ('', 'x'): Key cannot be blank",
        ),
        ({"Bogus": 1}, 'Request decode failed: json: unknown field "Bogus"'),
        (None, "Request decode failed: json: cannot unmarshal NoneType into Go value of type struct"),
        (
            {"Service": {"Connect": True}},
            "Service.Connect is not supported by this version of Regista: the service mesh",
        ),
    ],
)
def test_what_a_query_can_not_say(body, problem):
    """Each mistake is told in Consul's words."""
    assert problem_of(body) == problem
