"""Clients that others wrote, in their own languages and unchanged, against real agents; docs/reference/clients.md."""

import pytest
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
