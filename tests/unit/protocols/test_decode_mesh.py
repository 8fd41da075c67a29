"""Proxies, gateways and sidecars as callers write them."""

import pytest

from regista.model import BadInput, Proxy, Upstream
from regista.protocols.consul import read_service
from regista.protocols.consul.encode_mesh import agent_proxy, catalog_proxy

PROXY = {"Name": "web-proxy", "Kind": "connect-proxy", "Port": 21000, "Proxy": {"DestinationServiceName": "web"}}
UPSTREAM = {"DestinationName": "db", "LocalBindPort": 9191}


def read(value):
    return read_service(value, node="n1", manager="agent")


def with_upstreams(*upstreams):
    return PROXY | {"Proxy": {"DestinationServiceName": "web", "Upstreams": list(upstreams)}}


def test_a_proxy_is_read_and_shown():
    """What is written of a proxy is shown; the agent's paths leave out what is empty, the catalog's don't."""
    given = {
        "destination_service_name": "web",
        "Config": {"protocol": "http"},
        "Upstreams": [UPSTREAM],
        "MeshGateway": {"Mode": "local"},
        "Expose": {"Checks": True, "Paths": [{"Path": "/healthz", "ListenerPort": 1}]},
    }
    service = read(PROXY | {"Proxy": given}).service
    assert service.proxy.upstreams == (Upstream(destination_name="db", local_bind_port=9191),)
    shown = agent_proxy(service.proxy)
    assert shown == {
        "DestinationServiceName": "web",
        "Config": {"protocol": "http"},
        "Upstreams": [
            {"DestinationType": "service", "DestinationName": "db", "LocalBindPort": 9191, "MeshGateway": {}}
        ],
        "MeshGateway": {"Mode": "local"},
        "Expose": {"Checks": True, "Paths": [{"ListenerPort": 1, "Path": "/healthz"}]},
    }
    assert catalog_proxy(service.proxy)["Upstreams"][0]["Datacenter"] == ""
    assert agent_proxy(None) == catalog_proxy(Proxy()) == {"MeshGateway": {}, "Expose": {}}


def test_a_sidecar_takes_from_its_instance_what_it_does_not_say():
    """Name, address, tags, metadata, and whom it stands for come from the instance; checks and port from the agent."""
    wanted = read(
        {
            "ID": "w1",
            "Name": "web",
            "Port": 80,
            "Address": "10.0.0.1",
            "Tags": ["v1"],
            "Meta": {"k": "v"},
            "Connect": {"SidecarService": {}},
        }
    )
    sidecar = wanted.sidecar
    service = sidecar.service
    assert (service.id, service.name, service.service_kind) == (
        "w1-sidecar-proxy",
        "web-sidecar-proxy",
        "connect-proxy",
    )
    assert (service.address, service.tags, service.meta, service.port) == ("10.0.0.1", ("v1",), {"k": "v"}, 0)
    assert service.proxy == Proxy(
        destination_name="web", destination_id="w1", local_address="127.0.0.1", local_port=80
    )
    assert (service.sidecar_of, sidecar.checks) == ("w1", None)
    own = read({"Name": "web", "Connect": {"SidecarService": {"Port": 1, "Check": {"TTL": "1s"}, "Tags": ["x"]}}})
    assert (own.sidecar.service.port, own.sidecar.service.tags) == (1, ("x",))
    assert [check.id for check in own.sidecar.checks] == ["service:web-sidecar-proxy"]
    assert read({"Name": "web", "Connect": {"Native": True}}).sidecar is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            {"Name": "p", "Kind": "connect-proxy"},
            (
                "2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services"
                "\n\t* Port must be set for a Connect proxy\n\n"
            ),
        ),
        (PROXY | {"Connect": {"Native": True}}, "A Proxy cannot also be Connect Native"),
        (with_upstreams({"LocalBindPort": 1}), "upstream destination name cannot be empty"),
        (with_upstreams({"DestinationName": "db"}), "upstream local bind port cannot be zero"),
        (with_upstreams(UPSTREAM | {"DestinationType": "zz"}), 'unknown upstream destination type: "zz"'),
        (
            with_upstreams(UPSTREAM, UPSTREAM | {"LocalBindPort": 1}),
            'duplicates of [type="service", name="db", namespace="", datacenter=""]',
        ),
        (
            with_upstreams(UPSTREAM, UPSTREAM | {"DestinationName": "b"}),
            '"127.0.0.1:9191" is specified twice',
        ),
        ({"Name": "g", "Kind": "mesh-gateway"}, "Port must be non-zero for a mesh-gateway"),
        (
            {"Name": "g", "Kind": "ingress-gateway", "Proxy": {"Upstreams": [UPSTREAM]}},
            "The Proxy.Upstreams configuration is invalid for a ingress-gateway",
        ),
        (
            {"Name": "g", "Kind": "terminating-gateway", "Port": 1, "Connect": {"SidecarService": {}}},
            "A terminating-gateway cannot have a sidecar service defined",
        ),
        ({"Name": "w", "Connect": {"SidecarService": {"ID": "x"}}}, "cannot specify an ID"),
        (
            {"Name": "w", "Connect": {"SidecarService": {"Connect": {"SidecarService": {}}}}},
            "cannot have a nested SidecarService",
        ),
        (
            {"Name": "w", "Connect": {"SidecarService": {"Proxy": {"Upstreams": [{"LocalBindPort": 1}]}}}},
            "Bad request: Invalid SidecarService: 1 error occurred:\n\t* upstream destination name cannot be empty",
        ),
        ({"Name": "w", "Proxy": {"Bogus": 1}}, 'unknown field "Bogus"'),
        ({"Name": "w", "Proxy": {"Mode": "transparent"}}, "transparent proxies"),
    ],
    ids=range(15),
)
def test_what_breaks_a_rule_is_refused_in_consuls_words(value, words):
    """Every rule that is broken is named."""
    with pytest.raises(BadInput) as caught:
        read(value)
    assert words in str(caught.value)
