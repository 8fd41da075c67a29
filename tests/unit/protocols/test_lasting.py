"""Forms: a response's bytes, made once."""

import pytest

from regista.protocols.http import Response
from regista.protocols.http.lasting import Form
from regista.protocols.http.wire import encode_response, response_form

EARLIER = "Mon, 01 Jan 2024 00:00:00 GMT"
LATER = "Mon, 01 Jan 2024 00:00:01 GMT"

BODY = b'{"Date: x": 1}\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n' * 100


@pytest.mark.parametrize("accepts_gzip", [False, True])
@pytest.mark.parametrize("is_head", [False, True])
@pytest.mark.parametrize(
    "response", [Response(200, BODY, "text/plain"), Response(204), Response(404, b"x", "a/b")]
)
def test_a_form_is_the_response_with_the_date_of_now(response, is_head, accepts_gzip):
    """At each date a form has the bytes that would be made then, whatever the body looks like."""
    asked = {"is_head": is_head, "accepts_gzip": accepts_gzip}
    form = response_form(response, **asked, date=EARLIER)
    for date in (EARLIER, LATER, LATER, EARLIER):
        assert form.at(date) == encode_response(response, **asked, date=date)
        assert len(form) == len(form.at(date))


def test_a_response_that_is_given_again_is_made_once_for_each_way_of_asking():
    """The same form is given to all who ask the same way, and the bytes are the same object within a second."""
    response = Response(200, BODY, "text/plain", forms={})
    ways = [{"is_head": head, "accepts_gzip": gzip} for head in (False, True) for gzip in (False, True)]
    forms = [response_form(response, **way, date=EARLIER) for way in ways]
    assert len(set(forms)) == 4
    for way, form in zip(ways, forms, strict=True):
        assert response_form(response, **way, date=LATER) is form
        assert form.at(LATER) is form.at(LATER)


def test_a_single_response_keeps_no_form():
    """A response that is not given again is made each time."""
    response = Response(200, BODY, "text/plain")
    asked = {"is_head": False, "accepts_gzip": False, "date": EARLIER}
    assert response_form(response, **asked) is not response_form(response, **asked)


def test_a_date_of_another_length_is_a_programmers_error():
    """All dates of HTTP have 29 characters."""
    with pytest.raises(AssertionError):
        Form(EARLIER.encode(), date=EARLIER, date_at=0).at("now")
