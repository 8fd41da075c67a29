"""Texts with words in braces, `{service} has {healthy} instances`: no code, no formats, no attributes.

`{{` and `}}` stand for a brace.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from regista.model import BadInput

TEXT_CHARACTERS_MAX = 4096
"""Of a text that was filled in; the largest that Slack shows of a message, and mail servers mind no line of it."""

_WORD_SHOWN_CHARACTERS = 64
"""Of a word that is not known; enough to find it by."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def check_template(text: str, words: Collection[str], *, field: str) -> None:
    """Makes sure that a text can be filled in.

    Args:
        words: those that will be known.

    Raises:
        BadInput: it names another word, or a brace has no partner.
    """
    for part in _PART.finditer(text):
        if part[0] in ("{{", "}}"):
            continue
        if part[1] is None:
            raise BadInput(
                f"Invalid {field}: the brace at character {part.start() + 1} has no partner; a brace itself is "
                "written twice",
                field=field,
            )
        if part[1] not in words:
            raise BadInput(
                f"Invalid {field}: nothing is known as {part[0][:_WORD_SHOWN_CHARACTERS]} here; there are "
                f"{', '.join(f'{{{word}}}' for word in sorted(words))}",
                field=field,
            )


def fill_template(text: str, words: Mapping[str, str]) -> str:
    """The text with its words filled in, cut to what may be sent.

    Raises:
        KeyError: a word is not known; `check_template` would have refused it.
    """

    def fill(part: re.Match[str]) -> str:
        if part[1] is None:
            return part[0][0]
        return words[part[1]]

    return cut(_PART.sub(fill, text))


def cut(text: str) -> str:
    """At the most `TEXT_CHARACTERS_MAX` of it."""
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"
