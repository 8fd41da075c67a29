"""What a caller of health/service and catalog/service asks for, read from the request."""

from __future__ import annotations

import dataclasses

from regista.catalog import CHECK_SERVICE_NODE_FIELDS, Catalog, Instance, Lookup, parse_range
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import health_entry
from regista.protocols.consul.parameters import FILTER, META, NEAR, NODE_META, PASSING, TAG, VERSION
from regista.protocols.consul.reads import ReadOptions, pairs, read_options, required_argument, wants_passing
from regista.protocols.http import Request

QUESTION = (FILTER, NODE_META, NEAR, PASSING, TAG, META, VERSION)
"""The parameters that decide which instances are in an answer, and in which order."""


def read_lookup(request: Request, options: ReadOptions, *, passing_only: bool = False) -> Lookup:
    """Which instances of the service in the path are wanted.

    Raises:
        BadInput: `version` is no range.
    """
    version = request.parameters.first("version")
    return Lookup(
        name=request.argument,
        tags=tuple(request.parameters.all("tag")),
        meta=pairs(request, "meta"),
        node_meta=options.node_meta,
        version=parse_range(version) if version else None,
        passing_only=passing_only,
        near=options.near,
    )


@dataclasses.dataclass(frozen=True, slots=True)
class HealthQuestion:
    """What health/service answers.

    Attributes:
        filter_text: the expression that entries of the answer must meet besides; "" for none.
    """

    lookup: Lookup
    filter_text: str
    _options: ReadOptions
    _datacenter: str

    def keeps(self, catalog: Catalog, instance: Instance) -> bool:
        """Whether the entry of an instance meets the filter."""
        keeps = self._options.keeps
        return keeps is None or keeps(health_entry(catalog, instance, self._datacenter))


def read_health_question(request: Request, context: Context) -> HealthQuestion:
    """What a request with the path and parameters of health/service asks for.

    Raises:
        BadInput: a parameter has a value that it can't have.
        NotFound: another datacenter is asked for.
    """
    required_argument(request, "Missing service name")
    options = read_options(request, context, CHECK_SERVICE_NODE_FIELDS)
    lookup = read_lookup(request, options, passing_only=wants_passing(request))
    return HealthQuestion(lookup, request.parameters.first("filter"), options, context.identity.datacenter)
