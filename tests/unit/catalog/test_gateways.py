"""Which services a gateway lets through."""

from regista.catalog import Catalog, gateway_services, ingress_gateways
from regista.model import Batch, ConfigEntry, Put, Service

INGRESS = ConfigEntry(
    entry_kind="ingress-gateway",
    name="door",
    fields={"Listeners": [{"Port": 80, "Protocol": "http", "Services": [{"Name": "web", "Hosts": ["a.b"]}]}]},
)
EVERYTHING = ConfigEntry(
    entry_kind="terminating-gateway", name="out", fields={"Services": [{"Name": "*"}, {"Name": "web", "SNI": "s"}]}
)


def catalog_with(*records):
    catalog = Catalog()
    catalog.apply(Batch(1, 0.0, tuple(Put(record) for record in records)))
    return catalog


def test_a_gateway_lets_through_what_its_entry_names():
    """The entry of the gateway's name says which services, and through which listener."""
    catalog = catalog_with(INGRESS)
    (found,) = gateway_services(catalog, "Door")
    assert (found.name, found.listener["Port"], found.wish["Hosts"]) == ("web", 80, ["a.b"])
    assert gateway_services(catalog, "none") == []
    assert (ingress_gateways(catalog, "WEB"), ingress_gateways(catalog, "db")) == (["door"], [])


def test_a_wildcard_stands_for_every_ordinary_service_that_is_not_named():
    """Proxies, gateways and the registry itself are not meant by it."""
    catalog = catalog_with(
        EVERYTHING,
        Service(node="n", id="1", name="web"),
        Service(node="n", id="2", name="db"),
        Service(node="n", id="3", name="web-proxy", service_kind="connect-proxy"),
        Service(node="n", id="4", name="out", service_kind="terminating-gateway"),
        Service(node="n", id="5", name="consul", manager="server"),
    )
    found = gateway_services(catalog, "out")
    assert [(each.name, each.is_from_wildcard) for each in found] == [("db", True), ("web", False)]
