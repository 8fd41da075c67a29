"""Sidecars: proxies that are registered with an instance, get a port and checks, and go when it goes.

Source: Consul 1.9 (behaviour), `Connect.SidecarService`.
"""

from __future__ import annotations

import dataclasses

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import BadInput, Check, CheckDefinition, PortClaim, Service, node_item_key

PORT_MIN = 21000
PORT_MAX = 21255

_LISTENING_INTERVAL_S = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class Sidecar:
    """The sidecar that a caller wants with an instance.

    Attributes:
        service: port 0 to be given one.
        checks: None for the two that look whether it listens and whether its instance is well.
    """

    service: Service
    checks: tuple[Check, ...] | None = None

    def check_keys(self) -> set[str]:
        """The keys of its checks, whatever port it is given."""
        return {check.key for check in (_default_checks(self.service) if self.checks is None else self.checks)}


def sidecar_id(service_id: str) -> str:
    """The id of an instance's sidecar."""
    return f"{service_id}-sidecar-proxy"


def placed(catalog: Catalog, draft: Draft, wanted: Sidecar) -> tuple[Service, tuple[Check, ...]]:
    """The sidecar with a port, and its checks.

    Raises:
        BadInput: every port is taken.
    """
    service = wanted.service
    if not service.port:
        service = msgspec.structs.replace(service, port=_take_port(catalog, draft, service))
    return service, _default_checks(service) if wanted.checks is None else wanted.checks


def _take_port(catalog: Catalog, draft: Draft, service: Service) -> int:
    """The port that the sidecar has, or the lowest that no instance of its node has."""
    found = catalog.services.get(service.key)
    if found and found.record.sidecar_of and PORT_MIN <= found.record.port <= PORT_MAX:
        return found.record.port
    on_node = catalog.service_indexes.by_node.get(service.node.lower(), {})
    taken = {entry.record.port for entry in on_node.values()}
    port = next((port for port in range(PORT_MIN, PORT_MAX + 1) if port not in taken), 0)
    if not port:
        raise BadInput(
            "Bad request: Invalid SidecarService: no port provided for sidecar_service and none left in the "
            f"configured range [{PORT_MIN}, {PORT_MAX}]; give one, or deregister sidecars",
            field="Connect.SidecarService.Port",
        )
    # Whoever plans for the same port at the same time has to plan again.
    claim = PortClaim(node=service.node, port=port, service_id=service.id)
    draft.put(catalog.port_claims.get(claim.key), claim)
    return port


def _default_checks(service: Service) -> tuple[Check, ...]:
    assert service.proxy is not None
    listening = CheckDefinition(
        tcp=f"{service.proxy.local_address}:{service.port}", interval_s=_LISTENING_INTERVAL_S
    )
    parts = (
        ("Connect Sidecar Listening", "tcp", listening),
        (
            f"Connect Sidecar Aliasing {service.sidecar_of}",
            "alias",
            CheckDefinition(alias_service=service.sidecar_of),
        ),
    )
    return tuple(
        Check(
            node=service.node,
            id=f"service:{service.id}:{number}",
            name=name,
            service_id=service.id,
            service_name=service.name,
            service_tags=service.tags,
            type=kind,
            definition=definition,
            manager=service.manager,
        )
        for number, (name, kind, definition) in enumerate(parts, start=1)
    )


def sidecar_key(service: Service) -> str:
    """The key under which the instance's sidecar stands, if it has one."""
    return node_item_key(service.node, sidecar_id(service.id))
