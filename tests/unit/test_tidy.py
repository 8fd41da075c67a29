"""The walls of the house: sizes, clocks, broad handlers, words. Each failure says what to do about it.

The lists of exceptions below only ever get shorter: an entry that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "regista").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MODULE_LINES_MAX = 600
MODULE_LINES_WALL = 900
FUNCTION_LINES_MAX = 70
CLASS_LINES_MAX = 300

LONG_FUNCTIONS: dict[str, int] = {}
"""`path:name` and the lines that it may have until it is split."""

LONG_CLASSES: dict[str, int] = {}
"""As `LONG_FUNCTIONS`."""

BROAD_HANDLERS = {
    "health/timer.py": "what is due once and fails must not keep all that is due later from being done",
    "notify/alert_apprise_calls.py": "each of the library's many services fails in its own way, and tells the URL",
    "notify/alert_engine.py": "a beat that fails must not be the last that looks for alerts",
    "protocols/dns/server.py": "a question that fails must not keep the loop from reading the next",
    "protocols/http/dispatch.py": "a door's outermost handler",
    "store/sqlite.py": "the writer thread hands an error to whoever asked for the job",
}
"""Where anything may be caught, and why: a task's supervisor, a door's outermost handler, the end of a thread."""

CLOCK_ROOMS = ("agent", "cli")
"""The rooms that own the clock and the dice, and give them to the others."""

_CLOCK_CALLS = re.compile(
    r"^(time\.(time|time_ns|monotonic|monotonic_ns|perf_counter|sleep)|random\.\w+|datetime\.(now|utcnow|today)|datetime\.datetime\.(now|utcnow|today))$"
)

_ADVICE = re.compile(
    r"\b(add|ask|change|check|choose|close|decide|delete|free|give|install|leave|lower|make|mend|move|name|put|raise|"
    r"read|register|remove|rename|restore|run|send|set|shorten|spell|split|start|stop|take|try|use|wait|write)\b",
    re.IGNORECASE,
)

ADVISING_ERRORS = (
    "Forbidden",
    "StaleIncarnation",
    "StoreDamaged",
    "StoreInUse",
    "StoreTooNew",
    "StoreUnavailable",
)
"""Errors whose reader has to do something; the others' texts say what is wrong with a request, which is enough."""


def _name(path: Path) -> str:
    return path.relative_to(ROOT / "src" / "regista").as_posix()


def _test_name(path: Path) -> str:
    return path.relative_to(ROOT / "tests").as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


each_source = pytest.mark.parametrize("path", SOURCES, ids=_name)
each_test_module = pytest.mark.parametrize("path", TESTS, ids=_test_name)


@each_source
def test_modules_are_short(path):
    """A module has at most 600 lines, or its docstring says why it has more; 900 is the wall."""
    lines = len(path.read_text().splitlines())
    docstring = ast.get_docstring(_tree(path)) or ""
    assert lines <= MODULE_LINES_WALL, f"{_name(path)} has {lines} lines. Split it along its ideas."
    assert lines <= MODULE_LINES_MAX or "lines" in docstring, (
        f"{_name(path)} has {lines} lines. Split it, or say in its docstring why it has more than {MODULE_LINES_MAX} lines."
    )


@each_source
def test_functions_are_short(path):
    """A function has at most 70 lines."""
    for function in _functions(_tree(path)):
        name = f"{_name(path)}:{function.name}"
        most = LONG_FUNCTIONS.get(name, FUNCTION_LINES_MAX)
        assert _lines(function) <= most, (
            f"{name} has {_lines(function)} lines; {most} is the wall. Give loops and arithmetic to functions of "
            "their own and keep the branches here."
        )
        assert name not in LONG_FUNCTIONS or _lines(function) > FUNCTION_LINES_MAX, (
            f"{name} is short enough now. Take it off LONG_FUNCTIONS."
        )


@each_source
def test_classes_are_short(path):
    """A class has at most 300 lines."""
    for each in ast.walk(_tree(path)):
        if isinstance(each, ast.ClassDef):
            name = f"{_name(path)}:{each.name}"
            most = LONG_CLASSES.get(name, CLASS_LINES_MAX)
            assert _lines(each) <= most, (
                f"{name} has {_lines(each)} lines; {most} is the wall. Move what has a state of its own to a class "
                "of its own."
            )
            assert name not in LONG_CLASSES or _lines(each) > CLASS_LINES_MAX, (
                f"{name} is short enough now. Take it off LONG_CLASSES."
            )


def _is_broad(handler: ast.ExceptHandler) -> bool:
    """Whether it keeps whatever comes; one that raises it again at its end keeps nothing."""
    if isinstance(handler.body[-1], ast.Raise):
        return False
    names = (
        [each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)]
        if handler.type
        else ["BaseException"]
    )
    return bool({"Exception", "BaseException"} & set(names))


def test_only_named_places_catch_everything():
    """`except Exception` stands only where BROAD_HANDLERS says, for the reason given there."""
    found = {
        _name(path)
        for path in SOURCES
        for handler in ast.walk(_tree(path))
        if isinstance(handler, ast.ExceptHandler) and _is_broad(handler)
    }
    assert found <= BROAD_HANDLERS.keys(), (
        f"{sorted(found - BROAD_HANDLERS.keys())} catch everything. Catch what can be dealt with there and let the "
        "rest go to the supervisor; a new supervisor goes on BROAD_HANDLERS with its reason."
    )
    assert found >= BROAD_HANDLERS.keys(), (
        f"{sorted(BROAD_HANDLERS.keys() - found)} catch no longer everything. Take them off BROAD_HANDLERS."
    )


@each_source
def test_clocks_and_dice_are_given(path):
    """Only the agent and the command line call a clock or a random source; all others are given theirs."""
    if _name(path).split("/")[0] in CLOCK_ROOMS:
        return
    for call in ast.walk(_tree(path)):
        if isinstance(call, ast.Call) and _CLOCK_CALLS.match(ast.unparse(call.func)):
            raise AssertionError(
                f"{_name(path)}:{call.lineno} calls {ast.unparse(call.func)}. Take the clock or the random source as an "
                "argument, so that a test and a simulation can hold it."
            )
        if isinstance(call, ast.ImportFrom) and call.module in ("time", "random"):
            raise AssertionError(
                f"{_name(path)}:{call.lineno} imports from {call.module}. Import the module, or better none."
            )


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_is_left_to_do_in_comments(path):
    """What is still open stands in an issue, where somebody sees it."""
    words = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        assert not words.search(line), f"{path.name}:{number} leaves something to do. Do it, or open an issue."


@each_source
def test_imports_stand_at_the_top(path):
    """No function imports: that would hide a cycle, or a room that knows what it should not."""
    for function in _functions(_tree(path)):
        for node in ast.walk(function):
            assert not isinstance(node, ast.Import | ast.ImportFrom), (
                f"{_name(path)}:{node.lineno} imports inside {function.name}. Import at the top; if that makes a cycle, "
                "the two modules are one, or a third is missing."
            )


@each_source
def test_every_module_says_what_it_is(path):
    """Each module and each package says in its first line what lives in it."""
    docstring = ast.get_docstring(_tree(path))
    assert docstring, f"{_name(path)} has no docstring. Say what lives in it, and what it must not know."


@each_test_module
def test_every_test_says_what_it_proves(path):
    """A test's docstring is the sentence it proves."""
    for function in _functions(_tree(path)):
        if function.name.startswith("test_"):
            docstring = ast.get_docstring(function)
            assert docstring, f"{path.name}:{function.name} has no docstring. Write the sentence that it proves."
            assert docstring.rstrip().endswith((".", "!", "?", ":")), (
                f"{path.name}:{function.name}: the docstring is no sentence. Write what it proves, with a full stop."
            )


_BARE_EXCUSES = re.compile(
    r"#\s*(?:type:\s*ignore(?:\[[^\]]*\])?|noqa(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?)\s*$"
)
_BLANKET_EXCUSES = re.compile(r"#\s*(?:type:\s*ignore(?!\[)|noqa(?!:))")


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_excuse_has_a_reason(path):
    """Where a checker is told to look away, the line names the rule and says why."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        assert not _BARE_EXCUSES.search(line), (
            f"{path.name}:{number} tells a checker to look away. Say why on the same line, or mend what it found."
        )
        assert not _BLANKET_EXCUSES.search(line) or "_EXCUSES" in line, (
            f"{path.name}:{number} tells a checker to look away from everything. Name the rule."
        )


def _texts(call: ast.Call) -> str:
    """The literal text in the first argument of a call; "" where another function makes the text."""
    if not call.args or not isinstance(call.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
        return ""
    parts = (each.value for each in ast.walk(call.args[0]) if isinstance(each, ast.Constant))
    return " ".join(part for part in parts if isinstance(part, str))


@each_source
def test_errors_say_what_to_do(path):
    """The text of an error that somebody has to act on names an action."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ADVISING_ERRORS:
            text = _texts(node)
            assert not text or _ADVICE.search(text), (
                f"{_name(path)}:{node.lineno}: {node.func.id} says only what is wrong ({text!r}). Say what to do next."
            )


def test_tests_need_no_packages():
    """Tests are found by path, so there is no __init__.py among them that would make two of one name clash."""
    found = [path for path in TESTS if path.name == "__init__.py"]
    assert not found, (
        f"Delete {', '.join(map(str, found))}; pytest imports tests by path (--import-mode=importlib)."
    )


@pytest.mark.parametrize(
    "path",
    [path for path in TESTS if _test_name(path).startswith(("unit/", "contract/test_store"))],
    ids=_test_name,
)
def test_tests_do_not_sleep(path):
    """A test without a network waits for what it needs, not for a time; `asyncio.sleep(0)` only lets others run."""
    for call in ast.walk(_tree(path)):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in ("time.sleep", "asyncio.sleep"):
            assert ast.unparse(call) == "asyncio.sleep(0)", (
                f"{path.name}:{call.lineno} sleeps. Wait for the event itself, or hold the clock."
            )
