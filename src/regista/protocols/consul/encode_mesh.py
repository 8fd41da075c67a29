"""Proxies in Consul's shapes. The agent's own paths leave out what is empty; the catalog's show it.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from typing import Any

from regista.model import ExposedPath, Proxy, Upstream


def agent_proxy(proxy: Proxy | None) -> dict[str, Any]:
    """A proxy, as the agent's own paths show it; at least `MeshGateway` and `Expose`."""
    return _proxy(proxy or Proxy(), _agent_upstream)


def catalog_proxy(proxy: Proxy) -> dict[str, Any]:
    """A proxy, as the catalog's and the health paths show it."""
    return _proxy(proxy, _catalog_upstream)


def _proxy(proxy: Proxy, upstream: Any) -> dict[str, Any]:
    set_ones = {
        "DestinationServiceName": proxy.destination_name,
        "DestinationServiceID": proxy.destination_id,
        "LocalServiceAddress": proxy.local_address,
        "LocalServicePort": proxy.local_port,
        "Config": in_key_order(proxy.config),
        "Upstreams": [upstream(each) for each in proxy.upstreams],
    }
    expose: dict[str, Any] = {"Checks": True} if proxy.exposes_checks else {}
    if proxy.exposed_paths:
        expose["Paths"] = [_path(each) for each in proxy.exposed_paths]
    return {**_without_empty(set_ones), "MeshGateway": _mesh_gateway(proxy.mesh_gateway), "Expose": expose}


def _agent_upstream(upstream: Upstream) -> dict[str, Any]:
    shape = _catalog_upstream(upstream)
    return {**_without_empty(shape), "MeshGateway": shape["MeshGateway"]}


def _catalog_upstream(upstream: Upstream) -> dict[str, Any]:
    return {
        "DestinationType": upstream.destination_type,
        "DestinationName": upstream.destination_name,
        "Datacenter": upstream.datacenter,
        "LocalBindAddress": upstream.local_bind_address,
        "LocalBindPort": upstream.local_bind_port,
        "Config": in_key_order(upstream.config),
        "MeshGateway": _mesh_gateway(upstream.mesh_gateway),
    }


def _mesh_gateway(mode: str) -> dict[str, Any]:
    return {"Mode": mode} if mode else {}


def _path(path: ExposedPath) -> dict[str, Any]:
    return _without_empty(
        {
            "ListenerPort": path.listener_port,
            "Path": path.path,
            "LocalPathPort": path.local_path_port,
            "Protocol": path.protocol,
            "ParsedFromCheck": path.parsed_from_check,
        }
    )


def in_key_order(value: Any) -> Any:
    """Maps with their keys in order, at every depth, as Go writes them; anything else as it is."""
    if isinstance(value, dict):
        return {key: in_key_order(value[key]) for key in sorted(value)}
    return [in_key_order(each) for each in value] if isinstance(value, list | tuple) else value


def _without_empty(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}
