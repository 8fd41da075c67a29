"""The tree of errors is drawn, whole, and exported."""

from __future__ import annotations

import inspect
import re

import pytest

from regista import model
from regista.model import errors

_CLASSES = {name: each for name, each in vars(errors).items() if inspect.isclass(each)}
_LINE = re.compile(r"^    (?P<branches>[│ ├└─]*)(?P<name>[A-Z]\w+)(?: {2,}(?P<words>\S.*))?$", re.MULTILINE)

# The facts that some errors carry, to build one of each.
_FACTS = {
    "StaleIncarnation": {"incarnation": "6f2c"},
    "TooLarge": {"limit_bytes": 1},
    "TooSlow": {"limit": "http.body_stall", "most": 30.0},
    "Conflict": {"index": 7},
}


def _drawn() -> dict[str, str]:
    """Each class in the drawing and the class it hangs from; the root hangs from Exception."""
    above = ["Exception"]
    parents = {}
    for line in _LINE.finditer(errors.__doc__):
        depth = len(line["branches"]) // 4 + 1
        del above[depth:]
        parents[line["name"]] = above[-1]
        above.append(line["name"])
    return parents


def test_the_drawing_is_the_tree():
    """Every class stands in the drawing at the top of the module, under the class it derives from."""
    assert _drawn() == {name: each.__base__.__name__ for name, each in _CLASSES.items()}


def test_every_leaf_is_explained_in_the_drawing():
    """Every class that is raised has a few words in the drawing."""
    parents = set(_drawn().values())
    for line in _LINE.finditer(errors.__doc__):
        assert line["words"] or line["name"] in parents, f"Say in the drawing what {line['name']} means."


@pytest.mark.parametrize("name", _CLASSES)
def test_every_error_is_exported(name):
    """Other rooms take every error from `regista.model`."""
    assert getattr(model, name) is _CLASSES[name]
    assert name in model.__all__


@pytest.mark.parametrize(
    "name", sorted(_CLASSES.keys() - {"Overloaded", "Shed", "Compacted"})
)  # these make their own text
def test_every_error_keeps_its_text(name):
    """The text given to an error is the text it shows, whatever facts go with it."""
    error = _CLASSES[name]("Turn it off and on again.", **_FACTS.get(name, {}))
    assert str(error) == "Turn it off and on again."
    for field, value in _FACTS.get(name, {}).items():
        assert getattr(error, field) == value


def test_overloaded_says_all_four_facts():
    """A refusal for a limit names the limit, how much of it is used, how much there is, and when to come back."""
    error = errors.Overloaded("store.commit_queue_max", used=8, most=9, retry_after_s=2.5)
    for fact in ("store.commit_queue_max", "8 of 9", "2.5s", "raise"):
        assert fact in str(error)
    assert (error.limit, error.used, error.most, error.retry_after_s) == ("store.commit_queue_max", 8, 9, 2.5)


def test_one_who_is_shed_is_told_for_whom():
    """It is a limit like others, and what is preferred to the request is told besides."""
    error = errors.Shed("overload.lag", used=8, most=9, load="list")
    for fact in ("overload.lag", "8 of 9", "5s", "class list", "renewals"):
        assert fact in str(error)
    assert (error.limit, error.used, error.most, error.load) == ("overload.lag", 8, 9, "list")


def test_compacted_says_where_the_log_begins():
    """A reader who comes too late is told from where it can go on, and what to do."""
    error = errors.Compacted(floor_index=41)
    assert error.floor_index == 41
    assert "41" in str(error)
    assert "read again" in str(error)
