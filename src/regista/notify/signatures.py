"""How a receiver can tell that a delivery is ours, whole, and not an old one that somebody repeats. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

SIGNATURE_HEADER = "X-Regista-Signature"


def sign(secrets: Iterable[str], *, event: str, body: bytes, at_s: int) -> str:
    """The value of the header: `t=<unix seconds>,v1=<hex>`, with a `v1` for each secret that counts.

    Each is the HMAC-SHA-256 of `t.id.body`, so that neither time nor id can be changed either.

    Args:
        event: the event's id.
    """
    message = b"%d.%b.%b" % (at_s, event.encode(), body)
    signatures = (hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in secrets)
    return ",".join((f"t={at_s}", *(f"v1={each}" for each in signatures)))
