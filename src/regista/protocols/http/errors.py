"""What Regista's errors are in HTTP; the one place that knows."""

from __future__ import annotations

from regista.model import (
    BadInput,
    Compacted,
    Conflict,
    Contended,
    Forbidden,
    NotFound,
    Overloaded,
    RegistaError,
    Shed,
    StaleIncarnation,
    StoreError,
    TooLarge,
    TooSlow,
    UnknownEncoding,
)
from regista.protocols.http.messages import Headers, Response, text_response

STATUSES: tuple[tuple[type[RegistaError], int], ...] = (
    (BadInput, 400),
    (Forbidden, 403),
    (NotFound, 404),
    (TooSlow, 408),
    (StaleIncarnation, 409),
    (TooLarge, 413),
    (UnknownEncoding, 415),
    (Conflict, 409),
    (Contended, 409),
    (Shed, 503),
    (Overloaded, 429),
    (Compacted, 410),
    (StoreError, 503),
    (RegistaError, 500),
)
"""The first class that an error is an instance of gives its status."""

_RETRY_STORE_S = 1

_FIELD_CHARACTERS_MAX = 256
"""Longer than any field's path; a caller's own key may be as long as a body, and clients limit their heads."""


def error_response(error: RegistaError, headers: Headers = ()) -> Response:
    """The error as plain text with the fitting status, and with what a program needs to act on it."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    if isinstance(error, Overloaded):
        headers = (
            *headers,
            ("Retry-After", f"{max(1, round(error.retry_after_s))}"),
            ("X-Regista-Limit", error.limit),
            ("X-Regista-Limit-Used", str(error.used)),
            ("X-Regista-Limit-Max", str(error.most)),
        )
        if isinstance(error, Shed) and error.ends_connection:
            headers = (*headers, ("Connection", "close"))
            return text_response(status, str(error), headers, is_last=True)
    elif isinstance(error, TooLarge) and error.limit:
        headers = (*headers, *_limit_headers(error))
    elif isinstance(error, TooSlow):
        # What may still come of the body would be taken for another request.
        most = ("X-Regista-Limit-Max", f"{error.most:g}")
        headers = (*headers, ("X-Regista-Limit", error.limit), most, ("Connection", "close"))
        return text_response(status, str(error), headers, is_last=True)
    elif isinstance(error, Compacted):
        headers = (*headers, ("X-Regista-Floor-Index", str(error.floor_index)))
    elif isinstance(error, StoreError) and status == 503:
        headers = (*headers, ("Retry-After", str(_RETRY_STORE_S)))
    elif isinstance(error, BadInput) and error.field:
        headers = (*headers, ("X-Regista-Field", _header_value(error.field)))
    return text_response(status, str(error), headers)


def _limit_headers(error: TooLarge) -> Headers:
    used = (("X-Regista-Limit-Used", str(error.used)),) if error.used is not None else ()
    return (("X-Regista-Limit", error.limit), *used, ("X-Regista-Limit-Max", str(error.limit_bytes)))


def _header_value(text: str) -> str:
    """`text` as a header may hold it: a caller's own key may have line breaks in it."""
    return "".join(each if " " <= each <= "~" else "?" for each in text[:_FIELD_CHARACTERS_MAX])
