"""Whether another instance has taken the place of one that is silent.

When a machine or a container starts again its services often come back under other ids, at the same ports. The
port of the old one answers then, but it is not the old one that does.
"""

from __future__ import annotations

import collections
from collections.abc import Callable

from regista.catalog import Catalog
from regista.model import Service

_KNOWN_S = 5.0
"""How long it is believed who is where: thousands of answers may come within a second, and each would look through
the whole service."""


class Successors:
    """Who else is registered at the address and port of an instance."""

    def __init__(self, *, catalog: Catalog, now_s: Callable[[], float]) -> None:
        self._catalog = catalog
        self._now_s = now_s
        self._known_until_s = 0.0
        self._heard: dict[str, collections.Counter[tuple[str, str, int]]] = {}

    def has_one(self, service: Service) -> bool:
        """Whether another instance of the service is at the same place and is not silent itself."""
        now_s = self._now_s()
        if now_s >= self._known_until_s:
            self._known_until_s = now_s + _KNOWN_S
            self._heard.clear()
        name = service.name.lower()
        if name not in self._heard:
            silent = self._catalog.marks.of("suspect")
            group = self._catalog.service_indexes.by_name.get(name)
            members = group.members.items() if group is not None else ()
            self._heard[name] = collections.Counter(
                _place(entry.record) for key, entry in members if key not in silent
            )
        return self._heard[name][_place(service)] > 0


def _place(service: Service) -> tuple[str, str, int]:
    return "" if service.address else service.node.lower(), service.address, service.port
