"""`regista catalog`."""


def test_services_are_listed_by_name(regista, agent):
    """The names stand one a line, sorted; --tags adds a column."""
    agent.say("/v1/catalog/services", {"web": ["v2", "v1"], "consul": []})
    assert regista("catalog", "services").stdout == "consul\nweb\n"
    assert regista("catalog", "services", "--tags").stdout == "Service  Tags\nconsul\nweb      v1,v2\n"


def test_json_is_what_the_server_said(regista, agent):
    """--json prints the answer byte for byte, whatever its spacing and spelling."""
    body = b'{ "web":[ ], "caf\\u00e9": [], "\xe2\x9c\x93":[]}'
    agent.say("/v1/catalog/services", body)
    assert regista("catalog", "services", "--json").stdout_bytes == body + b"\n"


def test_empty_results_say_so_and_succeed(regista, agent):
    """Nothing found is told on standard error, and is no failure."""
    agent.say("/v1/catalog/services", {})
    agent.say("/v1/catalog/nodes", [])
    agent.say("/v1/catalog/service/web", [])
    for arguments in (("services",), ("nodes",), ("service", "web")):
        result = regista("catalog", *arguments)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr.startswith("No ")


def test_nodes(regista, agent):
    """Nodes stand in a table with the first eight digits of their ids."""
    node = {"ID": "12345678-9abc", "Node": "n1", "Address": "10.0.0.1", "Datacenter": "dc1"}
    agent.say("/v1/catalog/nodes", [node])
    assert regista("catalog", "nodes").stdout == "Node  ID        Address   DC\nn1    12345678  10.0.0.1  dc1\n"


def test_instances_of_a_service(regista, agent):
    """An instance without an address of its own shows its node's; IPv6 stands in brackets; tags are asked for."""
    common = {"Node": "n1", "Address": "10.0.0.1", "ServicePort": 80, "ServiceTags": ["v1", "é"]}
    agent.say(
        "/v1/catalog/service/w%2Fx",
        [
            {**common, "ServiceID": "a", "ServiceAddress": ""},
            {**common, "ServiceID": "b", "ServiceAddress": "::1"},
        ],
    )
    result = regista("catalog", "service", "w/x", "--tag", "v1", "--tag", "é")
    assert result.stdout == (
        "Instance  Address      Node  Tags\na         10.0.0.1:80  n1    v1,é\nb         [::1]:80     n1    v1,é\n"
    )
    assert agent.asked[0].target == "/v1/catalog/service/w%2Fx?tag=v1&tag=%C3%A9"


def test_an_unknown_command_is_a_usage_error(regista):
    """A misspelled command is told with exit code 2."""
    assert regista("catalogue").exit_code == 2
