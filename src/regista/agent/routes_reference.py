"""`docs/reference/routes.md`, made from the route table.

Run `python -m regista.agent.routes_reference` at the root of the repository after changing a route.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from regista.agent.pages import write_page
from regista.agent.routes import described_routes
from regista.protocols.http import Route
from regista.protocols.native import group_of, path_of

FILE = Path("docs/reference/routes.md")

_INTRODUCTION = """\
# Every route

<!-- Made by `python -m regista.agent.routes_reference`; change the routes in src/regista/protocols/ instead. -->

The table that the agent answers by, and that its own descriptions are made of: `GET /v1/openapi.json` gives it as
OpenAPI 3.1, `/docs` as a page. What the paths do is told in [The HTTP API](http-api.md). *Access* is the rule that
a caller needs once there is access control; an argument in braces is the rest of the path, slashes included.
"""


def render() -> str:
    """The whole page."""
    routes = sorted(described_routes(), key=lambda route: (group_of(route), route.pattern, route.method))
    groups = itertools.groupby(routes, key=group_of)
    return "\n".join(
        (_INTRODUCTION, *(line for group, members in groups for line in _section(group, list(members))))
    )


def _section(group: str, routes: Sequence[Route]) -> Iterator[str]:
    yield f"## {group}\n"
    yield "| Method | Path | What | Parameters | Access |"
    yield "| --- | --- | --- | --- | --- |"
    for route in routes:
        names = ", ".join(f"`{each.name}`" for each in route.parameters)
        access = f"`{route.access}`" if route.access else ""
        cells = (route.method, f"`{path_of(route)}`", route.summary, names, access)
        yield f"| {' | '.join(cells)} |"
    yield ""


def main() -> None:
    """Writes the page, below the working directory or to the file named as the argument."""
    write_page(render, file=FILE)


if __name__ == "__main__":
    main()
