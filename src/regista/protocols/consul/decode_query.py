"""Prepared queries as callers write them.

Source: Consul 1.9 (behaviour), query; what it answers with 500 for a mistake of the caller is 400 here.
"""

from __future__ import annotations

from typing import Any

from regista.model import BadInput, PreparedQuery, parse_duration_s
from regista.protocols.consul.decode import checked_meta
from regista.protocols.consul.fields import (
    Fields,
    flag,
    free_text,
    ignored,
    integer,
    list_of,
    map_of,
    name,
    not_yet,
    object_of,
    read_object,
    text,
)

TEXTS_MAX = 256
"""In each list of a query."""

QUERY_FIELDS: Fields = {
    "ID": text,
    "Name": name,
    "Session": text,
    "Token": text,
    "Template": object_of({"Type": text, "Regexp": free_text, "RemoveEmptyTags": flag}),
    "Service": object_of(
        {
            "Service": name,
            "Failover": object_of(
                {
                    "NearestN": integer,
                    "Datacenters": list_of(text, "[]string", TEXTS_MAX),
                    "Targets": not_yet("failover to other clusters"),
                }
            ),
            "OnlyPassing": flag,
            "IgnoreCheckIDs": list_of(name, "[]CheckID", TEXTS_MAX),
            "Near": name,
            "Tags": list_of(text, "[]string", TEXTS_MAX),
            "NodeMeta": map_of(free_text),
            "ServiceMeta": map_of(free_text),
            "Connect": not_yet("the service mesh"),
            "Peer": not_yet("other clusters"),
            "SamenessGroup": not_yet("sameness groups"),
        }
    ),
    "DNS": object_of({"TTL": text}),
    "CreateIndex": ignored,
    "ModifyIndex": ignored,
}

_HIDDEN_TOKEN = "<hidden>"  # noqa: S105 - what stands where a token is not shown


def read_query(value: Any) -> PreparedQuery:
    """The query in a body, under the id that is given there.

    Raises:
        BadInput: naming the field; in the order of Consul's own validation.
    """
    found = read_object(value, QUERY_FIELDS)
    template = found.get("Template", {})
    service = found.get("Service", {})
    failover = service.get("Failover", {})
    return PreparedQuery(
        id=found.get("ID", ""),
        name=found.get("Name", ""),
        session=found.get("Session", "").lower(),
        token=found.get("Token", ""),
        template_type=template.get("Type", ""),
        template_regexp=template.get("Regexp", ""),
        drops_empty_tags=template.get("RemoveEmptyTags", False),
        service=service.get("Service", ""),
        failover_nearest_n=failover.get("NearestN", 0),
        failover_datacenters=failover.get("Datacenters"),
        only_passing=service.get("OnlyPassing", False),
        ignore_check_ids=service.get("IgnoreCheckIDs"),
        near=service.get("Near", ""),
        tags=service.get("Tags"),
        node_meta=service.get("NodeMeta"),
        service_meta=service.get("ServiceMeta"),
        dns_ttl=found.get("DNS", {}).get("TTL", ""),
    )


def check_query(query: PreparedQuery) -> None:
    """Does nothing if the query makes sense by itself.

    Raises:
        BadInput: it does not; in Consul's words.
    """
    if not query.name and not query.template_type and not query.session:
        raise _invalid("Must be bound to a session", "Session")
    if query.token == _HIDDEN_TOKEN:
        raise _invalid(
            f"Bad Token '{query.token}', it looks like a query definition with a redacted token was submitted",
            "Token",
        )
    if not query.service:
        raise _invalid("Must provide a Service name to query", "Service.Service")
    if query.failover_nearest_n < 0:
        raise _invalid(f"Bad NearestN '{query.failover_nearest_n}', must be >= 0", "Service.Failover.NearestN")
    if query.dns_ttl:
        _check_ttl(query.dns_ttl)
    for field, pairs in (("NodeMeta", query.node_meta), ("ServiceMeta", query.service_meta)):
        try:
            checked_meta(pairs)
        except BadInput as error:
            raise _invalid(str(error).removeprefix("Invalid Service Meta: "), f"Service.{field}") from None


def _check_ttl(ttl: str) -> None:
    try:
        seconds = parse_duration_s(ttl)
    except ValueError as error:
        raise _invalid(f"Bad DNS TTL '{ttl}': {error}", "DNS.TTL") from None
    if seconds < 0:
        raise _invalid(f"Bad DNS TTL '{round(seconds * 1e9)}', must be >=0", "DNS.TTL")


def _invalid(problem: str, field: str) -> BadInput:
    return BadInput(f"Invalid prepared query: {problem}", field=field)
