"""Headers of Regista's own on an answer about health: why it holds others than were asked for, and what is odd.

Source: Regista's; `docs/reference/http-api.md`, "What an answer says of itself".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from regista.catalog import Catalog, DegradedFinding, Instance
from regista.model import Check, Entry
from regista.protocols.http import Headers

DEGRADED = "X-Regista-Degraded"
DEGRADED_REASONS = ("fallback", "panic")
"""What each item of that header begins with."""

FLAPPING = "X-Regista-Flapping"
SUSPECTS = "X-Regista-Suspects"

_NAMED_MAX = 10
_NAMED_BYTES_MAX = 2048
"""All names of one header; many servers and proxies take 8 KB for all headers together."""

_PLAIN = "-._~:@+"
"""Signs that stand for themselves in a header's name of a record; `/` parts node and id."""


@dataclasses.dataclass(frozen=True, slots=True)
class Labelled:
    """An answer as JSON values, with the headers that belong to it."""

    value: Any
    headers: Headers = ()


def degraded_headers(findings: Sequence[DegradedFinding]) -> Headers:
    """Why the answer holds others than were asked for; none as a rule."""
    return ((DEGRADED, ", ".join(str(each) for each in findings)),) if findings else ()


def has_marks(catalog: Catalog) -> bool:
    """Whether anything is marked at all: as a rule nothing is, and nobody need look for it."""
    return bool(catalog.marks.of("flapping") or catalog.marks.of("suspect"))


def instance_headers(catalog: Catalog, instances: Iterable[Instance]) -> Headers:
    """What is marked of these instances and their checks."""
    flapping, suspects = catalog.marks.of("flapping"), catalog.marks.of("suspect")
    checks: dict[str, Check] = {}
    services = {}
    for instance in instances:
        service = instance.service.record
        if service.key in suspects:
            services[service.key] = (service.node, service.id)
        # A node's own check speaks for all its instances, and is named once.
        checks |= {each.record.key: each.record for each in instance.checks if each.record.key in flapping}
    return _flapping(checks.values()) + _suspects(services.values())


def check_headers(catalog: Catalog, checks: Iterable[Entry[Check]]) -> Headers:
    """What is marked of these checks."""
    flapping = catalog.marks.of("flapping")
    if not flapping:
        return ()
    return _flapping([each.record for each in checks if each.record.key in flapping])


def _flapping(checks: Iterable[Check]) -> Headers:
    names = [(check.node, check.id) for check in checks]
    if not names:
        return ()
    listed = list(_named(names))
    left = len(names) - len(listed)
    return ((FLAPPING, ", ".join(listed) + (f", and {left} more" if left else "")),)


def _suspects(services: Iterable[tuple[str, str]]) -> Headers:
    names = list(services)
    return ((SUSPECTS, "; ".join((str(len(names)), ", ".join(_named(names))))),) if names else ()


def _named(names: Iterable[tuple[str, str]]) -> Iterator[str]:
    """The first names as `node/id`, harmless in a header; the first of all in any case, cut if need be."""
    taken_bytes = 0
    for number, (node, record_id) in enumerate(names):
        name = f"{quote(node, safe=_PLAIN)}/{quote(record_id, safe=_PLAIN)}"
        taken_bytes += len(name)
        if number == _NAMED_MAX or (number and taken_bytes > _NAMED_BYTES_MAX):
            return
        yield name[:_NAMED_BYTES_MAX]
