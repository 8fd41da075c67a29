"""How a proxy of the service mesh is set up: whom it stands for, and whom it reaches."""

from __future__ import annotations

from typing import Any

import msgspec

CONNECT_PROXY = "connect-proxy"

GATEWAY_KINDS = ("mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway")


class Upstream(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A service that a proxy makes reachable at an address of its own machine.

    Attributes:
        destination_type: `service` or `prepared_query`.
        mesh_gateway: the mode of the gateways on the way: "", `none`, `local`, `remote`.
        config: what the proxy makes of it; made of JSON values only.
    """

    destination_type: str = "service"
    destination_name: str = ""
    datacenter: str = ""
    local_bind_address: str = ""
    local_bind_port: int = 0
    config: dict[str, Any] | None = None
    mesh_gateway: str = ""


class ExposedPath(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """An HTTP path that a proxy lets anybody reach, such as one for health checks."""

    listener_port: int = 0
    path: str = ""
    local_path_port: int = 0
    protocol: str = ""
    parsed_from_check: bool = False


class Proxy(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """How a proxy is set up.

    Attributes:
        destination_name: the service that it stands for; "" for a gateway.
        destination_id: the instance of it; "" for a proxy that stands for several.
        exposes_checks: whether the paths of HTTP checks are let through.
    """

    destination_name: str = ""
    destination_id: str = ""
    local_address: str = ""
    local_port: int = 0
    config: dict[str, Any] | None = None
    upstreams: tuple[Upstream, ...] = ()
    mesh_gateway: str = ""
    exposes_checks: bool = False
    exposed_paths: tuple[ExposedPath, ...] = ()
