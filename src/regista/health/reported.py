"""Which instance a caller's report is of."""

from __future__ import annotations

from regista.balance import OutcomeReport
from regista.catalog import Catalog
from regista.model import node_item_key

_SEVERAL = ""
"""Stands for the key of an instance whose id is on several nodes."""


class ReportedInstances:
    """Finds instances by what callers know of them: the service and the id, and perhaps the node.

    Args:
        node: where an instance is looked for whose report names no node, before all others.
    """

    def __init__(self, *, catalog: Catalog, node: str) -> None:
        self._catalog = catalog
        self._node = node
        # By service, then by the id of an instance; made when a report needs it, so no larger than the catalog.
        self._keys: dict[str, dict[str, str]] = {}

    def find(self, name: str, report: OutcomeReport) -> str | None:
        """The key of the instance; None for an unknown one, the server's own, and one that is on several nodes.

        Costs O(instances of the service) once after each change of them, if they are on other nodes.

        Args:
            name: the service's, in small letters.
        """
        group = self._catalog.service_indexes.by_name.get(name)
        if group is None:
            return None
        key = node_item_key(report.node or self._node, report.id)
        if key not in group.members and not report.node:
            key = self._keys_of(name).get(report.id.lower(), _SEVERAL)
        entry = group.members.get(key)
        return key if entry is not None and entry.record.manager != "server" else None

    def drop(self, name: str) -> None:
        """Takes notice that the instances of a service have changed."""
        self._keys.pop(name, None)

    def _keys_of(self, name: str) -> dict[str, str]:
        keys = self._keys.get(name)
        if keys is None:
            keys = self._keys[name] = {}
            for key, entry in self._catalog.service_indexes.by_name[name].members.items():
                service_id = entry.record.id.lower()
                keys[service_id] = _SEVERAL if service_id in keys else key
        return keys
