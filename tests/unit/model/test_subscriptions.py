"""What shows of a subscription."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import Subscription, without_credentials, without_secrets

SECRET = "s3cr3t"

words = st.text("abc/:.-_~", max_size=5)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hook", "https://example.com/hook"),
        ("https://user:s3cr3t@example.com:8443/hook", "https://***@example.com:8443/hook"),
        ("https://s3cr3t@example.com", "https://***@example.com"),
        ("https://a@s3cr3t@example.com/", "https://***@example.com/"),
        ("https://example.com/?token=s3cr3t&a=&b", "https://example.com/?token=***&a=***&***"),
        ("https://example.com?s3cr3t", "https://example.com?***"),
        ("https://example.com/a@b", "https://example.com/a@b"),
        ("https://example.com/#s3cr3t", "https://example.com/#"),
    ],
)
def test_what_shows_of_a_url(url, shown):
    """Host and path; neither user and password, nor the values of the query."""
    assert without_credentials(url) == shown
    assert without_credentials(shown) == shown


@given(
    words,
    words,
    st.sampled_from(["{0}@", "u:{0}@", "{0}:p@"]),
    st.sampled_from(["", "?a={0}", "?{0}", "?a&b={0}"]),
)
def test_nothing_secret_is_left(host, path, credentials, query):
    """Wherever in credentials or query it stands."""
    url = f"https://{credentials.format(SECRET)}h{host.replace('/', '')}/{path}{query.format(SECRET)}"
    subscription = Subscription(
        id="s1",
        url=url,
        secret=SECRET,
        previous_secret=SECRET,
        headers={"X-Key": SECRET, "X-Other": f"a {SECRET}"},
    )
    told = msgspec.json.encode(without_secrets(subscription)).decode()
    assert SECRET not in told
    assert '"secret":"set"' in told
