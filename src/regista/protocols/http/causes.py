"""Who is behind a request, as the log keeps it."""

from __future__ import annotations

from regista.model import Cause, caused_by
from regista.protocols.http.messages import Request
from regista.protocols.http.routes import Parameter

REASON = Parameter("reason", "Why, in the caller's words; kept in the history.")


def request_cause(request: Request) -> Cause:
    """The cause of what this request writes: the caller's address, what was called, and the caller's reason.

    The query string is not part of it, for that may hold a token.
    """
    return caused_by(
        "request",
        source=request.client,
        path=f"{request.method} {request.path}",
        reason=request.parameters.first("reason"),
    )
