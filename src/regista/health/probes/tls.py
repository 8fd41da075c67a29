"""TLS of the probes: what they trust, and what went wrong in the words of Go's programs."""

from __future__ import annotations

import functools
import ssl

_CERTIFICATE_WORDS = {
    10: "x509: certificate has expired or is not yet valid",
    18: "x509: certificate signed by unknown authority",
    19: "x509: certificate signed by unknown authority",
    20: "x509: certificate signed by unknown authority",
    21: "x509: certificate signed by unknown authority",
}
"""By OpenSSL's verification codes: expired, self-signed, self-signed in the chain, issuer unknown (twice)."""


@functools.lru_cache(maxsize=8)
def tls_context(*, is_verified: bool, protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
    """What to trust: the system's authorities, as they were at first use, or anybody.

    Args:
        protocols: those that are offered by ALPN.
    """
    context = ssl.create_default_context()
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def certificate_problem(problem: ssl.SSLCertVerificationError) -> str:
    """Why a certificate was not accepted."""
    words = _CERTIFICATE_WORDS.get(problem.verify_code, f"x509: {problem.verify_message}")
    return f"tls: failed to verify certificate: {words}"


def tls_problem(problem: ssl.SSLError) -> str:
    """Why a handshake failed."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        return certificate_problem(problem)
    if problem.reason == "WRONG_VERSION_NUMBER":
        return "tls: first record does not look like a TLS handshake"
    return f"tls: handshake failure: {problem.reason or problem}".lower().replace("_", " ")
