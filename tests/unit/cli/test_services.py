"""`regista services`."""

import pytest

from regista.cli.definitions import api_name, service_body

PATH = "/v1/agent/service/register"


def test_registering_by_flags(regista, agent):
    """The flags become one registration in the API's spelling."""
    agent.say(PATH, b"", method="PUT")
    result = regista(
        "services", "register", "--name", "wéb", "--id", "w1", "--address", "10.0.0.1", "--port", "80",
        "--tag", "a", "--tag", "b", "--meta", "k=v=w", "--ttl", "30s", "--check-http", "http://x/h",
        "--check-interval", "5s", "--check-timeout", "1s", "--deregister-after", "90m",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, "Registered service: wéb\n")
    after = {"DeregisterCriticalServiceAfter": "90m"}
    assert agent.asked[0].body == {
        "Name": "wéb",
        "ID": "w1",
        "Address": "10.0.0.1",
        "Port": 80,
        "Tags": ["a", "b"],
        "Meta": {"k": "v=w"},
        "Checks": [{"TTL": "30s", **after}, {"HTTP": "http://x/h", "Interval": "5s", "Timeout": "1s", **after}],
    }


def test_a_check_has_an_interval_by_default(regista, agent):
    """A check without --check-interval gets the default one; a TTL has none."""
    agent.say(PATH, b"", method="PUT")
    regista("services", "register", "--name", "a", "--check-tcp", "x:1")
    regista("services", "register", "--name", "a", "--check-ttl", "1s")
    assert [asked.body["Checks"] for asked in agent.asked] == [
        [{"TCP": "x:1", "Interval": "10s"}],
        [{"TTL": "1s"}],
    ]


HCL = """
services {
  name = "web"
  enable_tag_override = true
  tagged_addresses = { lan = { address = "10.0.0.1", port = 1 } }
  meta = { some_key = "v" }
  check { id = "c", }
}
"""


def test_registering_from_files(regista, agent, tmp_path):
    """Each service of each file is registered, with the names of files turned into the API's."""
    agent.say(PATH, b"", method="PUT")
    (tmp_path / "a.hcl").write_text(HCL.replace('"c", ', '"c" '))
    (tmp_path / "b.json").write_text('{"service": {"Name": "db", "port": 5432}, "datacenter": "x"}')
    result = regista("services", "register", str(tmp_path / "a.hcl"), str(tmp_path / "b.json"))
    assert result.stdout == "Registered service: web\nRegistered service: db\n"
    assert [asked.body for asked in agent.asked] == [
        {
            "Name": "web",
            "EnableTagOverride": True,
            "TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 1}},
            "Meta": {"some_key": "v"},
            "Check": {"CheckID": "c"},
        },
        {"Name": "db", "Port": 5432},
    ]


def test_a_refusal_names_the_file(regista, agent, tmp_path):
    """Of several files the one with the service that the agent refuses is named; those before it are registered."""
    agent.say(PATH, b"", method="PUT")
    agent.say(PATH, b"Missing service name", method="PUT", status=400)
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    files[0].write_text('{"service": {"name": "a"}}')
    files[1].write_text('{"service": {"port": 1}}')
    result = regista("services", "register", *map(str, files))
    assert (result.exit_code, result.stdout) == (1, "Registered service: a\n")
    assert result.stderr.startswith(f"Error: {files[1]}: Missing service name (400 from PUT ")


def test_faults_in_files_are_told(regista, tmp_path):
    """A file that can't be read, or holds no service, is an error and nothing is registered."""
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.hcl").write_text("a =")
    for name, problem in (
        ("a.json", 'holds no "service" and no "services"'),
        ("b.hcl", "not valid HCL"),
        ("c.json", "can't be read"),
    ):
        result = regista("services", "register", str(tmp_path / name))
        assert result.exit_code == 1
        assert problem in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "give either files or the flags"),
        (("a.json", "--name", "a"), "give either files or the flags"),
        (("--port", "80"), "a service needs a --name"),
        (("--name", "a", "--port", "70000"), "0<=x<=65535"),
        (("--name", "a", "--meta", "k"), '--meta "k" is not KEY=VALUE'),
        (("--name", "a", "--check-interval", "1s"), "--check-interval needs a check"),
        (("--name", "a", "--deregister-after", "1m"), "--deregister-after needs a check"),
    ],
)
def test_flags_that_do_not_fit_are_refused(regista, agent, arguments, problem):
    """A usage error exits with 2 before anything is sent."""
    result = regista("services", "register", *arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert agent.asked == []


def test_deregistering(regista, agent, tmp_path):
    """Ids are taken from arguments, --id and files; an id with a slash is quoted."""
    (tmp_path / "a.json").write_text('{"services": [{"name": "web", "id": "web-1"}, {"name": "db"}]}')
    for quoted in ("a%2Fb", "web-1", "db", "x"):
        agent.say(f"/v1/agent/service/deregister/{quoted}", b"", method="PUT")
    result = regista("services", "deregister", "a/b", str(tmp_path / "a.json"), "--id", "x")
    assert result.stdout == "".join(f"Deregistered service: {name}\n" for name in ("x", "a/b", "web-1", "db"))
    assert regista("services", "deregister").exit_code == 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("deregister_critical_service_after", "DeregisterCriticalServiceAfter"),
        ("tls_skip_verify", "TLSSkipVerify"),
        ("grpc_use_tls", "GRPCUseTLS"),
        ("docker_container_id", "DockerContainerID"),
        ("http", "HTTP"),
        ("Name", "Name"),
    ],
)
def test_names_of_files_in_the_apis_spelling(name, expected):
    """Names are turned by rule, abbreviations in capitals."""
    assert api_name(name) == expected


def test_what_is_the_users_keeps_its_names():
    """Headers, metadata and opaque configuration are passed on as they are; null is left out."""
    definition = {"checks": [{"id": "c", "header": {"x-y": ["z"]}}], "port": None, "proxy": {"config": {"a_b": 1}}}
    assert service_body(definition) == {
        "Checks": [{"Header": {"x-y": ["z"]}, "CheckID": "c"}],
        "Proxy": {"Config": {"a_b": 1}},
    }
