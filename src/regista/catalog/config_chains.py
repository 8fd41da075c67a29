"""What configuration entries say together: whether the chain of every service can be followed to its end.

A service's *chain* is its router, then splitters, then resolvers, each of which may lead to other services. The
checks here are those that need entries only, and no instances. They are made for a change before it is written,
on the replica as it would be after it.

Source: Consul 1.9, `discoverychain.Compile` and `validateProposedConfigEntryInGraph` (behaviour).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from regista.catalog.replica import Catalog
from regista.model import BadInput, ConfigEntry, Entry, config_entry_key

DEFAULTS = "service-defaults"
GLOBAL_DEFAULTS = "proxy-defaults"
ROUTER = "service-router"
SPLITTER = "service-splitter"
RESOLVER = "service-resolver"
INTENTIONS = "service-intentions"
INGRESS = "ingress-gateway"
TERMINATING = "terminating-gateway"

CHAIN_KINDS = (ROUTER, SPLITTER, RESOLVER)
_PROTOCOL_KINDS = (DEFAULTS, GLOBAL_DEFAULTS)
_L7_PROTOCOLS = ("http", "http2", "grpc")

CHAIN_LENGTH_MAX = 64
"""How many splitters or redirects may follow each other; longer ones are a mistake, or an attack."""

Fields = dict[str, Any]


class Proposal:
    """The replica with one configuration entry put, or taken away.

    Args:
        fields: those of the entry; None for one that is taken away.
    """

    def __init__(self, catalog: Catalog, entry_kind: str, name: str, fields: Fields | None) -> None:
        self._catalog = catalog
        self._key = config_entry_key(entry_kind, name)
        self._fields = fields
        self.entry_kind = entry_kind
        self.name = name

    def fields(self, entry_kind: str, name: str) -> Fields | None:
        """What the entry of that kind and name says; None if there is none."""
        if config_entry_key(entry_kind, name) == self._key:
            return self._fields
        found = self._catalog.config_entries.find(entry_kind, name)
        return found.record.fields if found else None

    def of_kind(self, entry_kind: str) -> Iterator[tuple[str, Fields]]:
        """Name and fields of every entry of a kind, by name."""
        entries = dict(self._catalog.config_entries.by_kind.get(entry_kind, {}))
        if entry_kind == self.entry_kind:
            entries.pop(self._key, None)
            if self._fields is not None:
                wanted = ConfigEntry(entry_kind=entry_kind, name=self.name, fields=self._fields)
                entries[self._key] = Entry(wanted, 0, 0)
        for key in sorted(entries):
            yield entries[key].record.name, entries[key].record.fields

    def protocol(self, service: str) -> str:
        """What the service speaks."""
        own = (self.fields(DEFAULTS, service) or {}).get("Protocol")
        config = (self.fields(GLOBAL_DEFAULTS, "global") or {}).get("Config") or {}
        common = next((value for key, value in config.items() if key.lower() == "protocol"), "")
        return str(own or common or "tcp")


def check_proposal(proposal: Proposal, datacenter: str) -> None:
    """Does nothing if every chain still makes sense.

    Raises:
        BadInput: one does not; in Consul's words.
    """
    kind, name = proposal.entry_kind, proposal.name
    if kind in (*CHAIN_KINDS, *_PROTOCOL_KINDS):
        for service in _affected(proposal):
            _Chain(proposal, service, datacenter).check()
    if kind in (INTENTIONS, *_PROTOCOL_KINDS):
        _check_intentions(proposal)
    if kind in (INGRESS, *_PROTOCOL_KINDS):
        _check_listeners(proposal)
    if kind in (INGRESS, TERMINATING):
        other = TERMINATING if kind == INGRESS else INGRESS
        if proposal.fields(kind, name) is not None and proposal.fields(other, name) is not None:
            raise BadInput(
                f'cannot create a "{kind}" config entry with name "{name}", a "{other}" config entry with that '
                "name already exists",
                field="Name",
            )


def _affected(proposal: Proposal) -> list[str]:
    """The services whose chain may be another after the change; costs O(entries of the kinds of chains)."""
    leads_from: dict[str, set[str]] = {}
    services: dict[str, str] = {}
    for entry_kind in CHAIN_KINDS:
        for name, fields in proposal.of_kind(entry_kind):
            services.setdefault(name.lower(), name)
            for other in _destinations(entry_kind, fields):
                leads_from.setdefault(other.lower(), set()).add(name.lower())
    if proposal.entry_kind == GLOBAL_DEFAULTS:
        return [services[key] for key in sorted(services)]
    services.setdefault(proposal.name.lower(), proposal.name)
    found = {proposal.name.lower()}
    pending = [proposal.name.lower()]
    while pending:
        for key in leads_from.get(pending.pop(), ()):
            if key not in found:
                found.add(key)
                pending.append(key)
    # The service itself first: its own mistakes are what the caller can best understand.
    return [services[key] for key in sorted(found, key=lambda key: (key != proposal.name.lower(), key))]


def _destinations(entry_kind: str, fields: Fields) -> Iterator[str]:
    """The other services that an entry of a chain leads to."""
    if entry_kind == ROUTER:
        places: Iterable[Fields] = [route.get("Destination") or {} for route in fields.get("Routes", ())]
    elif entry_kind == SPLITTER:
        places = fields.get("Splits", ())
    else:
        failovers = fields.get("Failover", {}).values()
        places = [fields.get("Redirect") or {}, *(place for each in failovers for place in _failover_places(each))]
    for place in places:
        if place.get("Service"):
            yield place["Service"]


def _failover_places(failover: Fields) -> Iterable[Fields]:
    """Where a failover leads in this cluster: to one place, or to each of its targets."""
    targets = [target for target in failover.get("Targets", ()) if not target.get("Peer")]
    return targets if failover.get("Targets") else (failover,)


def _rewritten(place: Fields, service: str, subset: str) -> tuple[str, str]:
    """Service and subset of a place that is told in difference to another; a subset is of one service only."""
    target = place.get("Service") or service
    return target, place.get("ServiceSubset") or (subset if target.lower() == service.lower() else "")


class _Chain:
    """One walk through the chain of a service."""

    def __init__(self, proposal: Proposal, service: str, datacenter: str) -> None:
        self._proposal = proposal
        self._service = service
        self._datacenter = datacenter
        self._protocol = ""
        self._is_advanced = False
        self._splitters: list[str] = []
        self._done: set[str] = set()

    def check(self) -> None:
        """Walks the chain.

        Raises:
            BadInput: it can't be followed to its end; in Consul's words.
        """
        self._note_protocol(self._service)
        router = self._proposal.fields(ROUTER, self._service)
        if router is not None:
            self._is_advanced = True
            for route in router.get("Routes", ()):
                place = route.get("Destination") or {}
                self._go_to(place.get("Service") or self._service, place.get("ServiceSubset", ""))
        self._go_to(self._service, "")
        if self._is_advanced and self._protocol not in _L7_PROTOCOLS:
            raise BadInput(
                f'discovery chain "{self._service}" uses a protocol "{self._protocol}" that does not permit '
                f"advanced routing or splitting behavior; set it to http, http2 or grpc in {DEFAULTS}"
            )

    def _go_to(self, service: str, subset: str) -> None:
        splitter = None if subset else self._proposal.fields(SPLITTER, service)
        if splitter is None:
            self._resolve(service, subset)
        else:
            self._split(service, splitter)

    def _split(self, service: str, splitter: Fields) -> None:
        if service.lower() in self._splitters:
            path = [*self._splitters[self._splitters.index(service.lower()) :], service.lower()]
            raise BadInput(f"detected circular reference: [{' -> '.join(f'splitter:{each}' for each in path)}]")
        if service.lower() in self._done:
            return
        if len(self._splitters) >= CHAIN_LENGTH_MAX:
            raise BadInput(
                f'discovery chain "{self._service}" has more than {CHAIN_LENGTH_MAX} splitters in a row'
            )
        self._is_advanced = True
        self._note_protocol(service)
        self._splitters.append(service.lower())
        for split in splitter.get("Splits", ()):
            target, subset = split.get("Service") or service, split.get("ServiceSubset", "")
            if not subset and target.lower() != service.lower():
                self._go_to(target, "")
            else:
                self._resolve(target, subset)
        self._splitters.pop()
        self._done.add(service.lower())

    def _resolve(self, service: str, subset: str, *, fails_over: bool = True) -> None:
        """Follows redirects and default subsets to the instances that are meant."""
        datacenter = self._datacenter
        path: list[tuple[str, str, str]] = []
        while True:
            target = (service, subset, datacenter)
            key = tuple(each.lower() for each in target)
            if any(key == tuple(each.lower() for each in earlier) for earlier in path):
                ids = " -> ".join(_target_id(each) for each in [*path, target])
                raise BadInput(f"detected circular resolver redirect: [{ids}]")
            if len(path) > CHAIN_LENGTH_MAX:
                raise BadInput(
                    f'discovery chain "{self._service}" has more than {CHAIN_LENGTH_MAX} redirects in a row'
                )
            path.append(target)
            self._note_protocol(service)
            resolver = self._proposal.fields(RESOLVER, service) or {}
            self._check_external(service, resolver)
            redirect = resolver.get("Redirect")
            if redirect:
                service, subset = _rewritten(redirect, service, subset)
                datacenter = redirect.get("Datacenter") or datacenter
                if (service, subset, datacenter) != target:
                    continue
            break
        subset = subset or resolver.get("DefaultSubset", "")
        if subset and subset not in resolver.get("Subsets", {}):
            raise BadInput(f'service "{service}" does not have a subset named "{subset}"')
        if fails_over:
            self._check_failover(service, subset, resolver)

    def _check_failover(self, service: str, subset: str, resolver: Fields) -> None:
        failover = resolver.get("Failover", {})
        for place in _failover_places(failover.get(subset) or failover.get("*") or {}):
            self._resolve(*_rewritten(place, service, subset), fails_over=False)

    def _check_external(self, service: str, resolver: Fields) -> None:
        if not (self._proposal.fields(DEFAULTS, service) or {}).get("ExternalSNI"):
            return
        for field, what in (("Redirect", "redirects"), ("Subsets", "subsets"), ("Failover", "failover")):
            if resolver.get(field):
                raise BadInput(
                    f'service "{service}" has an external SNI set; cannot define {what} for external services'
                )

    def _note_protocol(self, service: str) -> None:
        protocol = self._proposal.protocol(service)
        if not self._protocol:
            self._protocol = protocol
        elif protocol != self._protocol:
            raise BadInput(
                f'discovery chain "{self._service}" uses inconsistent protocols; service "{service}" has '
                f'"{protocol}" which is not "{self._protocol}"'
            )


def _target_id(target: tuple[str, str, str]) -> str:
    service, subset, datacenter = target
    return f"{subset + '.' if subset else ''}{service}.default.{datacenter}"


def _check_intentions(proposal: Proposal) -> None:
    for name, fields in proposal.of_kind(INTENTIONS):
        if any(source.get("Permissions") for source in fields.get("Sources", ())):
            protocol = proposal.protocol(name)
            if protocol not in _L7_PROTOCOLS:
                raise BadInput(
                    f'service "{name}" has protocol "{protocol}", which is incompatible with L7 intentions '
                    "permissions"
                )


def _check_listeners(proposal: Proposal) -> None:
    for _, fields in proposal.of_kind(INGRESS):
        for listener in fields.get("Listeners", ()):
            for service in listener.get("Services", ()):
                protocol = proposal.protocol(service["Name"])
                if service["Name"] != "*" and protocol != listener["Protocol"]:
                    raise BadInput(
                        f'service "{service["Name"]}" has protocol "{protocol}", which does not match defined '
                        f'listener protocol "{listener["Protocol"]}"'
                    )
