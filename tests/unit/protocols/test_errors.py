"""Errors as HTTP: walks the tree of errors, so that none is forgotten."""

import inspect

import pytest

from regista.model import (
    BadInput,
    CallerError,
    Compacted,
    ConfigError,
    Conflict,
    Overloaded,
    RegistaError,
    StaleIncarnation,
    StateError,
    StoreError,
    StoreUnavailable,
    TooLarge,
    TooSlow,
)
from regista.protocols.http import error_response
from regista.protocols.http.errors import STATUSES


def classes_below(root):
    return [root, *(each for child in root.__subclasses__() for each in classes_below(child))]


def example_of(kind):
    """An error of this class, made with what its constructor asks for."""
    facts = {"limit": "http.waiting_max", "used": 5, "most": 5, "index": 7, "floor_index": 7, "limit_bytes": 9}
    facts |= {"problem": "the text", "incarnation": "i1", "load": "list"}
    arguments = {}
    parameters = inspect.signature(kind.__init__).parameters
    for name, parameter in parameters.items():
        if name in facts:
            arguments[name] = facts[name]
        elif parameter.default is parameter.empty and name not in ("self", "args", "kwargs"):
            pytest.fail(f"this test does not know what {kind.__name__} wants as {name}")
    by_place = [name for name in arguments if parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    positional = [arguments.pop(name) for name in by_place]
    return kind(*positional, **arguments) if positional or arguments else kind("the text")


@pytest.mark.parametrize("kind", classes_below(RegistaError))
def test_every_error_has_a_status_and_its_own_text(kind):
    """Every class in the tree of errors becomes a 4xx or 5xx in plain text, with what the error says."""
    error = example_of(kind)
    response = error_response(error)
    assert 400 <= response.status < 600
    assert response.body.decode() == str(error)
    assert response.content_type == "text/plain; charset=utf-8"


@pytest.mark.parametrize("kind", classes_below(CallerError)[1:])
def test_a_callers_mistake_is_a_4xx(kind):
    """Whatever is the caller's fault is told with a status that says so."""
    assert 400 <= error_response(example_of(kind)).status < 500


@pytest.mark.parametrize("kind", [*classes_below(CallerError)[1:], *classes_below(StateError)[1:]])
def test_every_named_mistake_has_a_line_of_its_own(kind):
    """A leaf of the caller's and the state's branches is in the table itself, not caught by its parent's line."""
    assert kind in [listed for listed, _ in STATUSES]


@pytest.mark.parametrize("kind", [each for each in classes_below(StoreError) if each is not Compacted])
def test_what_the_store_cannot_do_is_a_503_that_may_be_tried_again(kind):
    """The store's faults are 503 with Retry-After."""
    response = error_response(example_of(kind))
    assert response.status == 503
    assert int(dict(response.headers)["Retry-After"]) > 0


def test_the_order_of_the_table_hides_nothing():
    """No line of the table stands behind one that catches all its errors."""
    for position, (kind, _) in enumerate(STATUSES):
        assert not any(issubclass(kind, earlier) for earlier, _ in STATUSES[:position]), kind


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInput("x"), 400),
        (StaleIncarnation("x", incarnation="i"), 409),
        (TooLarge("x", limit_bytes=1), 413),
        (TooSlow("x", limit="http.body_stall", most=30), 408),
        (Conflict("x", index=1), 409),
        (Overloaded("http.waiting_max", used=1, most=1), 429),
        (Compacted(floor_index=1), 410),
        (StoreUnavailable("x"), 503),
        (ConfigError("x"), 500),
    ],
)
def test_statuses_are_those_that_clients_act_on(error, status):
    """Clients act on these numbers, so they stay."""
    assert error_response(error).status == status


def test_a_limit_is_told_in_headers():
    """A program can read which limit is reached, how far, and when to try again."""
    headers = dict(error_response(Overloaded("http.waiting_max", used=5, most=4, retry_after_s=2.6)).headers)
    assert headers == {
        "Retry-After": "3",
        "X-Regista-Limit": "http.waiting_max",
        "X-Regista-Limit-Used": "5",
        "X-Regista-Limit-Max": "4",
    }


def test_what_is_too_large_is_told_in_headers():
    """Trying again would not help, so there is no word of when; how much there was may be unknown."""
    error = TooLarge("x", limit_bytes=10, limit="kv.value_bytes_max", used=11)
    assert dict(error_response(error).headers) == {
        "X-Regista-Limit": "kv.value_bytes_max",
        "X-Regista-Limit-Used": "11",
        "X-Regista-Limit-Max": "10",
    }
    unknown = TooLarge("x", limit_bytes=10, limit="kv.value_bytes_max")
    assert "X-Regista-Limit-Used" not in dict(error_response(unknown).headers)


def test_a_body_that_does_not_come_ends_its_connection():
    """Which setting says so and its value are told; what may still come is no request."""
    response = error_response(TooSlow("x", limit="http.body_stall", most=0.5))
    assert dict(response.headers) == {
        "X-Regista-Limit": "http.body_stall",
        "X-Regista-Limit-Max": "0.5",
        "Connection": "close",
    }
    assert response.is_last


def test_a_limit_that_frees_at_once_is_tried_again_after_a_second():
    """Retry-After is never 0, or clients would spin."""
    assert dict(error_response(Overloaded("a", used=1, most=1, retry_after_s=0.1)).headers)["Retry-After"] == "1"


def test_a_field_is_told_in_a_header():
    """A program can read which field is wrong."""
    assert error_response(BadInput("x", field="Check.TTL")).headers == (("X-Regista-Field", "Check.TTL"),)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("a\r\nSet-Cookie: b", "a??Set-Cookie: b"),
        ("é\x00\ud800", "???"),
        ("k" * 100_000, "k" * 256),
    ],
)
def test_a_callers_own_key_makes_no_header_of_its_own(field, value):
    """Line breaks, foreign characters and the length of a caller's key do not get into the head of the answer."""
    assert error_response(BadInput("x", field=field)).headers == (("X-Regista-Field", value),)


def test_headers_that_the_door_adds_are_kept():
    """What the door says beside the error stays."""
    headers = error_response(BadInput("x", field="index"), (("X-Consul-Index", "7"),)).headers
    assert headers == (("X-Consul-Index", "7"), ("X-Regista-Field", "index"))
