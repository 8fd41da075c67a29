"""How a receiver can tell that a delivery is ours."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from tests.receiver import check_signature

from regista.notify.signatures import SIGNATURE_HEADER, sign

texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


def test_the_form():
    """`t`, then a `v1` for each secret: the HMAC-SHA-256 of time, id and body with points between."""
    wanted = hmac.new(b"secret", b'1000.42.0.{"a":1}', hashlib.sha256).hexdigest()
    found = sign(("secret", "other"), event="42.0", body=b'{"a":1}', at_s=1000)
    assert found.startswith(f"t=1000,v1={wanted},v1=")
    assert len(found) == len("t=1000") + 2 * len(",v1=") + 2 * 64


@given(st.lists(texts, min_size=1, max_size=2, unique=True), texts, st.binary(max_size=50), st.integers(0, 2**40))
def test_a_receiver_that_knows_any_of_the_secrets_finds_it_right(secrets, event, body, at_s):
    """And wrong with any other secret, body, id or time."""
    headers = {SIGNATURE_HEADER: sign(secrets, event=event, body=body, at_s=at_s), "X-Regista-Delivery": event}
    assert all(check_signature(each, headers, body, now_s=at_s) for each in secrets)
    assert not check_signature("x" + secrets[0] + secrets[-1], headers, body, now_s=at_s)
    assert not check_signature(secrets[0], headers, body + b"x", now_s=at_s)
    assert not check_signature(secrets[0], {**headers, "X-Regista-Delivery": event + "1"}, body, now_s=at_s)
    later = headers[SIGNATURE_HEADER].replace(f"t={at_s},", f"t={at_s + 1},")
    assert not check_signature(secrets[0], {**headers, SIGNATURE_HEADER: later}, body, now_s=at_s)
    assert not check_signature(secrets[0], headers, body, now_s=at_s + 301)
