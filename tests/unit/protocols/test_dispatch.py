"""From a head to its handler, and what is remembered of it."""

import asyncio

import pytest

from regista.model import BadInput, NotFound, RegistaError, TooLarge
from regista.protocols.http import Response, Route, RouteTable, text_response
from regista.protocols.http.dispatch import (
    KNOWN_HEAD_BYTES_MAX,
    KNOWN_HEAD_FIELDS_MAX,
    KNOWN_HEADS_MAX,
    KNOWN_TAILS_MAX,
    Dispatcher,
    Head,
    failure_response,
    no_body,
)


def told(request):
    """A handler that tells how it was called."""
    return text_response(200, f"{request.method} {request.path} {request.argument} {request.client}")


async def told_later(request):
    return text_response(200, f"later {request.argument}")


def raising(error):
    def handler(_):
        raise error

    return handler


def raising_later(error):
    async def handler(_):
        raise error

    return handler


def dispatcher(*more):
    return Dispatcher(
        RouteTable([Route("GET", "/v1/thing/", told), Route("GET", "/v1/later/", told_later), *more])
    )


def head_of(made, target, *, method="GET", headers=None, content_length=0):
    found = made.understand(method, target, headers or {}, content_length)
    assert isinstance(found, Head)
    return found


# ---- understanding ----


def test_a_target_is_a_path_an_argument_and_parameters():
    """Escapes of the path are undone, what follows a prefix is the argument, and the query has its parameters."""
    head = head_of(dispatcher(), "/v1/thing/a%20b/c?tag=x%26y&tag=z&passing", content_length=5)
    assert (head.path, head.argument) == ("/v1/thing/a b/c", "a b/c")
    assert head.parameters.all("tag") == ["x&y", "z"]
    assert "passing" in head.parameters
    assert head.content_length == 5


@pytest.mark.parametrize(
    ("written", "argument"),
    [
        ("http%3A%2F%2F10.0.0.1%3a80", "http://10.0.0.1:80"),
        ("%2Flead", "/lead"),
        ("%2f%2F", "//"),
        ("x%2f..%2fy", "x/../y"),
        ("a/.b%2F%2Fc", "a/.b//c"),
        ("%c3%a9%2F%2F%C3%A9", "é//é"),
        ("%252F%252F", "%2F%2F"),
    ],
)
def test_an_escaped_slash_parts_no_segments(written, argument):
    """Whatever an id is made of, a path can name it, so that nothing is registered that can't be deregistered."""
    assert head_of(dispatcher(), f"/v1/thing/{written}").argument == argument


def test_a_route_may_have_escaped_slashes_part_its_argument():
    """As Consul has it with keys: its clients ask for one with a slash in front, and mean that without."""
    made = dispatcher(Route("GET", "/v1/key/", told, parts_at_escapes=True))
    found = made.understand("GET", "/v1/key/%2Fa", {}, 0)
    assert isinstance(found, Response)
    assert (found.status, dict(found.headers)["Location"]) == (301, "/v1/key/a")


@pytest.mark.parametrize(
    ("target", "location"),
    [
        ("/v1//thing/a%2F%2Fb", "/v1/thing/a/b"),
        ("/v1/thing/a%2Fb/%2e%2E/c", "/v1/thing/a/c"),
        ("/v1/thing/x/%2E%2e/a%2F%2Fb?c", "/v1/thing/a/b?c"),
    ],
)
def test_a_way_up_is_one_beside_an_escaped_slash_too(target, location):
    """Empty and dot segments of a path are taken out, whatever else in it is escaped."""
    found = dispatcher().understand("GET", target, {}, 0)
    assert isinstance(found, Response)
    assert (found.status, dict(found.headers)["Location"]) == (301, location)


@pytest.mark.parametrize(("header", "takes"), [("gzip", True), ("gzip;q=0", False), (None, False)])
def test_a_head_says_whether_its_client_takes_gzip(header, takes):
    """Accept-Encoding is understood once."""
    headers = {} if header is None else {"Accept-Encoding": header}
    assert head_of(dispatcher(), "/v1/thing/a", headers=headers).accepts_gzip is takes


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("PUT", "/v1/thing/a", 405),
        ("GET", "/v1//thing/a", 301),
        ("OPTIONS", "/v1/thing/a", 200),
    ],
)
def test_a_head_that_nobody_handles_has_its_response(method, target, status):
    """Where there is no handler to call, there is the response."""
    found = dispatcher().understand(method, target, {}, 0)
    assert isinstance(found, Response)
    assert found.status == status


@pytest.mark.parametrize(
    "target", ["/v1/thing/%ff", "/v1/thing/%00", "/v1/thing/%0d%0aX", "/v1/thing/a?b=%zz", "/v1/thing/a?b=%ff"]
)
def test_a_target_that_cannot_be_decoded_is_the_callers_mistake(target):
    """Broken escapes, bytes that are no UTF-8 and control characters are refused before any handler."""
    with pytest.raises(BadInput):
        dispatcher().understand("GET", target, {}, 0)


# ---- calling ----


def test_a_head_gives_each_caller_a_request_of_its_own():
    """One head serves any number of callers: nothing of a request goes back into it."""
    made = dispatcher()
    head = head_of(made, "/v1/thing/a")
    first, second = made.call(head, no_body, "1.1.1.1"), made.call(head, no_body, "2.2.2.2")
    assert first.body == b"GET /v1/thing/a a 1.1.1.1"
    assert second.body == b"GET /v1/thing/a a 2.2.2.2"
    assert head.request(no_body, "") is not head.request(no_body, "")


async def test_what_a_handler_takes_time_for_is_awaited():
    """A handler that waits gives something to await, and that gives the response."""
    made = dispatcher()
    head = head_of(made, "/v1/later/a")
    response = await made.settled(made.call(head, no_body, ""), head)
    assert response.body == b"later a"


ERRORS = {
    "the caller's": (BadInput("that is wrong", field="Name"), 400, b"that is wrong"),
    "the state's": (NotFound("nobody has that"), 404, b"nobody has that"),
    "too large": (TooLarge("much too large", limit_bytes=1), 413, b"much too large"),
    "a bug": (KeyError("secret"), 500, b"the agent's log has the details"),
    "a foreign connection's": (ConnectionResetError("secret"), 500, b"the agent's log has the details"),
    "a foreign time-out": (TimeoutError("secret"), 500, b"the agent's log has the details"),
}


@pytest.mark.parametrize("case", ERRORS)
async def test_whatever_a_handler_raises_is_a_response(case, caplog):
    """An error has the same response whether it is raised at once or later; only what is ours is logged, and not told."""
    error, status, words = ERRORS[case]
    made = dispatcher(Route("GET", "/v1/now", raising(error)), Route("GET", "/v1/soon", raising_later(error)))
    now = made.call(head_of(made, "/v1/now"), no_body, "")
    soon_head = head_of(made, "/v1/soon")
    soon = await made.settled(made.call(soon_head, no_body, ""), soon_head)
    assert now == soon
    assert now.status == status
    assert words in now.body
    assert b"secret" not in now.body
    logged = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert logged == ([] if isinstance(error, RegistaError) else ["GET /v1/now failed", "GET /v1/soon failed"])


async def test_a_cancelled_handler_has_no_response():
    """Cancelling goes through: there is nobody to answer."""
    made = dispatcher(Route("GET", "/v1/soon", raising_later(asyncio.CancelledError())))
    head = head_of(made, "/v1/soon")
    with pytest.raises(asyncio.CancelledError):
        await made.settled(made.call(head, no_body, ""), head)


async def test_a_handler_that_gives_nothing_is_a_500(caplog):
    """A handler that forgets to return is a bug, and its caller is told."""
    made = dispatcher(Route("GET", "/v1/none", lambda _: None))
    head = head_of(made, "/v1/none")
    assert (await made.settled(made.call(head, no_body, ""), head)).status == 500
    assert caplog.messages == ["GET /v1/none failed"]


def test_an_error_before_there_is_a_head_is_logged_too(caplog):
    """A failure without a head is still said to be one."""
    assert failure_response(ValueError("a bug")).status == 500
    assert caplog.messages == ["a request failed"]


# ---- remembering ----


def raw(target, *, method="PUT", tail=b"A: b"):
    return b"%b %b HTTP/1.1\r\n%b\r\n\r\n" % (method.encode(), target.encode(), tail)


def putting():
    """A dispatcher that has seen a PUT with five bytes of body."""
    made = dispatcher(Route("PUT", "/v1/put/", told))
    made.learn(raw("/v1/put/a"), head_of(made, "/v1/put/a", method="PUT", headers={"A": "b"}, content_length=5))
    return made


def test_a_head_with_another_target_is_kindred():
    """Headers and length are those that were seen, path, argument and parameters those of the target."""
    head = putting().kindred(raw("/v1/put/x%20y?q=1"))
    assert (head.path, head.argument, head.parameters.first("q")) == ("/v1/put/x y", "x y", "1")
    assert (head.method, head.headers, head.content_length, head.handler) == ("PUT", {"A": "b"}, 5, told)


@pytest.mark.parametrize(
    "other",
    [
        raw("/v1/put/b", method="DELETE"),
        raw("/v1/put/b", tail=b"A: c"),
        raw("/v1/put/b", tail=b"A: b\r\nContent-Length: 9"),
        raw("/v1/put/b").replace(b"HTTP/1.1", b"HTTP/1.0"),
        raw("/v1/put/b c"),
        raw("/v1/put/b#c"),
        raw("/v1/put/%ff"),
        raw("/v1/put/b?q=%zz"),
        raw("/v1/nothing"),
        raw("/v1/put//b"),
        raw("http://x/v1/put/b"),
        raw("/v1/put/" + "b" * KNOWN_HEAD_BYTES_MAX),
        b"",
        b"PUT",
    ],
)
def test_anything_else_must_be_parsed(other):
    """Another method, version or header is none, nor a target that is not plain, has no handler, or is an error."""
    assert putting().kindred(other) is None


def test_reads_have_no_kindred():
    """A GET may be answered with a stream, which the short way can't carry; and the same reads come again anyway."""
    made = dispatcher()
    made.learn(raw("/v1/thing/a", method="GET"), head_of(made, "/v1/thing/a", headers={"A": "b"}))
    assert made.kindred(raw("/v1/thing/b", method="GET")) is None


def test_the_oldest_tail_goes_first():
    """So many are remembered and no more."""
    made = dispatcher(Route("PUT", "/v1/put/", told))
    head = head_of(made, "/v1/put/a", method="PUT")
    for number in range(KNOWN_TAILS_MAX + 1):
        made.learn(raw("/v1/put/a", tail=b"A: %d" % number), head)
    assert len(made.known_tails) == KNOWN_TAILS_MAX
    assert made.kindred(raw("/v1/put/b", tail=b"A: 0")) is None
    assert made.kindred(raw("/v1/put/b", tail=b"A: 1")) is not None


def test_the_oldest_head_goes_first():
    """So many heads are remembered and no more; who came first goes first."""
    made = dispatcher()
    head = head_of(made, "/v1/thing/a")
    for number in range(KNOWN_HEADS_MAX + 10):
        made.learn(b"%d" % number, head)
    assert len(made.known) == KNOWN_HEADS_MAX
    assert next(iter(made.known)) == b"10"
    assert b"%d" % (KNOWN_HEADS_MAX + 9) in made.known


def test_a_head_that_is_learned_again_takes_no_more_room():
    """The same bytes are one head."""
    made = dispatcher()
    for _ in range(3):
        made.learn(b"a", head_of(made, "/v1/thing/a"))
    assert list(made.known) == [b"a"]


@pytest.mark.parametrize(("size", "is_known"), [(KNOWN_HEAD_BYTES_MAX, True), (KNOWN_HEAD_BYTES_MAX + 1, False)])
def test_a_large_head_is_not_remembered(size, is_known):
    """A head over the limit is understood anew each time, and pushes nobody out."""
    made = dispatcher()
    made.learn(b"a" * size, head_of(made, "/v1/thing/a"))
    assert bool(made.known) is is_known


@pytest.mark.parametrize(
    ("headers_count", "parameters_count", "is_known"),
    [
        (KNOWN_HEAD_FIELDS_MAX - 1, 0, True),
        (KNOWN_HEAD_FIELDS_MAX, 1, False),
        (0, KNOWN_HEAD_FIELDS_MAX, True),
        (0, KNOWN_HEAD_FIELDS_MAX + 1, False),
        (KNOWN_HEAD_FIELDS_MAX // 2, KNOWN_HEAD_FIELDS_MAX // 2, True),
        (KNOWN_HEAD_FIELDS_MAX // 2, KNOWN_HEAD_FIELDS_MAX // 2 + 1, False),
    ],
)
def test_a_head_of_many_fields_is_not_remembered(headers_count, parameters_count, is_known):
    """Headers and parameters take far more memory than bytes on the wire, so their number is limited too."""
    made = dispatcher()
    query = "&".join(f"a{number}" for number in range(parameters_count))
    headers = {f"X-{number}": "" for number in range(headers_count)}
    made.learn(b"a", head_of(made, f"/v1/thing/a?{query}", headers=headers))
    assert bool(made.known) is is_known
