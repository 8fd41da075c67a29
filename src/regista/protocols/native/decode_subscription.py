"""A subscription as somebody writes it: what is wrong with it is told by the name of its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from regista.catalog import EVENT_TYPES, types_like
from regista.model import SET, Subscription
from regista.protocols.native.bodies import decode_body, invalid

_NAME_CHARACTERS_MAX = 128
_URL_CHARACTERS_MAX = 2048
_WORDS_MAX = 64
_WORD_CHARACTERS_MAX = 256
_KEY_CHARACTERS_MAX = 512
_SECRET_CHARACTERS_MIN = 16
"""As many random letters and digits can't be guessed."""
_SECRET_CHARACTERS_MAX = 256
_HEADERS_MAX = 32
_HEADER_CHARACTERS_MAX = 4096

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
_OWN_HEADERS = frozenset(
    (
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    )
)
"""Those that Regista or HTTP itself sets; and all that begin with `X-Regista-`."""

_WORD_FIELDS = ("types", "services", "tags", "statuses", "nodes")


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    """What may be said; below `enabled`, what is shown and ignored, so that an answer can be sent back."""

    url: str
    name: str = ""
    types: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    key_prefix: str = ""
    secret: str = ""
    headers: dict[str, str] = {}
    after_index: int | None = None
    enabled: bool = True
    id: Any = None
    previous_secret_until: Any = None
    disabled_because: Any = None
    created_index: Any = None
    modify_index: Any = None
    status: Any = None


_decode = msgspec.json.Decoder(_Body).decode


def decode_subscription(
    body: bytes, subscription_id: str, *, is_new: bool, host_problem: Callable[[str], str]
) -> Subscription:
    """The subscription in a body. What is to stay as it is, is empty in it: the secret, values of headers.

    Args:
        is_new: whether there is nothing that could stay.
        host_problem: why nothing may be sent to a host; "" if it may.

    Raises:
        BadInput: it can't be used; names the field.
    """
    found = decode_body(body, _decode)
    _check_texts(found)
    # A URL as it is shown, with its secrets struck out, is looked at again when it is known what stands there.
    _check_url(found.url, host_problem)
    headers = _headers(found, is_new=is_new)
    if found.after_index is not None and not 0 <= found.after_index < 2**63:
        raise invalid("after_index", "it is an index, from 0 to that of the last transaction")
    return Subscription(
        id=subscription_id,
        url=found.url,
        secret=_secret(found.secret, is_new=is_new),
        name=found.name,
        types=found.types,
        services=found.services,
        tags=found.tags,
        statuses=found.statuses,
        nodes=found.nodes,
        key_prefix=found.key_prefix,
        after_index=found.after_index,
        headers=headers or None,
        is_enabled=found.enabled,
    )


def _check_texts(found: _Body) -> None:
    if len(found.name) > _NAME_CHARACTERS_MAX or not found.name.isprintable():
        raise invalid("name", f"it has at most {_NAME_CHARACTERS_MAX} characters, all printable")
    for field in _WORD_FIELDS:
        words: tuple[str, ...] = getattr(found, field)
        if len(words) > _WORDS_MAX:
            raise invalid(field, f"it lists {len(words)} things; at most {_WORDS_MAX}")
        if not all(0 < len(word) <= _WORD_CHARACTERS_MAX and word.isprintable() for word in words):
            problem = f"each of its words has from 1 to {_WORD_CHARACTERS_MAX} characters, all printable"
            raise invalid(field, problem)
    for word in found.types:
        if not types_like(word):
            raise invalid("types", f'there is no event of type "{word}"; there are {", ".join(EVENT_TYPES)}')
    if len(found.key_prefix) > _KEY_CHARACTERS_MAX:
        raise invalid("key_prefix", f"it has at most {_KEY_CHARACTERS_MAX} characters")


def _check_url(url: str, host_problem: Callable[[str], str]) -> None:
    if len(url) > _URL_CHARACTERS_MAX:
        raise invalid("url", f"it has at most {_URL_CHARACTERS_MAX} characters")
    if not re.fullmatch(r"[\x21-\x7e]+", url) or "\\" in url:
        raise invalid("url", "it has characters that a URL can't have; write them as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise invalid("url", "it is no URL such as https://example.com/hook") from None
    if parts.scheme not in ("http", "https"):
        raise invalid("url", "it begins with http:// or https://")
    if not parts.hostname or "%" in parts.hostname or port == 0:
        raise invalid("url", "it has no host and port that something can be sent to")
    if parts.fragment:
        raise invalid("url", "what follows # is never sent; leave it out")
    problem = host_problem(parts.hostname)
    if problem:
        raise invalid("url", problem)


def _secret(text: str, *, is_new: bool) -> str:
    if text in ("", SET):
        if is_new:
            raise invalid("secret", "give one, which deliveries are signed with: some 32 random characters")
        return ""
    if not (_SECRET_CHARACTERS_MIN <= len(text) <= _SECRET_CHARACTERS_MAX and text.isprintable()):
        bounds = f"from {_SECRET_CHARACTERS_MIN} to {_SECRET_CHARACTERS_MAX}"
        raise invalid("secret", f"it has {bounds} characters, all printable")
    return text


def _headers(found: _Body, *, is_new: bool) -> dict[str, str]:
    """The headers; those that are to stay are empty."""
    if len(found.headers) > _HEADERS_MAX:
        raise invalid("headers", f"there are {len(found.headers)}; at most {_HEADERS_MAX}")
    headers = {name: _header(name, value, is_new=is_new) for name, value in found.headers.items()}
    if len({name.lower() for name in headers}) < len(headers):
        raise invalid("headers", "one is there twice; names are the same in any case")
    if "@" in urlsplit(found.url).netloc and _has(headers, "authorization"):
        raise invalid("headers", "Authorization and credentials in the URL are one too many; leave one out")
    return headers


def _header(name: str, value: str, *, is_new: bool) -> str:
    shown = name[:128]
    if not _HEADER_NAME.fullmatch(name):
        raise invalid("headers", f'"{shown}" is no name of a header')
    if name.lower() in _OWN_HEADERS or name.lower().startswith("x-regista-"):
        raise invalid("headers", f"{shown} is set by Regista; leave it out")
    if value == SET and not is_new:
        return ""
    if len(value) > _HEADER_CHARACTERS_MAX or not _HEADER_VALUE.fullmatch(value):
        problem = f"the value of {shown} has from 1 to {_HEADER_CHARACTERS_MAX} characters of ASCII on one line"
        raise invalid("headers", problem)
    return value


def _has(headers: Mapping[str, str], name: str) -> bool:
    return any(each.lower() == name for each in headers)
