"""The route table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.protocols.http import Parameters, Request, Response, Route, RouteTable


def handler(name):
    return lambda request: Response(200, f"{name}:{request.argument}".encode())


TABLE = RouteTable(
    Route(method, pattern, handler(f"{method} {pattern}"))
    for method, pattern in (
        ("GET", "/v1/things"),
        ("GET", "/v1/thing/"),
        ("PUT", "/v1/thing/register"),
        ("PUT", "/v1/thing/end/"),
        ("DELETE", "/v1/thing/end/"),
    )
)


async def no_body(bytes_max):
    return b""


def find(method, path):
    """The response, or the text of the handler's."""
    request = Request(method, path, Parameters(), {}, no_body)
    found = TABLE.find(request)
    return found if isinstance(found, Response) else found(request).body.decode()


@pytest.mark.parametrize(
    ("method", "path", "called"),
    [
        ("GET", "/v1/things", "GET /v1/things:"),
        ("HEAD", "/v1/things", "GET /v1/things:"),
        ("GET", "/v1/thing/a", "GET /v1/thing/:a"),
        ("GET", "/v1/thing/a/b/", "GET /v1/thing/:a/b/"),
        ("GET", "/v1/thing/", "GET /v1/thing/:"),
        ("GET", "/v1/thing/..a", "GET /v1/thing/:..a"),
        ("PUT", "/v1/thing/register", "PUT /v1/thing/register:"),
        ("PUT", "/v1/thing/end/x", "PUT /v1/thing/end/:x"),
        ("DELETE", "/v1/thing/end/x/y", "DELETE /v1/thing/end/:x/y"),
        ("PUT", "/v1/thing/end/", "PUT /v1/thing/end/:"),
    ],
)
def test_the_longest_pattern_gets_the_request(method, path, called):
    """A whole path is matched first, then the longest prefix; what follows a prefix is the argument; HEAD is GET."""
    assert find(method, path) == called


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/things/", "/v1/things/a", "/v1/thin", "/v1/"])
def test_an_unknown_path_is_a_404_without_words(path):
    """Under /v1/ a path that nobody serves is an empty 404, as Consul's."""
    found = find("GET", path)
    assert (found.status, found.body) == (404, b"")


@pytest.mark.parametrize("path", ["/", "/things", "/V1/things", "*"])
def test_a_path_outside_the_api_is_told_so(path):
    """Elsewhere the 404 says where the API is."""
    found = find("GET", path)
    assert found.status == 404
    assert b"/v1/" in found.body


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/v1/things", "OPTIONS,GET"),
        ("GET", "/v1/thing/register", "OPTIONS,PUT"),
        ("POST", "/v1/thing/end/x", "OPTIONS,PUT,DELETE"),
        ("PATCH", "/v1/thing/x", "OPTIONS,GET"),
        ("HEAD", "/v1/thing/register", "OPTIONS,PUT"),
    ],
)
def test_another_method_is_a_405_with_those_that_are(method, path, allow):
    """A known path with another method is 405 and lists the methods; OPTIONS lists them with 200."""
    found = find(method, path)
    assert (found.status, dict(found.headers)["Allow"]) == (405, allow)
    assert found.body == f"method {method} not allowed".encode()
    asked = find("OPTIONS", path)
    assert (asked.status, dict(asked.headers)["Allow"]) == (200, allow)


@pytest.mark.parametrize(
    ("path", "clean"),
    [
        ("//v1/things", "/v1/things"),
        ("/v1//things", "/v1/things"),
        ("/v1/./things", "/v1/things"),
        ("/v1/x/../things", "/v1/things"),
        ("/../../v1/things", "/v1/things"),
        ("/v1/thing/a//", "/v1/thing/a/"),
        ("/v1/thing/a/..", "/v1/thing/"),
        ("/v1/thing", "/v1/thing/"),
        ("///", "/"),
        ("//evil.example/", "/evil.example/"),
        ("/v1/é//a b", "/v1/%C3%A9/a%20b"),
    ],
)
def test_an_unclean_path_is_sent_to_the_clean_one(path, clean):
    """Empty and dot segments, and a prefix without its slash, get a 301 to the right path, never to another host."""
    found = find("GET", path)
    assert (found.status, dict(found.headers)["Location"]) == (301, clean)


@given(
    st.lists(st.sampled_from(["", ".", "..", "v1", "thing", "a", ".a", "end"]), max_size=7).map(
        lambda parts: "/" + "/".join(parts)
    )
)
def test_a_redirection_leads_to_a_path_that_stands(path):
    """Following a redirection once is enough, and it stays on this server."""
    found = find("GET", path)
    if isinstance(found, Response) and found.status == 301:
        location = dict(found.headers)["Location"]
        assert location.startswith("/")
        assert not location.startswith("//")
        again = find("GET", location)
        assert not isinstance(again, Response) or again.status != 301


def test_a_redirection_keeps_the_parameters():
    """Whoever is sent on asks the same question there: `?passing` must not get lost on the way."""
    request = Request("GET", "/v1//things", Parameters("passing&tag=a%20b"), {}, no_body)
    assert dict(TABLE.find(request).headers)["Location"] == "/v1/things?passing&tag=a%20b"


def test_one_method_on_one_path_has_one_handler():
    """Two handlers for the same is a mistake of the programmer's, found at the start."""
    with pytest.raises(AssertionError, match="GET /a has two handlers"):
        RouteTable([Route("GET", "/a", handler("x")), Route("GET", "/a", handler("y"))])


def test_the_table_lists_its_patterns():
    """Whoever documents the routes sees them with their methods, in order."""
    assert list(TABLE.patterns().items())[-1] == ("/v1/thing/end/", ("PUT", "DELETE"))
    assert len(TABLE.patterns()) == 4
