"""Causes are short, whatever their makers say."""

import pytest

from regista.model import CAUSE_KINDS, UNKNOWN_CAUSE, Cause, caused_by
from regista.model.causes import CAUSE_CHARACTERS_MAX


def test_texts_are_cut():
    """A text over the limit ends in an ellipsis; the log stays small whatever a caller sends."""
    cause = caused_by("request", source="s" * 5000, path="/" * CAUSE_CHARACTERS_MAX, reason="r" * 5000)
    assert len(cause.source) == len(cause.path) == len(cause.reason) == CAUSE_CHARACTERS_MAX
    assert cause.source.endswith("s…")
    assert cause.path.endswith("//")


def test_kinds_are_from_the_list():
    """Nobody invents a kind that readers of the history do not know."""
    with pytest.raises(AssertionError):
        caused_by("whim")
    assert Cause() == UNKNOWN_CAUSE
    assert UNKNOWN_CAUSE.kind in CAUSE_KINDS
