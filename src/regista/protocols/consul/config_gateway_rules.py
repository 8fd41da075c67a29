"""What must hold for a configuration entry of the gateway kinds by itself, and for `mesh` and `exported-services`.

Source: Consul 1.9, `Normalize` and `Validate` of each kind (behaviour).
"""

from __future__ import annotations

import re
from typing import Any

from regista.protocols.consul.config_rules import Fields, bad_entry

_PROTOCOLS = ("tcp", "http", "http2", "grpc")
_HOST = re.compile(
    r"(?:\*\.)?(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_TLS_VERSIONS = ("", "TLS_AUTO", "TLSv1_0", "TLSv1_1", "TLSv1_2", "TLSv1_3")


def ingress_gateway(name: str, fields: Fields) -> Fields:
    """The rule for `ingress-gateway`: listeners speak tcp if they don't say what."""
    if not name:
        raise bad_entry("Name is required", "Name")
    # Port and protocol stand first in what is shown, whether the protocol was given or not.
    listeners = [
        {"Port": listener["Port"], "Protocol": "tcp", **listener} for listener in fields.get("Listeners") or ()
    ]
    ports = set()
    for position, listener in enumerate(listeners):
        port = listener["Port"]
        if port in ports:
            raise bad_entry(f"port {port} declared on two listeners", f"Listeners[{position}].Port")
        ports.add(port)
        if not 0 <= port <= 65535:
            raise bad_entry(f"Invalid Port number {port}", f"Listeners[{position}].Port")
        _check_listener(listener, f"Listeners[{position}]", has_tls=fields["TLS"].get("Enabled", False))
    return {**fields, "Listeners": listeners or fields.get("Listeners")}


def _check_listener(listener: Fields, field: str, *, has_tls: bool) -> None:
    protocol, port = listener["Protocol"], listener["Port"]
    where = f" (listener on port {port})"
    if protocol not in _PROTOCOLS:
        raise bad_entry(
            f"protocol must be 'tcp', 'http', 'http2', or 'grpc'. '{protocol}' is an unsupported protocol",
            f"{field}.Protocol",
        )
    services = listener.get("Services") or []
    if not services:
        raise bad_entry(f"No service declared for listener with port {port}", f"{field}.Services")
    if len(services) > 1 and protocol == "tcp":
        raise bad_entry(
            f"Multiple services per listener are only supported for protocol = 'http'{where}", f"{field}.Services"
        )
    seen: set[str] = set()
    for service in services:
        _check_listener_service(service, protocol, where, field)
        for host in service.get("Hosts") or ():
            if host in seen:
                raise bad_entry(f"Hosts must be unique within a specific listener{where}", f"{field}.Services")
            seen.add(host)
            _check_host(host, field, has_tls=has_tls)


def _check_listener_service(service: Fields, protocol: str, where: str, field: str) -> None:
    name, hosts = service["Name"], service.get("Hosts")
    problem = ""
    if name == "*" and protocol == "tcp":
        problem = "Wildcard service name is only valid for protocol = 'http'"
    elif not name:
        problem = "Service name cannot be blank"
    elif hosts and protocol == "tcp":
        problem = "Associating hosts to a service is not supported for the tcp protocol"
    elif hosts and name == "*":
        problem = "Associating hosts to a wildcard service is not supported"
    if problem:
        raise bad_entry(f"{problem}{where}", f"{field}.Services")


def _check_host(host: str, field: str, *, has_tls: bool) -> None:
    if host == "*":
        if has_tls:
            raise bad_entry(
                "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS records to add as a "
                "DNSSAN",
                f"{field}.Services",
            )
        return
    name, _, port = host.partition(":")
    if "*" in name.removeprefix("*."):
        raise bad_entry(
            f'Host "{host}" is not valid, a wildcard specifier is only allowed as the leftmost label',
            f"{field}.Services",
        )
    if len(name) > 253 or not _HOST.fullmatch(name) or (port and not port.isdigit()):
        raise bad_entry(f'Host "{host}" must be a valid DNS hostname', f"{field}.Services")


def terminating_gateway(name: str, fields: Fields) -> Fields:
    """The rule for `terminating-gateway`."""
    if not name:
        raise bad_entry("Name is required", "Name")
    seen: set[str] = set()
    for service in fields.get("Services") or ():
        if not service["Name"]:
            raise bad_entry("Service name cannot be blank.", "Services")
        if service["Name"] in seen:
            raise bad_entry(
                f'Service "{service["Name"]}" was specified more than once within a namespace', "Services"
            )
        seen.add(service["Name"])
        given = [bool(service.get(each)) for each in ("CAFile", "CertFile", "KeyFile")]
        # A client's certificate needs its key, and whoever has them names the authority too.
        if any(given[1:]) and not all(given):
            raise bad_entry(
                f'Service "{service["Name"]}" must have a CertFile, CAFile, and KeyFile specified for TLS '
                "origination",
                "Services",
            )
    return fields


def mesh(_name: str, fields: Fields) -> Fields:
    """The rule for `mesh`."""
    tls: dict[str, Any] = fields.get("TLS") or {}
    for side in ("Incoming", "Outgoing"):
        for field in ("TLSMinVersion", "TLSMaxVersion"):
            version = (tls.get(side) or {}).get(field, "")
            if version not in _TLS_VERSIONS:
                raise bad_entry(
                    f'error validating {side.lower()} TLS configuration: invalid TLS version: "{version}"; use '
                    "TLS_AUTO or one of TLSv1_0 to TLSv1_3",
                    f"TLS.{side}.{field}",
                )
    return fields


def exported_services(_name: str, fields: Fields) -> Fields:
    """The rule for `exported-services`."""
    for position, service in enumerate(fields.get("Services") or ()):
        where = f"Services[{position}]"
        if not service["Name"]:
            raise bad_entry(f"{where}: service name cannot be empty", where)
        for number, consumer in enumerate(service.get("Consumers", ())):
            inner = f"{where}.Consumers[{number}]"
            if consumer.get("Peer") == "*":
                raise bad_entry(f"{inner}: exporting to all peers (wildcard) is not supported", inner)
            if not consumer.get("Peer") and not consumer.get("SamenessGroup"):
                raise bad_entry(f"{inner}: must define a Peer or a SamenessGroup", inner)
    return fields
