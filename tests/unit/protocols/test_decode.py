"""Registrations as callers write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.model import BadInput, CheckDefinition, Service, ServiceAddress, Weights, decode_record, encode_record
from regista.protocols.consul import read_check, read_service
from regista.protocols.consul.decode import SERVICE_FIELDS
from regista.protocols.consul.decode_check import CHECK_FIELDS, read_status


def service_of(value):
    found = read_service(value, node="n1", manager="agent")
    return found.service, found.checks


def check_of(value):
    return read_check(value, node="n1", manager="agent")


SAMPLE = {
    "service": {
        "id": "user-service-1",
        "name": "user-service",
        "address": "192.168.1.100",
        "port": 8080,
        "tags": ["primary", "v1.2"],
        "meta": {"version": "1.2.3", "environment": "production"},
        "checks": [{"http": "http://192.168.1.100:8080/health", "interval": "10s", "timeout": "1s"}],
    }
}


def test_the_sample_is_read():
    """The wrapped, lower-case registration that the documentation opens with is an instance with one HTTP check."""
    service, (check,) = service_of(SAMPLE)
    own = ServiceAddress("192.168.1.100", 8080)
    assert service == Service(
        node="n1",
        id="user-service-1",
        name="user-service",
        tags=("primary", "v1.2"),
        address="192.168.1.100",
        port=8080,
        meta={"version": "1.2.3", "environment": "production"},
        tagged_addresses={"lan_ipv4": own, "wan_ipv4": own},
        manager="agent",
    )
    assert (check.id, check.name, check.type) == ("service:user-service-1", "Service 'user-service' check", "http")
    assert (check.service_id, check.service_name, check.service_tags) == (
        "user-service-1",
        "user-service",
        ("primary", "v1.2"),
    )
    assert check.status == "critical"
    assert check.definition == CheckDefinition(
        http="http://192.168.1.100:8080/health", interval_s=10.0, timeout_s=1.0
    )


def test_the_sample_reads_the_same_without_its_wrapper_and_in_consuls_spelling():
    """Bare, wrapped, in small letters or in Consul's spelling, it is the same registration."""
    bare = SAMPLE["service"]
    spelled = {name.title().replace("Id", "ID"): value for name, value in bare.items() if name != "checks"}
    (check,) = bare["checks"]
    spelled["Checks"] = [{"HTTP": check["http"], "Interval": "10s", "Timeout": "1s"}]
    assert service_of(bare) == service_of(SAMPLE) == service_of(spelled) == service_of({"Service": spelled})


def test_a_name_is_enough():
    """Of a name alone the id is the name, and all else is Consul's default."""
    assert service_of({"Name": "web"}) == (Service(node="n1", id="web", name="web", manager="agent"), ())


@pytest.mark.parametrize(
    ("given_fields", "ids"),
    [
        ({"Check": {"TTL": "1s"}}, ["service:web-1"]),
        ({"Checks": [{"TTL": "1s"}]}, ["service:web-1"]),
        ({"Checks": [{"TTL": "1s"}, {"TTL": "2s"}]}, ["service:web-1:1", "service:web-1:2"]),
        ({"Check": {"TTL": "1s"}, "Checks": [{"TTL": "2s"}]}, ["service:web-1:1", "service:web-1:2"]),
        ({"Checks": [{"TTL": "1s", "CheckID": "a"}, {"TTL": "2s"}]}, ["a", "service:web-1:2"]),
        ({"Checks": [{"TTL": "1s", "ID": "b"}]}, ["b"]),
        ({"Check": {}}, []),
        ({"Check": {"Notes": ""}}, []),
        ({"Check": None, "Checks": []}, []),
    ],
)
def test_checks_have_ids_of_their_own_or_of_their_place(given_fields, ids):
    """A check without id is named after its instance, numbered if there are several; an empty lone check is none."""
    _, checks = service_of({"ID": "web-1", "Name": "web", **given_fields})
    assert [check.id for check in checks] == ids


@pytest.mark.parametrize(
    ("address", "tags"),
    [
        ("10.0.0.1", {"lan_ipv4", "wan_ipv4"}),
        ("fd00::1", {"lan_ipv6", "wan_ipv6"}),
        ("web.example", None),
        ("", None),
    ],
)
def test_a_literal_address_is_known_by_its_family(address, tags):
    """An address that is a literal is added under the names of its family; a host name is not."""
    service, _ = service_of({"Name": "web", "Address": address, "Port": 80})
    assert (set(service.tagged_addresses) if service.tagged_addresses else None) == tags


def test_a_given_tagged_address_stands():
    """What the caller gives under a name is not written over."""
    service, _ = service_of(
        {"Name": "web", "Address": "10.0.0.1", "TaggedAddresses": {"wan_ipv4": {"Address": "1.2.3.4", "Port": 5}}}
    )
    assert service.tagged_addresses == {
        "wan_ipv4": ServiceAddress("1.2.3.4", 5),
        "lan_ipv4": ServiceAddress("10.0.0.1", 0),
    }


@pytest.mark.parametrize(
    ("weights", "read"),
    [
        (None, Weights(1, 1)),
        ({"Passing": 5}, Weights(5, 0)),
        ({"Passing": 65535, "Warning": 65535}, Weights(65535, 65535)),
    ],
)
def test_weights_default_as_consuls(weights, read):
    """Without weights both are 1; with one given, the other is 0."""
    assert service_of({"Name": "web", "Weights": weights})[0].weights == read


def test_limits_include_their_ends():
    """What is exactly at a limit is read."""
    meta = {"k" * 128: "v" * 512} | {f"k{number}": "" for number in range(63)}
    body = {"Name": "n" * 512, "Tags": ["t"] * 1024, "Meta": meta, "Port": 65535, "TTL": "87600h"}
    body["Checks"] = [{"TTL": "1s"}] * 128
    service, checks = service_of(body)
    assert (len(service.name), len(service.tags), len(service.meta), len(checks)) == (512, 1024, 64, 128)


@pytest.mark.parametrize(
    ("fields", "kind", "definition"),
    [
        ({"TTL": "30s"}, "ttl", CheckDefinition(ttl_s=30.0)),
        ({"TCP": "db:5432", "Interval": "5s"}, "tcp", CheckDefinition(tcp="db:5432", interval_s=5.0)),
        ({"TCP": "[::1]:80", "Interval": "5s"}, "tcp", CheckDefinition(tcp="[::1]:80", interval_s=5.0)),
        (
            {"TCP": "h:443", "TCPUseTLS": True, "TLSServerName": "n", "Interval": "5s"},
            "tcp",
            CheckDefinition(tcp="h:443", tcp_use_tls=True, tls_server_name="n", interval_s=5.0),
        ),
        ({"UDP": "h:53", "Interval": "5s"}, "udp", CheckDefinition(udp="h:53", interval_s=5.0)),
        (
            {"GRPC": "h:1/a.b/C", "GRPCUseTLS": True, "TLSSkipVerify": True, "Interval": "5s"},
            "grpc",
            CheckDefinition(grpc="h:1/a.b/C", grpc_use_tls=True, tls_skip_verify=True, interval_s=5.0),
        ),
        ({"H2PING": "h:1", "Interval": "5s"}, "h2ping", CheckDefinition(h2ping="h:1", interval_s=5.0)),
        (
            {"H2PING": "h:1", "H2PingUseTLS": False, "Interval": "5s"},
            "h2ping",
            CheckDefinition(h2ping="h:1", h2ping_use_tls=False, interval_s=5.0),
        ),
        (
            {
                "HTTP": "https://h/x",
                "Interval": 5_000_000_000,
                "Timeout": "1s",
                "Method": "POST",
                "Header": {"A": ["b"]},
                "Body": "{}\n",
                "DisableRedirects": True,
                "TLSSkipVerify": True,
                "TLSServerName": "h",
                "SuccessBeforePassing": 2,
                "FailuresBeforeWarning": 1,
                "FailuresBeforeCritical": 3,
                "DeregisterCriticalServiceAfter": "1m",
                "OutputMaxSize": 100,
            },
            "http",
            CheckDefinition(
                http="https://h/x",
                method="POST",
                header={"A": ("b",)},
                body="{}\n",
                disable_redirects=True,
                tls_skip_verify=True,
                tls_server_name="h",
                interval_s=5.0,
                timeout_s=1.0,
                success_before_passing=2,
                failures_before_warning=1,
                failures_before_critical=3,
                deregister_critical_service_after_s=60.0,
                output_bytes_max=100,
            ),
        ),
        (
            {"HTTP": "http://h/", "TCP": "h:1", "Interval": "1s"},
            "http",
            CheckDefinition(http="http://h/", interval_s=1.0),
        ),
    ],
)
def test_kinds_of_checks_are_read(fields, kind, definition):
    """Each kind's fields make its definition; of several targets the first in Consul's order wins."""
    check = check_of({"Name": "c", **fields})
    assert (check.type, check.definition) == (kind, definition)


def test_a_check_alone_is_named_by_its_id_or_name():
    """The id is `ID`, or `CheckID`, or the name; notes, status and service are kept."""
    check = check_of(
        {"check": {"name": "disk", "ttl": "1s", "notes": "n", "status": "passing", "service_id": "web"}}
    )
    assert (check.id, check.name, check.notes, check.status, check.service_id) == (
        "disk",
        "disk",
        "n",
        "passing",
        "web",
    )
    assert check_of({"Name": "disk", "TTL": "1s", "CheckID": "a"}).id == "a"
    assert check_of({"Name": "disk", "TTL": "1s", "CheckID": "a", "ID": "b"}).id == "b"


@pytest.mark.parametrize(
    ("body", "words", "field"),
    [
        ({}, "Missing service name", "Name"),
        (None, "Missing service name", "Name"),
        ({"service": {}}, "Missing service name", "Name"),
        ({"Name": "web", "TTL": "-1s"}, "TTL must be > 0", "TTL"),
        ({"Name": "web", "Address": "[::]"}, "Invalid service address", "Address"),
        ({"Name": "web", "Meta": {"": "x"}}, "Key cannot be blank", "Meta"),
        ({"Name": "web", "Weights": {}}, "Passing must be greater than 0", "Weights.Passing"),
        (
            {"Name": "web", "TaggedAddresses": {"wan_ipv6": {"Address": "10.0.0.1"}}},
            "valid ipv6",
            "TaggedAddresses.wan_ipv6",
        ),
        (
            {"Name": "web", "Checks": [{"TTL": "1s"}, {"HTTP": "http://h"}]},
            "Interval must be > 0",
            "Checks[1].Interval",
        ),
        ({"Name": "web", "Check": {"TTL": "1s", "Status": "up"}}, "not 'up'", "Check.Status"),
        (
            {"Name": "web", "Checks": [{"TTL": "1s", "CheckID": "a"}, {"TTL": "1s", "CheckID": "A"}]},
            "is there twice",
            "Checks[1]",
        ),
        ({"Name": "web", "Check": {"TCP": "h:0", "Interval": "1s"}}, "TCP must be host:port", "Check.TCP"),
        ({"Name": "web", "Check": {"TCP": "h:65536", "Interval": "1s"}}, "TCP must be host:port", "Check.TCP"),
        ({"Name": "web", "Check": {"UDP": "h", "Interval": "1s"}}, "UDP must be host:port", "Check.UDP"),
        (
            {"Name": "web", "Check": {"H2PING": "h:1/x", "Interval": "1s"}},
            "H2PING must be host:port",
            "Check.H2PING",
        ),
        ({"Name": "web", "Check": {"GRPC": "h/x", "Interval": "1s"}}, "GRPC must be host:port", "Check.GRPC"),
        ({"Name": "web", "Check": {"GRPC": "h:1/" + "x" * 1021, "Interval": "1s"}}, "at most 1024", "Check.GRPC"),
        ({"Name": "web", "Check": {"TCP": "h:\u0661", "Interval": "1s"}}, "TCP must be host:port", "Check.TCP"),
        (
            {"Name": "web", "Check": {"TTL": "1s", "FailuresBeforeWarning": 2, "FailuresBeforeCritical": 1}},
            "FailuresBeforeWarning can't be higher",
            "Check.FailuresBeforeWarning",
        ),
    ],
)
def test_a_registration_that_cannot_be_is_refused(body, words, field):
    """A mistake is told in Consul's words, and the error names the field."""
    with pytest.raises(BadInput) as caught:
        service_of(body)
    assert words in str(caught.value)
    assert caught.value.field == field


@pytest.mark.parametrize("value", [{}, {"Status": ""}, {"Status": "up"}, {"Status": None, "Output": "x"}])
def test_an_update_needs_a_status(value):
    """An update without one of the three statuses is refused."""
    with pytest.raises(BadInput, match="Invalid check status"):
        read_status(value)


def test_an_update_is_read():
    """Status and output are read; the output may be anything."""
    assert read_status({"status": "warning", "output": "a\nb"}) == ("warning", "a\nb")
    assert read_status({"Status": "passing"}) == ("passing", "")


texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | texts
    | st.sampled_from(["10s", "-1s", "1h", "http://h/", "h:80", "10.0.0.1", "::1", "0.0.0.0", "passing", "web"])
)
_words = st.sampled_from([*SERVICE_FIELDS, *CHECK_FIELDS, "Passing", "Warning", "lan_ipv4", "k"])
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=4), max_leaves=12
)
_checks = st.dictionaries(st.sampled_from(list(CHECK_FIELDS)), scalars, max_size=5)
_services = st.dictionaries(st.sampled_from(list(SERVICE_FIELDS)), json_values, max_size=5)


@given(json_values | _services | _checks)
@settings(max_examples=60)
def test_any_json_is_a_registration_or_a_mistake_of_the_callers(value):
    """Whatever JSON holds, it is an instance and checks that the store can keep, or a BadInput; nothing else is raised."""
    if isinstance(value, dict):
        value = {"Name": "web", "TTL": "1s"} | value
    for reader in (service_of, check_of):
        try:
            found = reader(value)
        except BadInput:
            continue
        records = (found[0], *found[1]) if isinstance(found, tuple) else (found,)
        for record in records:
            assert decode_record(record.kind, encode_record(record)) == record
