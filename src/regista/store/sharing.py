"""Makes equal parts of many records one object, as they were when the records were registered.

A registry of a hundred thousand instances has a few hundred different lists of tags, and a check repeats the id,
name and tags of its instance. Read from the file each would be an object of its own, and those are half of the
memory of all records.
"""

from __future__ import annotations

from typing import Any

import msgspec

from regista.model import Check, Entry, Node, Record, Service

_FIELDS: dict[type[Record], tuple[str, ...]] = {
    Node: ("meta",),
    Service: ("node", "id", "name", "tags", "address", "meta", "service_kind"),
    Check: ("node", "name", "status", "output", "notes", "service_id", "service_name", "service_tags", "type"),
}
"""What is likely to be there again; the others are one of a kind."""


class Sharing:
    """The parts seen so far; keep it for as long as records are read together."""

    def __init__(self) -> None:
        self._parts: dict[Any, Any] = {}

    def share(self, entry: Entry[Record]) -> Entry[Record]:
        """The entry with every part replaced by an equal one seen before.

        Its record is changed in place, so nobody else may have it yet.
        """
        record = entry.record
        for field in _FIELDS.get(type(record), ()):
            part = getattr(record, field)
            if part:
                seen = self._seen(part)
                if seen is not part:
                    msgspec.structs.force_setattr(record, field, seen)
        if isinstance(record, Check) and record.definition is not None and record.definition.header is None:
            # With a header it has no hash; without a target (a heartbeat's) it repeats.
            definition = record.definition
            if definition.ttl_s:
                msgspec.structs.force_setattr(record, "definition", self._seen(definition))
        if entry.create_index == entry.modify_index:
            return Entry(record, entry.create_index, entry.create_index)
        return entry

    def _seen(self, part: Any) -> Any:
        key = (tuple(part), tuple(part.values())) if isinstance(part, dict) else part
        return self._parts.setdefault(key, part)
