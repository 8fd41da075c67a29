"""Which instances silence could end, service by service and all together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from regista.catalog import Catalog, is_drain, reaps_after_s
from regista.health.protection import Limits, Scope, View
from regista.health.rates import Rate, decide_service_rate
from regista.health.settings import HealthSettings
from regista.model import Manager, Service

_MANAGERS: tuple[Manager, ...] = ("agent", "config")
"""Whose leases and heartbeats are heard here."""

_SWEEP_S = 60.0
"""How often services without instances are forgotten."""

_NEAR_S = 0.5
"""How long it is believed who is about to fall silent; to look at a hundred thousand takes some 12 ms."""


class Scopes:
    """The scope of all services, and that of each.

    Attributes:
        all: that of all services together.
        near: the keys of the instances that are about to fall silent; set once the parts that know are made.
    """

    def __init__(self, *, catalog: Catalog, settings: HealthSettings, now_s: Callable[[], float]) -> None:
        self.near: Callable[[float], Iterable[str]] = lambda _now_s: ()
        self._near: dict[str, list[str]] = {}
        self._near_until_s = now_s()
        self._catalog = catalog
        self._settings = settings
        self._now_s = now_s
        limits = Limits(
            share=settings.protection_share,
            window_s=settings.protection_window_s,
            size_min=settings.protection_service_instances_min,
            hold_s=settings.protection_s_max,
        )
        self._limits = limits
        self.all = Scope("", msgspec.structs.replace(limits, size_min=settings.protection_instances_min))
        self._services: dict[str, Scope] = {}
        self._members: dict[str, str] = {}
        self._sweep_s = now_s() + _SWEEP_S

    def __iter__(self) -> Iterator[Scope]:
        yield self.all
        yield from list(self._services.values())

    def note(self, key: str) -> None:
        """Brings it into line with the catalog whether silence could end this instance."""
        entry = self._catalog.services.get(key)
        name = entry.record.name.lower() if entry is not None and self._is_at_risk(key, entry.record) else ""
        before = self._members.get(key, "")
        if name == before:
            return
        now_s = self._now_s()
        if before:
            del self._members[key]
            self.service(before).resize(-1, now_s)
        if name:
            self._members[key] = name
            self.service(name).resize(1, now_s)
        by = bool(name) - bool(before)
        if by:
            self.all.resize(by, now_s)

    def service(self, name: str) -> Scope:
        """The scope of a service, by its name in small letters."""
        scope = self._services.get(name)
        if scope is None:
            scope = self._services[name] = Scope(name, self._limits)
        return scope

    def of(self, service: str) -> tuple[Scope, Scope]:
        """The scopes that judge an instance of the service; its own first, for people know that one better."""
        return self.service(service), self.all

    def view(self, scope: Scope, now_s: float) -> View:
        """What the scope says now."""
        if now_s >= self._near_until_s:
            self._near_until_s = now_s + _NEAR_S
            self._near = {"": []}
            for key in self.near(now_s):
                if name := self._members.get(key):
                    self._near[""].append(key)
                    self._near.setdefault(name, []).append(key)
        return scope.view(self._near.get(scope.name, ()), now_s)

    def rate_of(self, name: str) -> Rate:
        """How fast the instances of a service may end."""
        return decide_service_rate(
            self.service(name).size_at_most(self._now_s()),
            share_per_s=self._settings.expiries_service_share,
            per_s_min=self._settings.expiries_service_per_s_min,
        )

    def tick(self, now_s: float) -> None:
        """Forgets services of which nothing is left, now and then."""
        if now_s >= self._sweep_s:
            self._sweep_s = now_s + _SWEEP_S
            for name in [name for name, scope in self._services.items() if scope.is_idle(now_s)]:
                del self._services[name]

    def _is_at_risk(self, key: str, service: Service) -> bool:
        if service.manager == "server":
            return False
        is_kept_here = service.manager in _MANAGERS
        if is_kept_here and service.ttl_s > 0:
            return True
        for entry in self._catalog.check_indexes.by_instance.get(key, ()):
            check = entry.record
            if is_drain(check):
                continue
            if is_kept_here and check.definition is not None and check.definition.ttl_s > 0:
                return True
            if reaps_after_s(check) > 0:
                return True
        return False
