"""Configuration entries: how they are read, kept and shown, and what is refused in Consul's words."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.model import BadInput, Entry
from regista.protocols.consul.config_kinds import CONFIG_KINDS
from regista.protocols.consul.decode_config import read_config_entry, show_config_entry


def read(kind, name="web", **fields):
    return read_config_entry({"Kind": kind, "Name": name, **fields})


def shown(kind, name="web", **fields):
    return show_config_entry(Entry(read(kind, name, **fields), 7, 9))


def problem_of(kind, name="web", **fields):
    with pytest.raises(BadInput) as caught:
        read(kind, name, **fields)
    return str(caught.value)


def match(**http):
    return [{"Match": {"HTTP": http}}]


def source(**fields):
    return [{"Name": "a", **fields}]


def permission(**fields):
    return source(Permissions=[{"Action": "allow", **fields}])


def listener(*services, **fields):
    return [{"Port": 8080, "Services": list(services), **fields}]


HTTP = {"Protocol": "http"}

# ---- the form ----


@pytest.mark.parametrize(
    ("kind", "fields", "wanted"),
    [
        ("service-defaults", {"Protocol": "HTTP"}, {"Protocol": "http", "MeshGateway": {}, "Expose": {}}),
        ("service-defaults", {"protocol": 5}, {"Protocol": "5", "MeshGateway": {}, "Expose": {}}),
        (
            "service-defaults",
            {"mesh_gateway": {"mode": "local"}, "external_sni": "x", "Meta": {"a_b": "c"}},
            {"MeshGateway": {"Mode": "local"}, "Expose": {}, "ExternalSNI": "x", "Meta": {"a_b": "c"}},
        ),
        (
            "service-defaults",
            {"Expose": {"Checks": "true", "Paths": {"Path": "/a", "ListenerPort": "50"}}, "MeshGateway": [{}]},
            {"MeshGateway": {}, "Expose": {"Checks": True, "Paths": [{"ListenerPort": 50, "Path": "/a"}]}},
        ),
        (
            "service-resolver",
            {"connect_timeout": 15_000_000_000, "Subsets": {"v1": {}}, "CreateIndex": 5},
            {"ConnectTimeout": "15s", "Subsets": {"v1": {}}},
        ),
        (
            "service-splitter",
            {"Splits": [{"Weight": "99.995"}, {"Weight": 0, "Service": "b"}]},
            {"Splits": [{"Weight": 100}, {"Weight": 0, "Service": "b"}]},
        ),
        (
            "service-splitter",
            {"Splits": [{"Weight": 33.34}, {"Weight": 66.66, "Service": "b"}]},
            {"Splits": [{"Weight": 33.34}, {"Weight": 66.66, "Service": "b"}]},
        ),
        ("service-router", {"Routes": []}, {}),
        (
            "service-router",
            {"Routes": [{"Match": {"HTTP": {"Methods": ["get"]}}, "Destination": {"RequestTimeout": "3s"}}]},
            {"Routes": [{"Match": {"HTTP": {"Methods": ["GET"]}}, "Destination": {"RequestTimeout": "3s"}}]},
        ),
        (
            "ingress-gateway",
            {"Listeners": listener({"Name": "api"})},
            {
                "TLS": {"Enabled": False},
                "Listeners": [{"Port": 8080, "Protocol": "tcp", "Services": [{"Name": "api", "Hosts": None}]}],
            },
        ),
        ("terminating-gateway", {"Services": [{"Name": "*"}]}, {"Services": [{"Name": "*"}]}),
        (
            "service-intentions",
            {"Sources": [{"Name": "*", "Action": "deny"}, {"Name": "a", "Action": "allow"}]},
            {
                "Sources": [
                    {"Name": "a", "Action": "allow", "Precedence": 9, "Type": "consul"},
                    {"Name": "*", "Action": "deny", "Precedence": 8, "Type": "consul"},
                ]
            },
        ),
    ],
)
def test_entries_are_shown_in_one_form(kind, fields, wanted):
    """However an entry is written, it is shown by Consul's names, with its defaults and without what is empty."""
    entry = shown(kind, **fields)
    assert entry == {"Kind": kind, "Name": "web", **wanted, "CreateIndex": 7, "ModifyIndex": 9}
    again = {key: value for key, value in entry.items() if not key.endswith("Index")}
    assert read_config_entry(again) == read(kind, **fields), "what is shown can be written again"


def test_durations_come_first():
    """A field that is a duration stands before the kind, as in Consul's answers."""
    assert list(shown("service-resolver", ConnectTimeout="15s"))[:3] == ["ConnectTimeout", "Kind", "Name"]


@pytest.mark.parametrize(
    ("kind", "name"), [("proxy-defaults", "global"), ("mesh", "mesh"), ("exported-services", "default")]
)
def test_some_kinds_have_one_entry(kind, name):
    """Of these kinds there is one entry, whatever its writer calls it."""
    assert read(kind, "other").name == name


def test_a_free_map_keeps_its_keys():
    """The keys of metadata and of a proxy's configuration are the caller's, and values keep their types."""
    config = {"local_connect_timeout_ms": 1, "nested": {"a_b": [1.5, None, True]}}
    assert read("proxy-defaults", Config=config).fields["Config"] == config


def test_an_entry_survives_the_log():
    """What is kept is plain JSON, so it reads back as it was."""
    entry = read("service-resolver", Subsets={"v1": {}}, Redirect=None, ConnectTimeout="5s")
    assert msgspec.json.decode(msgspec.json.encode(entry), type=type(entry)) == entry


@pytest.mark.parametrize(("destination", "wanted"), [("web", (9, 8)), ("*", (6, 5))])
def test_precedence_is_worked_out(destination, wanted):
    """An exact source counts more than any, and an exact destination more than both."""
    sources = [{"Name": "a", "Action": "allow"}, {"Name": "*", "Action": "deny", "Precedence": 99}]
    entry = read("service-intentions", destination, Sources=sources)
    assert tuple(each["Precedence"] for each in entry.fields["Sources"]) == wanted


# ---- what is refused ----


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (None, "Payload does not contain a kind/Kind key at the top level"),
        ({}, "Payload does not contain a kind/Kind key at the top level"),
        ([], "json: cannot unmarshal the body"),
        ({"Kind": 5}, "Kind value in payload is not a string"),
        ({"kind": "bogus"}, "invalid config entry kind: bogus"),
        ({"Kind": "mesh", "Nope": 1}, '1 error occurred:\n\t* invalid config key "Nope"'),
        ({"Kind": "mesh", "TLS": {"Nope": 1}}, 'invalid config key "TLS.Nope"'),
        ({"Kind": "service-defaults", "Protocl": 1}, 'invalid config key "Protocl"; did you mean "Protocol"?'),
        (
            {"Kind": "service-resolver", "ConnectTimeout": "abc"},
            "1 error(s) decoding:\n\n* error decoding 'ConnectTimeout': time: invalid duration \"abc\"",
        ),
        (
            {"Kind": "ingress-gateway", "Listeners": [{"Port": "x"}]},
            "'Listeners[0].Port' expected type 'int', got unconvertible type 'string'",
        ),
        ({"Kind": "mesh", "TLS": 5}, "'TLS' expected type 'map', got unconvertible type 'float64'"),
        ({"Kind": "mesh", "ValidateClusters": "maybe"}, "'ValidateClusters' expected type 'bool'"),
        ({"Kind": "service-splitter", "Splits": [{"Weight": 1e300}]}, "is too large a number"),
    ],
)
def test_a_body_that_is_no_entry(body, problem):
    """What can't be read is told with the words of Consul's decoder, behind its prefix."""
    with pytest.raises(BadInput) as caught:
        read_config_entry(body)
    assert str(caught.value).startswith("Bad request: Request decoding failed: ")
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"Meta": {str(key): "" for key in range(65)}}, "Meta exceeds maximum element count 64"),
        ({"Meta": {"k" * 129: ""}}, f'Meta key "{"k" * 129}" exceeds maximum length 128'),
        ({"Meta": {"k": "v" * 513}}, 'Meta value for key "k" exceeds maximum length 512'),
    ],
)
def test_metadata_has_limits(fields, problem):
    """Too many pairs, too long a key or value are refused."""
    assert problem_of("service-defaults", **fields) == problem


DEFAULTS_PROBLEMS = [
    ({"name": ""}, "serviceName is required: Name is required"),
    ({"name": "*"}, "service-defaults name must be the name of a service, and not a wildcard"),
    ({"name": "n" * 513}, "Name is too long: 513 characters (limit: 512)"),
    ({"Mode": "x"}, 'invalid proxy mode: "x" not supported; use direct or transparent'),
    ({"MutualTLSMode": "x"}, 'Invalid MutualTLSMode "x". Must be one of "", "strict", or "permissive".'),
    ({"BalanceInboundConnections": "x"}, "invalid value for balance_inbound_connections: x"),
    (
        {"Destination": {}, "UpstreamConfig": {}},
        "UpstreamConfig and Destination are mutually exclusive for service defaults",
    ),
    ({"Destination": {"Port": 1}}, "Destination must contain at least one valid address"),
    ({"Destination": {"Addresses": ["a", "a"], "Port": 1}}, "Duplicate address 'a' is not allowed"),
    ({"Destination": {"Addresses": ["a"]}}, "Invalid Port number 0"),
]

ROUTER_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({"Routes": match(PathExact="x")}, "Route[0] PathExact doesn't start with '/': \"x\""),
    ({"Routes": match(PathPrefix="x")}, "Route[0] PathPrefix doesn't start with '/': \"x\""),
    (
        {"Routes": match(PathExact="/", PathRegex=".")},
        "Route[0] should only contain at most one of PathExact, PathPrefix, or PathRegex",
    ),
    ({"Routes": match(Header=[{}])}, "Route[0] Header[0] missing required Name field"),
    (
        {"Routes": match(Header=[{"Name": "a", "Exact": "b", "Present": True}])},
        "Route[0] Header[0] should only contain one of Present, Exact, Prefix, Suffix, or Regex",
    ),
    ({"Routes": match(QueryParam=[{}])}, "Route[0] QueryParam[0] missing required Name field"),
    (
        {"Routes": match(QueryParam=[{"Name": "a", "Exact": "b", "Regex": "c"}])},
        "Route[0] QueryParam[0] should only contain one of Present, Exact, or Regex",
    ),
    ({"Routes": match(Methods=["x"])}, 'Route[0] Methods contains an invalid method "X"'),
    ({"Routes": match(Methods=["get", "GET"])}, 'Route[0] Methods contains "GET" more than once'),
    (
        {"Routes": [{"Destination": {"PrefixRewrite": "/"}}]},
        "Route[0] cannot make use of PrefixRewrite without configuring either PathExact or PathPrefix",
    ),
    ({"Routes": [{"Destination": {"RetryOn": ["x"]}}]}, 'Route[0] contains an invalid retry condition: "x"'),
]

SPLITTER_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({}, "no splits configured"),
    ({"Splits": [{"Weight": 99}]}, "the sum of all split weights must be 100, not 99.000000"),
    ({"Splits": [{"Weight": 101}]}, "split weight must be from 0 to 100, not 101.000000"),
    (
        {"Splits": [{"Weight": 50}, {"Weight": 50, "Service": "web"}]},
        'split destination occurs more than once: service="web", subset="", namespace=""',
    ),
]

RESOLVER_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({"Subsets": {"": {}}}, "Subset defined with empty name"),
    (
        {"Subsets": {"A": {}}},
        (
            'Subset "A" is invalid: must be 63 characters or fewer, begin or end with lower case alphanumeric '
            "characters, and contain lower case alphanumeric characters or '-' in between"
        ),
    ),
    ({"DefaultSubset": "x"}, 'DefaultSubset "x" is not a valid subset'),
    (
        {"Redirect": {"Service": "a"}, "Failover": {"*": {"Service": "b"}}},
        "Redirect and Failover cannot both be set",
    ),
    ({"Redirect": {}}, "Redirect is empty"),
    ({"Redirect": {"ServiceSubset": "a"}}, "Redirect.ServiceSubset defined without Redirect.Service"),
    (
        {"Redirect": {"Service": "web", "ServiceSubset": "x"}},
        'Redirect.ServiceSubset "x" is not a valid subset of "web"',
    ),
    ({"Failover": {"x": {"Service": "b"}}}, 'Bad Failover["x"]: not a valid subset'),
    (
        {"Failover": {"*": {}}},
        'Bad Failover["*"] one of Service, ServiceSubset, Namespace, or Datacenters is required',
    ),
    (
        {"Failover": {"*": {"ServiceSubset": "x"}}},
        'Bad Failover["*"].ServiceSubset "x" is not a valid subset of "web"',
    ),
    ({"Failover": {"*": {"Datacenters": [""]}}}, 'Bad Failover["*"].Datacenters: found empty datacenter'),
    (
        {"Failover": {"*": {"Service": "b", "Targets": [{"Service": "c"}]}}},
        'Bad Failover["*"]: Targets cannot be set with Service, ServiceSubset, or Datacenters',
    ),
    ({"ConnectTimeout": -5}, "Bad ConnectTimeout '-5ns', must be >= 0"),
    ({"RequestTimeout": "-1s"}, "Bad RequestTimeout '-1s', must be >= 0"),
    ({"LoadBalancer": {"Policy": "x"}}, 'Bad LoadBalancer policy: "x" is not supported'),
    (
        {"LoadBalancer": {"Policy": "random", "RingHashConfig": {}}},
        (
            "Bad LoadBalancer configuration. RingHashConfig specified for incompatible load balancing policy "
            '"random"'
        ),
    ),
    (
        {"LoadBalancer": {"Policy": "random", "HashPolicies": [{"SourceIP": True}]}},
        'Bad LoadBalancer configuration: HashPolicies specified for non-hash-based Policy: "random"',
    ),
    *(
        (
            {"LoadBalancer": {"Policy": "maglev", "HashPolicies": [policy]}},
            f"Bad LoadBalancer HashPolicy[0]: {problem}",
        )
        for policy, problem in (
            ({"Field": "x", "FieldValue": "y"}, '"x" is not a supported field'),
            ({"Field": "header"}, 'Field "header" was specified without a FieldValue'),
            ({"FieldValue": "y"}, "FieldValue requires a Field to apply to"),
            ({}, "Field or SourceIP is required"),
            (
                {"SourceIP": True, "Field": "header", "FieldValue": "x"},
                'A single hash policy cannot hash both a source address and a "field"',
            ),
            (
                {"Field": "header", "FieldValue": "x", "CookieConfig": {}},
                'cookie_config provided for "header"',
            ),
            (
                {"Field": "cookie", "FieldValue": "x", "CookieConfig": {"Session": True, "TTL": "1s"}},
                "A session cookie cannot have an associated TTL",
            ),
        )
    ),
]

INTENTIONS_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({"name": "a*"}, "Name: wildcard character '*' cannot be used with partial values"),
    ({}, "At least one source is required"),
    ({"Sources": [{"Action": "allow"}]}, "Sources[0].Name is required"),
    (
        {"Sources": [{"Name": "a*", "Action": "allow"}]},
        "Sources[0].Name: wildcard character '*' cannot be used with partial values",
    ),
    ({"Sources": source()}, "Sources[0].Action must be set to 'allow' or 'deny'"),
    ({"Sources": source(Action="maybe")}, "Sources[0].Action must be set to 'allow' or 'deny'"),
    (
        {"Sources": source(Action="allow", Permissions=[{"Action": "allow", "HTTP": {"PathExact": "/"}}])},
        "Sources[0].Action must be omitted if Permissions are specified",
    ),
    (
        {"name": "*", "Sources": permission(HTTP={"PathExact": "/"})},
        "Sources[0].Permissions cannot be specified on intentions with wildcarded destinations",
    ),
    ({"Sources": permission()}, "Sources[0].Permissions[0].HTTP is required"),
    ({"Sources": permission(HTTP={})}, "Sources[0].Permissions[0].HTTP should not be empty"),
    (
        {"Sources": permission(Action="x", HTTP={"PathExact": "/"})},
        "Sources[0].Permissions[0].Action must be set to 'allow' or 'deny'",
    ),
    (
        {"Sources": permission(HTTP={"Methods": ["x"]})},
        'Sources[0].Permissions[0].HTTP.Methods contains an invalid method "X"',
    ),
    ({"Sources": source(Action="allow", Type="x")}, "Sources[0].Type must be set to 'consul'"),
    (
        {"Sources": source(Action="allow", Description="d" * 513)},
        "Sources[0].Description exceeds maximum length 512",
    ),
    ({"Sources": source(Action="allow", LegacyMeta={"a": "b"})}, "Sources[0].LegacyMeta must be omitted"),
    ({"Sources": source(Action="allow", LegacyID="a")}, "Sources[0].LegacyID must be omitted"),
    ({"Sources": source(Action="allow") * 2}, 'Sources[1] defines "a" more than once'),
]

ON_PORT = " (listener on port 8080)"
INGRESS_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({"Listeners": listener({"Name": "a"}) * 2}, "port 8080 declared on two listeners"),
    ({"Listeners": listener({"Name": "a"}, Port=65536)}, "Invalid Port number 65536"),
    (
        {"Listeners": listener({"Name": "a"}, Protocol="x")},
        "protocol must be 'tcp', 'http', 'http2', or 'grpc'. 'x' is an unsupported protocol",
    ),
    ({"Listeners": listener()}, "No service declared for listener with port 8080"),
    (
        {"Listeners": listener({"Name": "a"}, {"Name": "b"})},
        f"Multiple services per listener are only supported for protocol = 'http'{ON_PORT}",
    ),
    (
        {"Listeners": listener({"Name": "*"})},
        f"Wildcard service name is only valid for protocol = 'http'{ON_PORT}",
    ),
    (
        {"Listeners": listener({"Name": "a", "Hosts": ["b"]})},
        f"Associating hosts to a service is not supported for the tcp protocol{ON_PORT}",
    ),
    ({"Listeners": listener({"Name": ""}, **HTTP)}, f"Service name cannot be blank{ON_PORT}"),
    (
        {"Listeners": listener({"Name": "*", "Hosts": ["b"]}, **HTTP)},
        f"Associating hosts to a wildcard service is not supported{ON_PORT}",
    ),
    (
        {"Listeners": listener({"Name": "a", "Hosts": ["b", "b"]}, **HTTP)},
        f"Hosts must be unique within a specific listener{ON_PORT}",
    ),
    (
        {"TLS": {"Enabled": True}, "Listeners": listener({"Name": "a", "Hosts": ["*"]}, **HTTP)},
        "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS records to add as a DNSSAN",
    ),
    (
        {"Listeners": listener({"Name": "a", "Hosts": ["-x"]}, **HTTP)},
        'Host "-x" must be a valid DNS hostname',
    ),
    (
        {"Listeners": listener({"Name": "a", "Hosts": ["a.*"]}, **HTTP)},
        'Host "a.*" is not valid, a wildcard specifier is only allowed as the leftmost label',
    ),
]

TERMINATING_PROBLEMS = [
    ({"name": ""}, "Name is required"),
    ({"Services": [{}]}, "Service name cannot be blank."),
    ({"Services": [{"Name": "x"}] * 2}, 'Service "x" was specified more than once within a namespace'),
    (
        {"Services": [{"Name": "x", "CertFile": "c"}]},
        'Service "x" must have a CertFile, CAFile, and KeyFile specified for TLS origination',
    ),
]

MESH_PROBLEMS = [
    (
        {"TLS": {"Incoming": {"TLSMinVersion": "x"}}},
        'error validating incoming TLS configuration: invalid TLS version: "x"; use TLS_AUTO or one of TLSv1_0 to TLSv1_3',
    ),
]

EXPORTED_PROBLEMS = [
    ({"Services": [{}]}, "Services[0]: service name cannot be empty"),
    (
        {"Services": [{"Name": "a", "Consumers": [{"Peer": "*"}]}]},
        "Services[0].Consumers[0]: exporting to all peers (wildcard) is not supported",
    ),
    (
        {"Services": [{"Name": "a", "Consumers": [{}]}]},
        "Services[0].Consumers[0]: must define a Peer or a SamenessGroup",
    ),
]

PROBLEMS = {
    "service-defaults": DEFAULTS_PROBLEMS,
    "service-router": ROUTER_PROBLEMS,
    "service-splitter": SPLITTER_PROBLEMS,
    "service-resolver": RESOLVER_PROBLEMS,
    "service-intentions": INTENTIONS_PROBLEMS,
    "ingress-gateway": INGRESS_PROBLEMS,
    "terminating-gateway": TERMINATING_PROBLEMS,
    "mesh": MESH_PROBLEMS,
    "exported-services": EXPORTED_PROBLEMS,
}


@pytest.mark.parametrize(
    ("kind", "fields", "problem"),
    [(kind, fields, problem) for kind, problems in PROBLEMS.items() for fields, problem in problems],
)
def test_what_an_entry_can_not_say(kind, fields, problem):
    """Each mistake is told in Consul's words."""
    assert problem_of(kind, **fields) == problem


FIELD_NAMES = [
    *{name for kind in CONFIG_KINDS.values() for name in (*kind.fields, *kind.first)},
    *("Name", "Service", "Services", "Weight", "Match", "HTTP", "Destination", "Action", "Permissions", "Port"),
    *("PathExact", "Methods", "Header", "Policy", "HashPolicies", "Field", "Hosts", "Consumers", "*"),
]
FIELD_NAMES.sort()

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELD_NAMES) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(CONFIG_KINDS)), st.dictionaries(st.sampled_from(FIELD_NAMES), json_values, max_size=5)
)
def test_any_json_is_an_entry_or_a_mistake_of_the_callers(kind, fields):
    """Whatever a caller writes is an entry that can be shown and written again, or BadInput."""
    try:
        entry = read_config_entry({"Kind": kind, "Name": "web", **fields})
    except BadInput:
        return
    again = read_config_entry({"Kind": kind, "Name": entry.name, **entry.fields})
    assert again.fields == entry.fields
