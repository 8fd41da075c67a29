"""What the documentation says is there: routes, settings, commands, and the targets of its links."""

import re
from pathlib import Path

import pytest

from regista.agent.keys import KEYS
from regista.agent.routes import described_routes
from regista.agent.routes_reference import FILE as ROUTES_FILE
from regista.agent.routes_reference import render as render_routes
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


def test_every_page_is_in_the_index():
    """docs/README.md leads to every page below docs/."""
    linked = {(ROOT / "docs" / target).resolve() for target in _LINK.findall(read(ROOT / "docs" / "README.md"))}
    missing = [page.name for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in linked]
    assert missing == ["README.md"]
