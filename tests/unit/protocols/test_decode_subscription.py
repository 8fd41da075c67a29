"""A subscription as somebody writes it; what is wrong with one over HTTP is in the integration tests."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import BadInput, Subscription
from regista.protocols.native.decode_subscription import decode_subscription

SECRET = "a secret of thirty-two characters"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
fields = st.sampled_from(["url", "name", "types", "tags", "key_prefix", "secret", "headers", "enabled", "other"])


def decode(body, *, is_new=True, host_problem=lambda _: ""):
    body = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return decode_subscription(body, "s1", is_new=is_new, host_problem=host_problem)


def decoded(body, **options):
    """The subscription, or what is wrong with it."""
    try:
        return decode(body, **options)
    except BadInput as error:
        return error


@given(st.dictionaries(fields, json_values, max_size=6), st.booleans())
def test_any_body_is_a_subscription_or_a_mistake_of_the_caller(changes, is_new):
    """No value of any field breaks it, and no error repeats a secret."""
    found = decoded({"url": "http://example.com/", "secret": SECRET, **changes}, is_new=is_new)
    assert isinstance(found, Subscription) or SECRET not in str(found)


@given(st.binary(max_size=40))
def test_any_bytes(body):
    """What is no JSON is refused as such."""
    with pytest.raises(BadInput):
        decode(body)


@given(st.text(st.characters(max_codepoint=127), max_size=30))
def test_any_url(rest):
    """It is taken with a host, or refused by the name of the field."""
    found = decoded({"url": f"http://{rest}", "secret": SECRET})
    assert found.field == "url" if isinstance(found, BadInput) else found.url == f"http://{rest}"


def test_what_is_to_stay_is_empty():
    """An answer that is sent back changes nothing: what stands for secrets, and what is only shown, means nothing."""
    shown = {
        "id": "another",
        "url": "http://***@example.com/?a=***",
        "secret": "set",
        "headers": {"Authorization-2": "set", "X-New": "new"},
        "previous_secret_until": None,
        "disabled_because": None,
        "created_index": 1,
        "modify_index": 1,
        "status": {},
    }
    found = decode(shown, is_new=False)
    assert (found.id, found.secret) == ("s1", "")
    assert found.headers == {"Authorization-2": "", "X-New": "new"}


def test_the_host_is_judged():
    """By whoever knows what may be sent to; the field is named."""
    asked = []
    with pytest.raises(BadInput, match=r"Invalid url: not there") as error:
        decode(
            {"url": "http://u:p@Example.com:80/x", "secret": SECRET},
            host_problem=lambda host: asked.append(host) or "not there",
        )
    assert (asked, error.value.field) == (["example.com"], "url")
