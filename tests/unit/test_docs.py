"""What the documentation says is there: routes, settings, commands, and the targets of its links."""

import re
import shlex
from pathlib import Path

import click
import pytest

from regista.agent import metrics_reference
from regista.agent.keys import KEYS
from regista.agent.routes import described_routes
from regista.agent.routes_reference import FILE as ROUTES_FILE
from regista.agent.routes_reference import render as render_routes
from regista.cli import main as regista
from regista.cli.commands import COMMANDS
from regista.protocols.consul.decode import SERVICE_FIELDS
from regista.protocols.consul.decode_check import CHECK_FIELDS

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md")],
    key=lambda page: page.as_posix(),
)

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_QUOTED = r"""'[^']*'|"(?:\\.|[^"\\])*\""""
_COMMAND = re.compile(
    rf"(?:^(?:\$ )?|[|;(]\s*)(?:\.venv/bin/)?regista ((?:{_QUOTED}|[^\n|;)<>&`'\"])*)", re.MULTILINE
)
_CURL = re.compile(r"curl ([^\n`|;]*?)http://127\.0\.0\.1:8500(/[^\s'\"?`]*)")
_METRIC = re.compile(r"\bregista_[a-z0-9_]+")
_VALUE = r"(an?|one|[\d,.]+) ?(KiB|MiB|bytes|ms|s|m|h|seconds?|minutes?|hours?|days?)?(?!\.?\w|%)"
_TOLD = re.compile(rf"`([a-z_]+(?:\.[a-z_]+)+)`(?:, | \(){_VALUE}| (?:{_VALUE}) \(`([a-z_]+(?:\.[a-z_]+)+)`\)")
_UNITS = {"KiB": 1024, "MiB": 1024**2, "ms": 0.001, "minute": 60, "m": 60, "hour": 3600, "h": 3600, "day": 86400}
_LEFT_OUT = {"health": "of", "alerts": "list"}
"""Groups whose command need not be said."""

_ROUTE = re.compile(r"^### ([A-Z]+(?: or [A-Z]+)*) (/\S*)$", re.MULTILINE)


def read(page):
    return page.read_text(encoding="utf-8")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCED.sub("", read(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def documented_routes():
    """Method and pattern of each heading; a pattern ends in `/` where the heading has a name in braces."""
    found = _ROUTE.findall(read(REFERENCE / "http-api.md"))
    return {(method, re.sub(r"\{\w+\}$", "", path)) for methods, path in found for method in methods.split(" or ")}


def test_every_route_is_documented_and_every_documented_route_exists():
    """docs/reference/http-api.md has a heading for each route, and for nothing else."""
    routes = {(route.method, route.pattern) for route in described_routes()}
    assert documented_routes() == routes


def test_the_table_of_routes_is_current():
    """docs/reference/routes.md is what the route table makes."""
    on_disk = read(ROOT / ROUTES_FILE)
    assert on_disk == render_routes(), (
        f"{ROUTES_FILE} is not current; run: python -m regista.agent.routes_reference"
    )


def test_every_route_says_what_it_takes():
    """Each route has a summary and, where its path goes on, a name for that; no parameter is named twice."""
    for route in described_routes():
        where = f"{route.method} {route.pattern}"
        assert route.summary, where
        assert bool(route.argument) == (route.pattern.endswith("/") and route.pattern != "/"), where
        names = [each.name for each in route.parameters]
        assert len(set(names)) == len(names), where


def test_every_field_of_a_registration_is_documented():
    """docs/reference/http-api.md names each field of an instance and of a check."""
    page = read(REFERENCE / "http-api.md")
    without_meaning = {"Token"}
    fields = sorted((SERVICE_FIELDS.keys() | CHECK_FIELDS.keys()) - without_meaning)
    assert [name for name in fields if f"`{name}`" not in page] == []


def test_every_setting_is_documented():
    """docs/reference/configuration.md names each key."""
    page = read(REFERENCE / "configuration.md")
    assert [path for path in KEYS if f"`{path}`" not in page] == []


def test_every_command_is_documented():
    """docs/reference/cli.md has each command."""
    page = read(REFERENCE / "cli.md")
    assert [name for name in COMMANDS if f"## regista {name}\n" not in page] == []


def test_every_setting_that_a_page_names_exists():
    """A setting that was renamed is renamed in the text too."""
    blocks = "|".join({path.partition(".")[0] for path in KEYS if "." in path})
    named = re.compile(rf"`((?:{blocks})\.[a-z_]+)`")
    wrong = [
        f"{page.relative_to(ROOT)}: {path}"
        for page in PAGES
        if page.name != "configuration.md"
        for path in named.findall(read(page))
        if path not in KEYS
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Each link to a file finds it, and each link to a heading finds that."""
    broken = []
    for target in _LINK.findall(_FENCED.sub("", read(page))):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def objection_to(words):
    """What the program says against a command line; "" for nothing. It is not run."""
    command, context = regista, click.Context(regista, info_name="regista")
    while isinstance(command, click.Group):
        name, *rest = words or ["--help"]
        if name in ("--help", "--version"):
            return ""
        if command.name in _LEFT_OUT and name not in command.commands:
            name, rest = _LEFT_OUT[command.name], words
        command, words = command.get_command(context, name), rest
        if command is None:
            return f"there is no command {name}"
        context = click.Context(command, info_name=name, parent=context)
    try:
        command.make_context(context.info_name, list(words), parent=context.parent)
    except click.exceptions.Exit:
        return ""
    except click.ClickException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_shows_is_understood(page):
    """What is shown as typed, and every example of a command's help, has a command's words and flags."""
    shown = "\n".join(_FENCED.findall(read(page).replace("\\\n", " ")))
    wrong = {
        line: objection
        for line in _COMMAND.findall(re.sub(r"(?m)^ +", "", shown))
        if (objection := objection_to(shlex.split(line, comments=True)))
    }
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_request_that_a_page_shows_has_a_route(page):
    """The method and path of each curl for the agent are those of a route."""
    routes = [(route.method, route.pattern) for route in described_routes()]
    wrong = []
    for flags, path in _CURL.findall(read(page).replace("\\\n", " ")):
        asked = re.search(r"-X ?([A-Z]+)", flags)
        method = asked[1] if asked else "GET"
        if not any(
            method == known and (path == pattern or (pattern.endswith("/") and path.startswith(pattern)))
            for known, pattern in routes
            if pattern != "/"
        ):
            wrong.append(f"{method} {path}")
    assert wrong == []


def told_defaults(text):
    """Each setting with the number that stands before or behind it, in the setting's own unit."""
    for key, number, unit, number_before, unit_before, key_behind in _TOLD.findall(" ".join(text.split())):
        amount, of = (number, unit) if key else (number_before, unit_before)
        value = 1.0 if amount in ("a", "an", "one") else float(amount.strip(",.").replace(",", "") or "nan")
        if of or amount.isdigit():
            yield key or key_behind, value * _UNITS.get(of if len(of) < 3 else of.removesuffix("s"), 1)


def test_every_default_that_a_page_tells_is_true():
    """A number that stands beside a setting, as in "`notify.timeout`, 10 s", is its default."""
    told = [(page, *each) for page in PAGES for each in told_defaults(read(page))]
    wrong = [
        f"{page.relative_to(ROOT)}: {key} is {KEYS[key].default}, not {value}"
        for page, key, value in told
        if key in KEYS and KEYS[key].default != value
    ]
    assert wrong == []
    assert len(told) > 40


def test_every_metric_that_a_page_names_exists():
    """A metric that was renamed is renamed in the text too."""
    made = set(_METRIC.findall(metrics_reference.render()))
    wrong = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in PAGES
        for name in _METRIC.findall(read(page))
        if re.sub(r"_(bucket|sum|count)$", "", name) not in made and name not in made
    ]
    assert wrong == []


def test_a_page_that_is_wrong_would_be_noticed():
    """Words, flags and arguments that are not there are objected to."""
    assert objection_to(["helth", "web"]) == "there is no command helth"
    assert "--pasing" in objection_to(["health", "web", "--pasing"])
    assert objection_to(["kv", "put"]) == "Missing argument 'KEY'."
    assert _COMMAND.findall("$ regista kv get a | regista kv put b -\n") == ["kv get a ", "kv put b -"]


def test_every_page_is_in_the_index():
    """docs/README.md leads to every page below docs/."""
    linked = {(ROOT / "docs" / target).resolve() for target in _LINK.findall(read(ROOT / "docs" / "README.md"))}
    missing = [page.name for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in linked]
    assert missing == ["README.md"]
