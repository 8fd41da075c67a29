"""Parameters that several native paths take."""

from __future__ import annotations

from regista.model import BadInput
from regista.protocols.http import Parameter, Request

PRETTY = Parameter("pretty", "Indents the answer.", "boolean")

_DIGITS_MAX = 9
"""More than any limit has, and few enough for a number to be made of them without a thought."""


def read_limit(request: Request, *, default: int, least: int, most: int) -> int:
    """How many are wanted, by the parameter `limit`.

    Raises:
        BadInput: it is no whole number from `least` to `most`.
    """
    text = request.parameters.first("limit", str(default))
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX
    if not is_number or not least <= int(text) <= most:
        raise BadInput(f"Invalid limit: it is a whole number from {least} to {most}", field="limit")
    return int(text)
