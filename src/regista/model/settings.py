"""How a room declares its settings: a frozen dataclass whose fields carry their own documentation.

The configuration file's reader, the command line's help and the configuration reference are all made from
these fields, so a setting is described once, where it is used.
"""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class SettingDoc:
    """What a person needs to know of a setting.

    Attributes:
        text: a sentence on what it does, and what raising and lowering it changes.
        unit: `s` for durations (text such as `"10s"` in files), `bytes`, or "" for counts and words.
        at_least, at_most: bounds, both allowed values; None for unbounded.
    """

    text: str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None


def setting(
    default: Any, text: str, *, unit: str = "", at_least: float | None = None, at_most: float | None = None
) -> Any:
    """A dataclass field for a setting; its type is the annotation's."""
    return dataclasses.field(default=default, metadata={"setting": SettingDoc(text, unit, at_least, at_most)})


def setting_doc(field: dataclasses.Field[Any]) -> SettingDoc:
    """The documentation of a field made by `setting`.

    Raises:
        KeyError: the field was made some other way; a room's settings must all be documented.
    """
    doc = field.metadata["setting"]
    assert isinstance(doc, SettingDoc)
    return doc
