"""Prepared queries: questions that are kept under a name, for callers who can say no more than a name."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class PreparedQuery(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A question for instances of a service.

    A list or map is None where the caller gave none, because Consul shows `null` and `[]` as they were given.

    Attributes:
        id: a UUID in small letters.
        name: what it is asked by; of a template, what the names begin with that it is for.
        session: the session with which it ends; "" for none.
        token: whose rights it is executed with; "" for its caller's.
        template_type: `name_prefix_match`, or "" for a query that is no template.
        template_regexp: what `match(N)` in the texts refers to.
        drops_empty_tags: whether tags that come out empty are left out.
        failover_nearest_n, failover_datacenters: where else to ask if nothing is found here.
        ignore_check_ids: checks that do not count.
        near: the node by which instances are sorted, `_agent`, `_ip`, or "" for none.
        tags: all of them; with `!` in front, none of them.
        dns_ttl: how long a DNS answer is good for, as it was given.
    """

    kind: ClassVar[str] = "query"

    id: str
    name: str = ""
    session: str = ""
    token: str = ""
    template_type: str = ""
    template_regexp: str = ""
    drops_empty_tags: bool = False
    service: str = ""
    failover_nearest_n: int = 0
    failover_datacenters: tuple[str, ...] | None = None
    only_passing: bool = False
    ignore_check_ids: tuple[str, ...] | None = None
    near: str = ""
    tags: tuple[str, ...] | None = None
    node_meta: dict[str, str] | None = None
    service_meta: dict[str, str] | None = None
    dns_ttl: str = ""

    @property
    def key(self) -> str:
        """The record's key: the id."""
        return self.id


class QueryName(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Whose a name is. A record of its own, so that of two writers of one name only one succeeds.

    Attributes:
        name: in small letters; "" for that of the template for all names.
        query: the query's id.
    """

    kind: ClassVar[str] = "query-name"

    name: str
    query: str

    @property
    def key(self) -> str:
        """The record's key: the name, behind a sign that keeps it from being empty."""
        return query_name_key(self.name)


def query_name_key(name: str) -> str:
    """The key under which it is noted whose a name is."""
    return "=" + name.lower()
