"""health/service put together from encoded instances, so that one change encodes one instance.

Of services that are asked for again and again the JSON of each instance is kept. The replica says which of them
changed since the last look (`InstanceChanges`); these are encoded anew, and the answer is joined. It is the same
byte for byte as one that is encoded whole.
"""

from __future__ import annotations

import bisect
from collections import OrderedDict
from collections.abc import Iterable

from regista.catalog import Catalog, Instance, Lookup, distance_from, find_instances, instance_of
from regista.protocols.consul.encode import health_entry
from regista.protocols.http import Encoded, Headers, encode_json

_PART_BYTES = 400
"""What an instance takes besides its JSON; the least that this JSON has is as much again."""

_SEEN_MAX = 4096
"""Of so many services it is remembered that they were asked for: the second time their instances are kept."""


class _Part:
    """An instance, encoded."""

    __slots__ = ("body", "is_passing", "place")

    def __init__(self, body: bytes, place: tuple[str, str], *, is_passing: bool) -> None:
        self.body = body
        self.place = place
        self.is_passing = is_passing


class _Parts:
    """The instances of a service in the order of answers."""

    __slots__ = ("by_key", "held_bytes", "ordered", "places")

    def __init__(self) -> None:
        self.by_key: dict[str, _Part] = {}
        self.ordered: list[_Part] = []
        self.places: list[tuple[str, str]] = []
        self.held_bytes = 0

    def put(self, key: str, part: _Part) -> None:
        old = self.by_key.get(key)
        at = bisect.bisect_left(self.places, part.place)
        if old is None:
            self.ordered.insert(at, part)
            self.places.insert(at, part.place)
            self.held_bytes += _PART_BYTES + len(part.body)
        else:
            # An instance's key is made of its place, so it stays there.
            self.ordered[at] = part
            self.held_bytes += len(part.body) - len(old.body)
        self.by_key[key] = part

    def drop(self, key: str) -> None:
        old = self.by_key.pop(key, None)
        if old is not None:
            at = bisect.bisect_left(self.places, old.place)
            del self.ordered[at], self.places[at]
            self.held_bytes -= _PART_BYTES + len(old.body)


class HealthParts:
    """The encoded instances of one replica.

    Args:
        bytes_max: how much of memory they may take, roughly; 0 to keep none.

    Attributes:
        held_bytes: what they take.
        encoded_count: how many instances were encoded.
    """

    def __init__(self, catalog: Catalog, datacenter: str, *, bytes_max: int) -> None:
        self._catalog = catalog
        self._datacenter = datacenter
        self._bytes_max = bytes_max
        # By lower-cased name; the one asked for last is last.
        self._kept: OrderedDict[str, _Parts] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self.held_bytes = 0
        self.encoded_count = 0

    def encode_all(self, name: str, *, passing_only: bool, near: str) -> Encoded:
        """The answer with all instances of a service, or all that are passing; see `Lookup` for `near`."""
        kept = self._parts(name.lower())
        if kept is None:
            lookup = Lookup(name=name, passing_only=passing_only, near=near)
            return _joined([self._encode(each) for each in find_instances(self._catalog, lookup)])
        parts = kept.ordered
        if near:
            distance = distance_from(self._catalog.coordinates, near)
            parts = sorted(parts, key=lambda part: distance(part.place[0]))
        if passing_only:
            return _joined([part.body for part in parts if part.is_passing])
        return _joined([part.body for part in parts])

    def encode(self, instances: Iterable[Instance], headers: Headers = ()) -> Encoded:
        """The answer with these instances, which are as the replica has them, in this order."""
        bodies = []
        name, parts = None, None
        for instance in instances:
            service = instance.service.record
            if service.name != name:
                name = service.name
                parts = self._parts(name.lower())
            part = parts.by_key.get(service.key) if parts is not None else None
            bodies.append(part.body if part is not None else self._encode(instance))
        return _joined(bodies, headers)

    def _parts(self, name: str) -> _Parts | None:
        """The instances of a service as they are now; None if they are not kept."""
        parts = self._kept.get(name)
        if parts is None:
            return self._take_up(name) if self._is_wanted(name) else None
        self._kept.move_to_end(name)
        changed = self._catalog.instance_changes.take(name)
        if changed is None:
            self._drop(name)
            return self._take_up(name)
        if changed:
            self.held_bytes -= parts.held_bytes
            for key in changed:
                self._refresh(name, parts, key)
            self.held_bytes += parts.held_bytes
            self._limit()
        return parts

    def _is_wanted(self, name: str) -> bool:
        """Whether the service is asked for again, and would fit."""
        group = self._catalog.service_indexes.by_name.get(name)
        if group is None or len(group.members) * 2 * _PART_BYTES > self._bytes_max // 2:
            return False
        if name in self._seen:
            del self._seen[name]
            return True
        self._seen[name] = None
        if len(self._seen) > _SEEN_MAX:
            self._seen.popitem(last=False)
        return False

    def _take_up(self, name: str) -> _Parts:
        parts = _Parts()
        self._catalog.instance_changes.follow(name)
        for instance in find_instances(self._catalog, Lookup(name=name)):
            parts.put(instance.service.record.key, self._part(instance))
        self._kept[name] = parts
        self.held_bytes += parts.held_bytes
        self._limit()
        return parts

    def _refresh(self, name: str, parts: _Parts, key: str) -> None:
        entry = self._catalog.services.get(key)
        if entry is None or entry.record.name.lower() != name:
            parts.drop(key)
        else:
            parts.put(key, self._part(instance_of(self._catalog, entry)))

    def _part(self, instance: Instance) -> _Part:
        service = instance.service.record
        place = service.node.lower(), service.id.lower()
        return _Part(self._encode(instance), place, is_passing=instance.is_passing)

    def _encode(self, instance: Instance) -> bytes:
        self.encoded_count += 1
        return encode_json(health_entry(self._catalog, instance, self._datacenter))

    def _limit(self) -> None:
        while self.held_bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, name: str) -> None:
        self.held_bytes -= self._kept.pop(name).held_bytes
        self._catalog.instance_changes.forget(name)


def _joined(bodies: list[bytes], headers: Headers = ()) -> Encoded:
    """The answer made of these entries; the list is used up.

    Its fingerprint is made of theirs, which Python keeps with the bytes: the whole is not read again.
    """
    fingerprint = hash(tuple(bodies)).to_bytes(8, "big", signed=True)
    if not bodies:
        return Encoded(b"[]", headers, fingerprint)
    # The brackets go to the first and the last entry, for each copy of the whole costs as much as all else here.
    bodies[0] = b"[" + bodies[0]
    bodies[-1] += b"]"
    return Encoded(b",".join(bodies), headers, fingerprint)
