"""What callers get wrong: each mistake has a 4xx that names it, and changes nothing."""

import gzip
import http.client
import json
import socket

import pytest

from regista.protocols.consul.decode import SERVICE_FIELDS
from regista.protocols.consul.decode_check import CHECK_FIELDS
from regista.protocols.consul.fields import ignored

REGISTER = "/v1/agent/service/register"
CHECK_REGISTER = "/v1/agent/check/register"
CATALOG = "/v1/catalog/register"

BODY_BYTES_MAX = 1024 * 1024


def ask(address, head, body=b""):
    """Sends exactly these bytes on a connection of its own; status, headers, text."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        try:
            connection.sendall(head)
            connection.sendall(body)
        except ConnectionError:
            pass  # it has answered, and does not want the rest
        answer = http.client.HTTPResponse(connection, method=head.split(b" ")[0].decode("latin-1"))
        answer.begin()
        return answer.status, answer.headers, answer.read().decode()


def head_of(method, target, headers=(), body=b""):
    lines = [f"{method} ".encode() + target + b" HTTP/1.1", b"Host: x", b"Connection: close"]
    lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
    if body or method in ("PUT", "POST", "PATCH"):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""])


def raw(*lines, body=b""):
    return b"\r\n".join([*lines, b"", b""]) + body


@pytest.fixture(scope="module")
def seeded(shared_agent):
    """An agent with one instance, whose state bad requests must leave alone."""
    shared_agent.register(
        ID="kept-1", Name="kept", Port=1, Check={"CheckID": "alive", "TTL": "1h", "Status": "passing"}
    )
    return shared_agent


@pytest.fixture
def unchanged(seeded):
    """The agent; at the end of the test everything in it must be as it was."""
    before = state_of(seeded)
    yield seeded
    assert state_of(seeded) == before


def state_of(agent):
    listed = [agent.get(path).body for path in ("/v1/agent/services", "/v1/agent/checks")]
    views = ("/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any", "/v1/health/service/kept")
    return listed, [agent.get(path).index for path in views]


# ---- fields ----


@pytest.mark.parametrize("field", [name for name, reader in SERVICE_FIELDS.items() if reader is not ignored])
def test_a_service_field_of_the_wrong_type_is_refused_by_its_name(unchanged, field):
    """No field of a service takes a list of lists of lists, and the refusal names the field."""
    reply = unchanged.put(REGISTER, {"Name": "bad"} | {field: [[[]]]})
    assert reply.status == 400, reply
    assert field in reply.text
    assert reply.headers["x-regista-field"].startswith(field)


@pytest.mark.parametrize("field", [name for name, reader in CHECK_FIELDS.items() if reader is not ignored])
@pytest.mark.parametrize("where", ["alone", "in a service"])
def test_a_check_field_of_the_wrong_type_is_refused_by_its_name(unchanged, field, where):
    """No field of a check takes a list of lists of lists, alone or in a service, and the refusal names the field."""
    check = {"Name": "bad", "TTL": "10s"} | {field: [[[]]]}
    if where == "alone":
        reply = unchanged.put(CHECK_REGISTER, check)
    else:
        reply = unchanged.put(REGISTER, {"Name": "bad", "Check": check})
    assert reply.status == 400, reply
    assert field in reply.text


FIELD_CASES = {
    "nothing": ({}, "Missing service name"),
    "no name": ({"ID": "x", "Port": 1}, "Missing service name"),
    "an empty name": ({"Name": ""}, "Missing service name"),
    "null as the name": ({"Name": None}, "Missing service name"),
    "a name of two lines": ({"Name": "a\nb"}, "Name has control characters"),
    "a name with DEL": ({"Name": "a\x7f"}, "Name has control characters"),
    "an id that no path can hold": (
        {"Name": "a", "ID": "a\u200b"},
        "ID has a character that can't be printed (U+200B)",
    ),
    "a check's id that no path can hold": (
        {"Name": "a", "Check": {"CheckID": "c\u00a0", "TTL": "1s"}},
        "Check.CheckID has a character that can't be printed (U+00A0)",
    ),
    "a tag with NUL": ({"Tags": ["ok", "\x00"]}, "Tags[1] has control characters"),
    "a name of 513 characters": ({"Name": "n" * 513}, "Name is too long: 513 characters (limit: 512)"),
    "an unknown field": ({"Prot": 80}, 'unknown field "Prot"; did you mean "Port"?'),
    "an unknown field like no other": ({"zzzzzz": 80}, 'unknown field "zzzzzz"'),
    "an unknown field in a check": (
        {"Check": {"TTL": "1s", "Intervall": "1s"}},
        'unknown field "Intervall" in Check; did you mean "Interval"?',
    ),
    "an unknown field of a check in the list": (
        {"Checks": [{"TTL": "1s"}, {"TTL": "1s", "note": ""}]},
        'unknown field "note" in Checks[1]; did you mean "Notes"?',
    ),
    "an unknown field in weights": ({"Weights": {"Pasing": 1}}, 'in Weights; did you mean "Passing"?'),
    "an unknown field of two lines": ({"a\r\nSet-Cookie: b": 1}, "unknown field"),
    "an unknown field of 100 KB": ({"k" * 100_000: 1}, "unknown field"),
    "a check of an unknown kind": ({"Check": {"Ping": "h", "Interval": "1s"}}, 'unknown field "Ping"'),
    "a UDP target without port": (
        {"Check": {"UDP": "h", "Interval": "1s"}},
        "UDP must be host:port (see Check.UDP)",
    ),
    "a URL as a gRPC target": (
        {"Check": {"GRPC": "http://h:1", "Interval": "1s"}},
        "GRPC must be host:port or host:port/service (see Check.GRPC)",
    ),
    "a path in an HTTP/2 target": (
        {"Check": {"H2PING": "h:1/x", "Interval": "1s"}},
        "H2PING must be host:port (see Check.H2PING)",
    ),
    "a check of no kind": ({"Check": {"Interval": "1s"}}, "Check.TTL"),
    "the mesh": (
        {"Connect": {"Native": "yes"}},
        "cannot unmarshal string into Go struct field .Connect.Native of type bool",
    ),
    "an interval without unit": (
        {"Check": {"HTTP": "http://h/", "Interval": "10"}},
        'missing unit in duration "10" in Check.Interval',
    ),
    "an interval in words": (
        {"Check": {"HTTP": "http://h/", "Interval": "ten"}},
        'invalid duration "ten" in Check',
    ),
    "an interval in days": ({"Check": {"HTTP": "http://h/", "Interval": "1d"}}, 'unknown unit "d"'),
    "an interval with a space": ({"Check": {"HTTP": "http://h/", "Interval": "10 s"}}, 'unknown unit " s"'),
    "a negative interval": ({"Check": {"HTTP": "http://h/", "Interval": "-1s"}}, "(see Check.Interval)"),
    "no interval": ({"Check": {"HTTP": "http://h/"}}, "(see Check.Interval)"),
    "an interval of eleven years": (
        {"Check": {"HTTP": "http://h/", "Interval": "100000h"}},
        "Check.Interval is 4167 days; at most 10 years",
    ),
    "a boolean as interval": (
        {"Check": {"TCP": "h:1", "Interval": True}},
        "field .Check.Interval of type duration",
    ),
    "a negative timeout": (
        {"Check": {"TCP": "h:1", "Interval": "1s", "Timeout": "-1s"}},
        "Timeout must not be negative (see Check.Timeout)",
    ),
    "a negative time to deregister": (
        {"Check": {"TTL": "1s", "DeregisterCriticalServiceAfter": "-1m"}},
        "DeregisterCriticalServiceAfter must not be negative",
    ),
    "both interval and TTL": ({"Check": {"TTL": "1s", "Interval": "1s"}}, "Interval and TTL cannot both be"),
    "a negative TTL of a check": ({"Check": {"TTL": "-1s"}}, "(see Check.TTL)"),
    "a negative TTL of the instance": ({"TTL": "-5s"}, "TTL must be > 0"),
    "a TTL of the instance of 30 nanoseconds": ({"TTL": 30}, "TTL is 30ns; at least 1ms is accepted"),
    "a TTL of the instance without unit": ({"TTL": "5"}, 'missing unit in duration "5" in TTL'),
    "a TTL of 10 to the 400 nanoseconds": ({"TTL": 10**400}, "TTL is"),
    "a failure threshold of -1": (
        {"Check": {"TTL": "1s", "FailuresBeforeCritical": -1}},
        "FailuresBeforeCritical must be",
    ),
    "an output size of 10 to the 30": ({"Check": {"TTL": "1s", "OutputMaxSize": 10**30}}, "Check.OutputMaxSize"),
    "a negative output size": ({"Check": {"TTL": "1s", "OutputMaxSize": -1}}, "(see Check.OutputMaxSize)"),
    "port 70000": ({"Port": 70000}, "Port must be from 0 to 65535, not 70000"),
    "port -1": ({"Port": -1}, "Port must be from 0 to 65535, not -1"),
    "a port in quotes": ({"Port": "80"}, "cannot unmarshal string into Go struct field .Port of type int"),
    "a port with a fraction": (
        {"Port": 80.5},
        "cannot unmarshal number 80.5 into Go struct field .Port of type int",
    ),
    "port 10 to the 30": ({"Port": 10**30}, "Port is a number that does not fit in 64 bits"),
    "a boolean as port": ({"Port": True}, "cannot unmarshal bool into Go struct field .Port"),
    "port 70000 of a TCP check": ({"Check": {"TCP": "h:70000", "Interval": "1s"}}, "(see Check.TCP)"),
    "a TCP check without port": (
        {"Check": {"TCP": "h", "Interval": "1s"}},
        "TCP must be host:port (see Check.TCP)",
    ),
    "an FTP address": ({"Check": {"HTTP": "ftp://h/", "Interval": "1s"}}, "HTTP must be a URL"),
    "a URL without host": ({"Check": {"HTTP": "http:///health", "Interval": "1s"}}, "(see Check.HTTP)"),
    "a method of two words": (
        {"Check": {"HTTP": "http://h/", "Interval": "1s", "Method": "GET /"}},
        "Method must be an HTTP method",
    ),
    "a header with a line break": (
        {"Check": {"HTTP": "http://h/", "Interval": "1s", "Header": {"A": ["b\r\nC: d"]}}},
        "Check.Header.A[0] has control characters",
    ),
    "a header's name with a space": (
        {"Check": {"HTTP": "http://h/", "Interval": "1s", "Header": {"A B": ["c"]}}},
        "(see Check.Header)",
    ),
    "a status that is none": ({"Check": {"TTL": "1s", "Status": "fine"}}, "not 'fine'"),
    "one check id twice": (
        {"Checks": [{"CheckID": "a", "TTL": "1s"}, {"CheckID": "A", "TTL": "1s"}]},
        'Checks[1].CheckID "A" is there twice',
    ),
    "129 checks": ({"Checks": [{"TTL": "1s"}] * 129}, "Checks has 129 items; at most 128"),
    "1025 tags": ({"Tags": ["t"] * 1025}, "Tags has 1025 items; at most 1024"),
    "a number among the tags": ({"Tags": ["a", 1]}, "field .Tags[1] of type string"),
    "65 pairs of metadata": ({"Meta": {f"k{n}": "" for n in range(65)}}, "more than 64 key/value pairs"),
    "an empty key of metadata": ({"Meta": {"": "v"}}, "Key cannot be blank"),
    "a key of metadata with a dot": ({"Meta": {"a.b": "v"}}, "Key contains invalid characters"),
    "a key of metadata of 129 characters": ({"Meta": {"k" * 129: "v"}}, "Key is too long (limit: 128 characters)"),
    "a reserved key of metadata": ({"Meta": {"consul-x": "v"}}, "Key prefix 'consul-' is reserved"),
    "a value of metadata of 513 characters": (
        {"Meta": {"k": "v" * 513}},
        "Value is too long (limit: 512 characters)",
    ),
    "a number in the metadata": ({"Meta": {"k": 1}}, "field .Meta.k of type string"),
    "a number under a key of two lines": ({"Meta": {"k\r\nA: b": 1}}, "field .Meta.k"),
    "a weight of 0": ({"Weights": {"Passing": 0, "Warning": 1}}, "Passing must be greater than 0"),
    "a weight of -1": ({"Weights": {"Passing": 1, "Warning": -1}}, "Warning must be greater or equal than 0"),
    "a weight of 65536": ({"Weights": {"Passing": 65536}}, "Weight must be between 0 and 65535"),
    "a weight with a fraction": ({"Weights": {"Passing": 0.5}}, "field .Weights.Passing of type int"),
    "the address 0.0.0.0": ({"Address": "0.0.0.0"}, "Invalid service address: 0.0.0.0"),
    "the address ::": ({"Address": "::"}, "Invalid service address: ::"),
    "a tagged address of the other family": (
        {"TaggedAddresses": {"lan_ipv4": {"Address": "::1"}}},
        '"lan_ipv4" must be a valid ipv4 address',
    ),
    "a tagged address that is a text": ({"TaggedAddresses": {"lan": "10.0.0.1"}}, "field .TaggedAddresses.lan"),
    "a tagged address at port 70000": (
        {"TaggedAddresses": {"lan": {"Address": "10.0.0.1", "Port": 70000}}},
        "TaggedAddresses.lan.Port must be from 0 to 65535",
    ),
}


@pytest.mark.parametrize("case", FIELD_CASES)
def test_a_registration_with_a_bad_field_is_refused(unchanged, case):
    """A field that can't be is a 400 whose text names the field and the rule."""
    fields, words = FIELD_CASES[case]
    base = {} if words == "Missing service name" else {"Name": "bad"}
    reply = unchanged.put(REGISTER, base | fields)
    assert reply.status == 400, reply
    assert words in reply.text
    assert len(reply.headers.get("x-regista-field", "")) <= 256


BODY_CASES = {
    "nothing at all": (b"", "EOF"),
    "only spaces": (b" \r\n\t", "EOF"),
    "half an object": (b'{"Name": "bad"', "unexpected EOF"),
    "half a text": (b'{"Name": "ba', "unexpected EOF"),
    "null": (b"null", "Missing service name"),
    "an array": (b'[{"Name": "bad"}]', "cannot unmarshal array"),
    "a text": (b'"bad"', "cannot unmarshal string"),
    "a number": (b"5", "cannot unmarshal number"),
    "true": (b"true", "cannot unmarshal bool"),
    "a form": (b"Name=bad&Port=80", "invalid character 'N'"),
    "single quotes": (b"{'Name': 'bad'}", "invalid character"),
    "a comma too many": (b'{"Name": "bad",}', "invalid character"),
    "a comment": (b'{"Name": "bad" /* x */}', "invalid character"),
    "NaN": (b'{"Name": "bad", "Port": NaN}', "invalid character 'N'"),
    "Infinity": (b'{"Name": "bad", "TTL": Infinity}', "invalid character 'I'"),
    "minus Infinity": (b'{"Name": "bad", "TTL": -Infinity}', "invalid character"),
    "1e400 as port": (b'{"Name": "bad", "Port": 1e400}', "Port"),
    "1e400 as TTL": (b'{"Name": "bad", "TTL": 1e400}', "TTL"),
    "a number of 5000 digits": (b'{"Name": "bad", "Port": ' + b"9" * 5000 + b"}", "decode failed"),
    "bytes that are not UTF-8": (b"\xff\xfe\x00", "invalid UTF-8 at byte 0"),
    "a name that is not UTF-8": (b'{"Name": "\xe9"}', "invalid UTF-8 at byte 10"),
    "half a surrogate pair as name": (b'{"Name": "\\ud800"}', "surrogate"),
    "half a surrogate pair in the metadata": (b'{"Name": "bad", "Meta": {"k": "\\udc00"}}', "surrogate"),
    "half a surrogate pair as key": (b'{"Name": "bad", "\\ud800": 1}', "surrogate"),
    "a line break in a text": (b'{"Name": "a\nb"}', "invalid character"),
    "100,000 brackets": (b"[" * 100_000 + b"]" * 100_000, "exceeded max depth"),
    "100,000 objects": (b'{"Meta":' * 100_000 + b"1" + b"}" * 100_000, "exceeded max depth"),
    "100,000 brackets in a field": (
        b'{"Name":"bad","Tags":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "max depth",
    ),
    "100,000 brackets without an end": (b"[" * 100_000, "decode failed"),
}


@pytest.mark.parametrize("case", BODY_CASES)
def test_a_body_that_is_no_registration_is_refused(unchanged, case):
    """A body that is not the JSON of one object is a 400 that says what it is instead."""
    body, words = BODY_CASES[case]
    reply = unchanged.put(REGISTER, body)
    assert reply.status == 400, reply
    assert words in reply.text


PATH_CASES = {
    # Checks
    "a check without name": ("PUT", CHECK_REGISTER, {"TTL": "1s"}, 400, "Missing check name"),
    "a check of a service that is not there": (
        "PUT",
        CHECK_REGISTER,
        {"Name": "bad", "TTL": "1s", "ServiceID": "none"},
        404,
        'ServiceID "none" does not exist',
    ),
    "a check with a bad status": (
        "PUT",
        CHECK_REGISTER,
        {"Name": "b", "TTL": "1s", "Status": "up"},
        400,
        "Bad check status: 'up'",
    ),
    "a report to a check that is not there": ("PUT", "/v1/agent/check/pass/none", None, 404, 'CheckID "none"'),
    "a report to no check": ("PUT", "/v1/agent/check/pass/", None, 400, "CheckID missing"),
    "an update with a bad status": (
        "PUT",
        "/v1/agent/check/update/alive",
        {"Status": "up"},
        400,
        "Invalid check status: 'up'",
    ),
    "an update with an unknown field": (
        "PUT",
        "/v1/agent/check/update/alive",
        {"Staus": ""},
        400,
        'did you mean "Status"?',
    ),
    "an update that is an array": ("PUT", "/v1/agent/check/update/alive", [], 400, "cannot unmarshal array"),
    "the end of no service": ("PUT", "/v1/agent/service/deregister/", None, 400, "ServiceID missing"),
    "the renewal of no service": ("PUT", "/v1/agent/service/renew/", None, 400, "ServiceID missing"),
    "the renewal of one that is not there": (
        "PUT",
        "/v1/agent/service/renew/none",
        None,
        404,
        'Unknown service ID "none"',
    ),
    "the id of the server's own": ("PUT", REGISTER, {"Name": "x", "ID": "consul"}, 403, "registry's own"),
    "the check of the server's own": (
        "PUT",
        CHECK_REGISTER,
        {"Name": "serfHealth", "TTL": "1s"},
        403,
        "registry's own",
    ),
    "the end of the server's own": (
        "PUT",
        "/v1/agent/service/deregister/consul",
        None,
        403,
        "registry's own",
    ),
    # The catalog
    "a node without name": ("PUT", CATALOG, {"Address": "10.0.0.1"}, 400, "Must provide node"),
    "a node without address": ("PUT", CATALOG, {"Node": "bad"}, 400, "Must provide address"),
    "a node with a bad id": ("PUT", CATALOG, {"Node": "bad", "Address": "a", "ID": "5"}, 400, 'Bad node ID: "5"'),
    "a node elsewhere": ("PUT", CATALOG, {"Node": "bad", "Address": "a", "Datacenter": "dc2"}, 404, '"dc2"'),
    "a service without name": (
        "PUT",
        CATALOG,
        {"Node": "bad", "Address": "a", "Service": {"ID": "x"}},
        400,
        "service name",
    ),
    "a service at port 70000": (
        "PUT",
        CATALOG,
        {"Node": "bad", "Address": "a", "Service": {"Service": "x", "Port": 70000}},
        400,
        "Service.Port must be from 0 to 65535",
    ),
    "a service with huge weights": (
        "PUT",
        CATALOG,
        {"Node": "bad", "Address": "a", "Service": {"Service": "x", "Weights": {"Passing": 10**30}}},
        400,
        "Service.Weights.Passing",
    ),
    "a check on another node": (
        "PUT",
        CATALOG,
        {"Node": "bad", "Address": "a", "Check": {"Node": "other", "CheckID": "x"}},
        400,
        'check node "other" does not match node "bad"',
    ),
    "a check of an unknown service": (
        "PUT",
        CATALOG,
        {"Node": "bad", "Address": "a", "Check": {"CheckID": "x", "ServiceID": "none"}},
        404,
        "Missing service registration",
    ),
    "the end of no node": ("PUT", "/v1/catalog/deregister", {}, 400, "Must provide node"),
    "the end of the agent's own node": ("PUT", "/v1/catalog/deregister", {"Node": "n1"}, 403, "agent's own"),
    # Parameters
    "an index in words": ("GET", "/v1/health/service/kept?index=abc", None, 400, "Invalid index"),
    "a negative index": ("GET", "/v1/health/service/kept?index=-1", None, 400, "Invalid index"),
    "an index with a fraction": ("GET", "/v1/catalog/nodes?index=1.5", None, 400, "Invalid index"),
    "an index of 23 digits": (
        "GET",
        "/v1/catalog/nodes?index=99999999999999999999999",
        None,
        400,
        "Invalid index",
    ),
    "an index of 5000 digits": ("GET", "/v1/catalog/nodes?index=" + "9" * 5000, None, 400, "Invalid index"),
    "an index in Arabic digits": ("GET", "/v1/catalog/nodes?index=%D9%A1", None, 400, "Invalid index"),
    "a wait in words": ("GET", "/v1/catalog/nodes?index=1&wait=abc", None, 400, "Invalid wait time"),
    "a wait without unit": ("GET", "/v1/catalog/nodes?index=1&wait=5", None, 400, "Invalid wait time"),
    "a wait of a year": ("GET", "/v1/catalog/services?index=1&wait=1y", None, 400, "Invalid wait time"),
    "passing=maybe": ("GET", "/v1/health/service/kept?passing=maybe", None, 400, "Invalid value for ?passing"),
    "stale and consistent": (
        "GET",
        "/v1/catalog/nodes?stale&consistent",
        None,
        400,
        "Cannot specify ?stale with ?consistent",
    ),
    "a namespace": ("GET", "/v1/catalog/services?ns=team", None, 400, '"ns"'),
    "a namespace in a write": ("PUT", REGISTER + "?ns=team", {"Name": "bad"}, 400, '"ns"'),
    "another datacenter": ("GET", "/v1/catalog/nodes?dc=dc2", None, 404, '"dc2"'),
    "an escape that is none": ("GET", "/v1/health/service/kept?tag=%zz", None, 400, "invalid URL escape"),
    "a parameter that is not UTF-8": ("GET", "/v1/health/service/kept?tag=%ff", None, 400, "not UTF-8"),
    "257 parameters": (
        "GET",
        "/v1/catalog/nodes?" + "&".join(["a=1"] * 257),
        None,
        400,
        "more than 256 parameters",
    ),
    # Paths
    "a path that is not UTF-8": ("GET", "/v1/health/service/%ff", None, 400, "not UTF-8"),
    "NUL in a path": ("PUT", "/v1/agent/service/deregister/kept-1%00", None, 400, "can't be printed"),
    "a line break in a path": ("GET", "/v1/health/service/%0d%0aA:b", None, 400, "can't be printed"),
    "no service": ("GET", "/v1/health/service/", None, 400, "Missing service name"),
    "no node": ("GET", "/v1/catalog/node/", None, 400, "Missing node name"),
    "no status": ("GET", "/v1/health/state/", None, 400, "Missing check state"),
    "a slash too many": ("GET", "/v1/agent/services/", None, 404, ""),
    "an unknown path": ("GET", "/v1/nothing", None, 404, ""),
    "a path without version": ("GET", "/agent/services", None, 404, "start with /v1/"),
    "two slashes": ("PUT", "//v1/agent/service/deregister/kept-1", None, 301, ""),
    "two slashes inside": ("PUT", "/v1/agent//service/deregister/kept-1", None, 301, ""),
    "a way up": ("PUT", "/v1/catalog/../agent/service/deregister/kept-1", None, 301, ""),
    "a way up in escapes": ("PUT", "/v1/x/%2e%2e/agent/service/deregister/kept-1", None, 301, ""),
    # Methods
    "POST of a registration": ("POST", REGISTER, {"Name": "bad"}, 405, "method POST not allowed"),
    "PATCH of a registration": ("PATCH", REGISTER, {"Name": "bad"}, 405, "method PATCH not allowed"),
    "GET of a registration": ("GET", REGISTER, None, 405, "method GET not allowed"),
    "DELETE of a list": ("DELETE", "/v1/agent/services", None, 405, "method DELETE not allowed"),
    "GET of an end": ("GET", "/v1/agent/service/deregister/kept-1", None, 405, "method GET not allowed"),
}


@pytest.mark.parametrize("case", PATH_CASES)
def test_a_request_that_cannot_be_is_refused(unchanged, case):
    """A wrong method, path, parameter or target has the fitting status and a text that names it."""
    method, target, content, status, words = PATH_CASES[case]
    body = b"" if content is None else json.dumps(content).encode()
    answered, headers, text = ask(unchanged.http, head_of(method, target.encode(), (), body), body)
    assert answered == status, text
    assert words in text
    if status == 301:
        assert headers["Location"] == "/v1/agent/service/deregister/kept-1"
    if status == 405:
        assert "OPTIONS" in headers["Allow"]


HOST = b"Host: x"
CLOSE = b"Connection: close"
PUT = b"PUT /v1/agent/service/register HTTP/1.1"
PACKED = gzip.compress(b'{"Name": "packed", "Tags": ["one", "two"]}', mtime=0)
GET = b"GET /v1/agent/services HTTP/1.1"

WIRE_CASES = {
    "a method of our own": (raw(b"BREW /v1/agent/services HTTP/1.1", HOST, CLOSE), 400),
    "words instead of HTTP": (raw(b"Hello, agent"), 400),
    "HTTP of another version": (raw(b"GET /v1/agent/services HTTP/9.9", HOST, CLOSE), 505),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", 400),
    "a header without colon": (raw(GET, HOST, b"Nonsense", CLOSE), 400),
    "a header with NUL": (raw(GET, HOST, b"X-A: a\x00b", CLOSE), 400),
    "a space before the colon": (raw(GET, HOST, b"X-A : b", CLOSE), 400),
    "a header of 20 KB": (raw(GET, HOST, b"X-A: " + b"a" * 20_000, CLOSE), 400),
    "a path of 20 KB": (raw(b"GET /v1/catalog/service/" + b"a" * 20_000 + b" HTTP/1.1", HOST, CLOSE), 400),
    "1000 headers": (raw(GET, HOST, *(b"X-%d: a" % n for n in range(1000)), CLOSE), 400),
    "a negative length": (raw(PUT, HOST, CLOSE, b"Content-Length: -1"), 400),
    "a length in words": (raw(PUT, HOST, CLOSE, b"Content-Length: many"), 400),
    "two lengths": (raw(PUT, HOST, CLOSE, b"Content-Length: 2", b"Content-Length: 3", body=b"{}x"), 400),
    "both length and chunks": (
        raw(PUT, HOST, CLOSE, b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        400,
    ),
    "an unknown transfer encoding": (raw(PUT, HOST, CLOSE, b"Transfer-Encoding: banana", body=b"{}"), 400),
    "chunks of garbage": (
        raw(PUT, HOST, CLOSE, b"Transfer-Encoding: chunked", body=b"zz\r\n{}\r\n0\r\n\r\n"),
        400,
    ),
    "a chunk that is longer than it says": (
        raw(PUT, HOST, CLOSE, b"Transfer-Encoding: chunked", body=b"2\r\n{}{}{}\r\n0\r\n\r\n"),
        400,
    ),
    "a body that is no gzip": (
        raw(PUT, HOST, CLOSE, b"Content-Encoding: gzip", b"Content-Length: 8", body=b"not gzip"),
        400,
    ),
    "a body packed in a way of others": (
        raw(PUT, HOST, CLOSE, b"Content-Encoding: br", b"Content-Length: 3", body=b"abc"),
        415,
    ),
    "a body packed in a way that nobody knows": (
        raw(PUT, HOST, CLOSE, b"Content-Encoding: foo", b"Content-Length: 2", body=b"{}"),
        415,
    ),
    "a body of which the end of its gzip is missing": (
        raw(PUT, HOST, CLOSE, b"Content-Encoding: gzip", b"Content-Length: 30", body=PACKED[:30]),
        400,
    ),
    "a body of gzip that comes with more behind it": (
        raw(
            PUT,
            HOST,
            CLOSE,
            b"Content-Encoding: gzip",
            b"Content-Length: %d" % (len(PACKED) + 4),
            body=PACKED + b"more",
        ),
        400,
    ),
    "raw bytes in the path": (raw(b"GET /v1/health/service/\xff HTTP/1.1", HOST, CLOSE), 400),
    "raw bytes and an escape in the path": (raw(b"GET /v1/health/service/\xff%20 HTTP/1.1", HOST, CLOSE), 400),
    "raw bytes in a parameter": (raw(b"GET /v1/catalog/nodes?dc=\xff HTTP/1.1", HOST, CLOSE), 400),
    "raw bytes and an escape in a parameter": (
        raw(b"GET /v1/catalog/nodes?dc=\xff%20 HTTP/1.1", HOST, CLOSE),
        400,
    ),
    "a namespace in a header": (raw(GET, HOST, b"X-Consul-Namespace: team", CLOSE), 400),
}


@pytest.mark.parametrize("case", WIRE_CASES)
def test_what_is_not_http_is_refused(unchanged, case):
    """Bytes that are no sound HTTP request are refused with the code beside them, and a sentence."""
    sent, status = WIRE_CASES[case]
    answered, _, text = ask(unchanged.http, sent)
    assert answered == status, text
    assert text


def chunked(body, size):
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("form", ["length", "chunks", "gzip"])
def test_a_body_of_10_mb_is_refused(unchanged, form):
    """A body above the limit is a 413 that names the setting, whether its length is told, in chunks, or unpacked."""
    body = b'{"Name": "bad", "Notes": "' + b"a" * 10_000_000 + b'"}'
    headers = {
        "length": [b"Content-Length: %d" % len(body)],
        "chunks": [b"Transfer-Encoding: chunked"],
        "gzip": [b"Content-Encoding: gzip"],
    }[form]
    if form == "chunks":
        body = chunked(body, 65536)
    if form == "gzip":
        body = gzip.compress(body)
        headers.append(b"Content-Length: %d" % len(body))
        assert len(body) < BODY_BYTES_MAX, "the limit must be that of the unpacked body"
    status, _, text = ask(unchanged.http, raw(PUT, HOST, CLOSE, *headers), body)
    assert status == 413, text
    assert f"larger than {BODY_BYTES_MAX} bytes; http.body_bytes_max" in text


def test_a_body_of_exactly_the_limit_is_read(unchanged):
    """A body is refused above the limit and not at it: at it, what is in it is judged."""
    body = b'{"Name": "' + b"n" * (BODY_BYTES_MAX - 12) + b'"}'
    assert len(body) == BODY_BYTES_MAX
    reply = unchanged.put(REGISTER, body)
    assert reply.status == 400, reply
    assert "Name is too long" in reply.text


def test_after_all_that_the_connection_goes_on(unchanged):
    """A refused body leaves the connection usable for the next request."""
    with unchanged.client() as client:
        assert client.put(REGISTER, b"{").status == 400
        assert client.get("/v1/agent/services").status == 200


def test_nothing_of_it_was_an_internal_error(seeded):
    """No bad request made the agent stumble: its log has no error, let alone a traceback."""
    assert "Traceback" not in seeded.log()
    assert "[ERROR]" not in seeded.log()
