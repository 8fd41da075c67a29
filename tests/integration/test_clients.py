"""Clients that others wrote, in their own languages and unchanged, against real agents; docs/reference/clients.md."""

from urllib.parse import quote

import pytest
from tests.agents import Waiter
from tests.clients import page, runs


def by_name(client):
    return client.name


@pytest.mark.timeout(runs.BUILD_S_MAX * runs.BUILD_TRIES + runs.RUN_S_MAX)
@pytest.mark.parametrize("client", runs.ALL, ids=by_name)
def test_a_client_does_what_the_page_says(client, agent):
    """Each feature that a client's program tries works or not as docs/reference/clients.md tells."""
    if missing := client.missing():
        pytest.skip(missing)
    output = client.run(agent.http)
    found = runs.features_of(output)
    assert found, f"{client.name} said nothing:\n{output}"
    assert found.keys() <= page.FEATURES.keys(), "give the feature a row in tests/clients/page.py"
    told = page.results_on(page.PAGE.read_text(encoding="utf-8"))[client.name]
    assert found == told, (
        f"docs/reference/clients.md says otherwise; mend what broke, or run {page.MAKE}:\n{output}"
    )


def test_the_page_is_as_it_is_made():
    """The page around its results is the one that tests/clients/page.py makes, with the versions that are run."""
    written = page.PAGE.read_text(encoding="utf-8")
    assert written == page.render(page.results_on(written)), f"run {page.MAKE}"


def test_every_feature_is_tried():
    """No row of the table is empty."""
    told = page.results_on(page.PAGE.read_text(encoding="utf-8"))
    tried = {feature for features in told.values() for feature in features}
    assert tried == page.FEATURES.keys()


def test_a_filter_selects_the_instances_whose_services_are_listed(agent):
    """`catalog/services` with a filter, as Prometheus sends it, lists what the kept instances are, and waits for it."""
    agent.register(Name="web", ID="web-1", Tags=["old"], Meta={"version": "1"})
    agent.register(Name="web", ID="web-2", Tags=["new"], Meta={"version": "2"})
    agent.register(Name="other")
    wanted = quote('ServiceMeta.version == "2"')
    path = f"/v1/catalog/services?filter={wanted}"
    reply = agent.get(path)
    assert reply.json == {"web": ["new"]}
    waiter = Waiter(agent, f"{path}&index={reply.index}&wait=20s")
    agent.register(Name="api", Tags=["new"], Meta={"version": "2"})
    assert waiter.reply().json == {"api": ["new"], "web": ["new"]}
    assert agent.get("/v1/catalog/services?filter=%3D%3D").status == 400


def test_what_later_clients_write_to_the_catalog_is_taken(agent):
    """Fields that came after Consul 1.9, or that only answers have, do not make a registration fail."""
    service = {"Service": "db", "Datacenter": "dc1", "ContentHash": "5e2e"}
    check = {"Node": "db-1", "Name": "up", "Status": "passing", "ServiceID": "db", "ExposedPort": 0}
    body = {"Node": "db-1", "Address": "10.1.0.1", "Service": service, "Check": check}
    assert agent.put("/v1/catalog/register", body).json is True
    assert [row["Address"] for row in agent.get("/v1/catalog/service/db").json] == ["10.1.0.1"]
