"""HCL text as the plain values that the same configuration has in JSON.

Consul's files are HCL 1; the parser here reads HCL 2. For configuration without expressions they differ in one
thing that people write: HCL 1 allows quoted names in blocks (`node_meta { "x-y" = "1" }`), HCL 2 only in objects
(`node_meta = { "x-y" = "1" }`). The message for that says so.

python-hcl2 8 gives strings with their quotes and escapes, and expressions as `${…}` without quotes, so the two
can be told apart; and blocks as lists of objects that carry a mark.
"""

from __future__ import annotations

from typing import Any

import hcl2
from hcl2.const import IS_BLOCK
from hcl2.utils import process_escape_sequences
from lark.exceptions import LarkError, UnexpectedInput, UnexpectedToken

from regista.model import ConfigError

LISTS = frozenset({"services", "checks", "watches", "upstreams", "paths", "segments", "bootstrap"})
"""Where blocks of this name stand for a list, even a single one; elsewhere a single block is an object."""

_OPTIONS = hcl2.SerializationOptions(
    with_comments=False, preserve_heredocs=False, preserve_scientific_notation=False
)


def decode_hcl(text: str) -> dict[str, Any]:
    """The object that `text` describes.

    Raises:
        ConfigError: it is not HCL, or it uses expressions, which have no meaning in a configuration.
    """
    try:
        document = hcl2.loads(text, serialization_options=_OPTIONS)
    except UnexpectedInput as error:
        raise ConfigError(_syntax_text(error)) from error
    except (LarkError, RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(f"it is not valid HCL: {error}") from error
    content = _plain(document, "")
    assert isinstance(content, dict)
    return content


def _syntax_text(error: UnexpectedInput) -> str:
    problem = f"line {error.line}, column {error.column}: this is not valid HCL"
    if isinstance(error, UnexpectedToken):
        if error.token.type == "DBLQUOTE":
            return f'{problem}; in a block, names stand without quotes. Write name = {{ "x-y" = "1" }} instead.'
        shown = str(error.token).strip().split("\n", maxsplit=1)[0][:20]
        if error.token.type == "COMMA":
            return f"{problem}; in a block, write each value on its own line, without a comma."
        if shown:
            return f'{problem}, at "{shown}".'
    return f"{problem}."


def _plain(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        content: dict[str, Any] = {}
        for raw_name, item in value.items():
            if raw_name == IS_BLOCK:
                continue
            name = _text(raw_name) if raw_name.startswith('"') else raw_name
            content[name] = _plain_item(name, item, f"{path}.{name}" if path else name)
        return content
    if isinstance(value, list):
        return [_plain(item, path) for item in value]
    if isinstance(value, str):
        if not value.startswith('"'):
            raise ConfigError(f"{path}: expressions such as {value} are not understood; write the value itself.")
        return _text(value)
    return value


def _plain_item(name: str, item: Any, path: str) -> Any:
    is_blocks = isinstance(item, list) and all(isinstance(part, dict) and IS_BLOCK in part for part in item)
    if is_blocks and len(item) == 1 and name.lower() not in LISTS:
        return _plain(item[0], path)
    return _plain(item, path)


def _text(quoted: str) -> str:
    return process_escape_sequences(quoted[1:-1])
