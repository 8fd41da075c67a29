"""Striking out of texts what looks like a secret, before people are sent them. Pure.

What a check said may quote a page, a command line or a connection string. The rules go by form, so they strike out
too much now and then, and can't know a secret that looks like any other word.
"""

from __future__ import annotations

import re

from regista.model import HIDDEN

_RULES = (
    # user:password@ of a URL
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,30}://)[^\s/@'\"]{1,512}@", re.IGNORECASE), rf"\1{HIDDEN}@"),
    # what follows the name of a scheme of HTTP's
    (re.compile(r"\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    # name=value and "name": "value"
    (
        re.compile(
            r"((?:password|passwd|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential"
            r"|authorization)[a-z0-9_-]{0,16}[\"']?\s{0,4}[=:]\s{0,4}[\"']?)[^\s\"'&,;]{1,512}",
            re.IGNORECASE,
        ),
        rf"\1{HIDDEN}",
    ),
    # a private key in PEM
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,32}PRIVATE KEY-----|$)", re.DOTALL
        ),
        HIDDEN,
    ),
)


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, shown in _RULES:
        text = pattern.sub(shown, text)
    return text
