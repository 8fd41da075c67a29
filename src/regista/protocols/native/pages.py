"""GET /v1/openapi.json and /docs: every path of every HTTP door, for programs and for people."""

from __future__ import annotations

import html
import itertools
from collections.abc import Iterable

from regista.protocols.http import Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import json_response
from regista.protocols.native.openapi import describe_routes, group_of, path_of
from regista.protocols.native.parameters import PRETTY

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Regista {version}: the HTTP API</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }}
code, summary {{ font-family: ui-monospace, monospace }}
summary {{ cursor: pointer; padding: .3rem 0 }}
summary b {{ display: inline-block; min-width: 4.5rem }}
summary i {{ float: right; font: 13px/1.9 system-ui, sans-serif; opacity: .7 }}
details {{ border-bottom: 1px solid #8884 }}
details > div {{ margin: 0 0 1rem 4.5rem }}
table {{ border-collapse: collapse }}
td {{ border-top: 1px solid #8884; padding: .2rem 1rem .2rem 0; vertical-align: top }}
</style>
<h1>Regista {version}: the HTTP API</h1>
<p>The same for programs: <a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>
{sections}
</html>
"""

_HEADERS = (
    # The page needs nothing but itself, and nobody else's page has any business around it.
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
)


class Pages:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/openapi.json",
                self.openapi,
                "The description of every path, as OpenAPI 3.1",
                parameters=(PRETTY,),
                load="dashboard",
            ),
            Route("GET", "/docs", self.docs, "The description of every path, as a page", load="dashboard"),
        )

    def openapi(self, request: Request) -> Response:
        """GET openapi.json."""
        context = self._context
        return json_response(request, describe_routes(context.routes(), version=context.version))

    def docs(self, request: Request) -> Response:  # noqa: ARG002 - a handler's signature
        """GET /docs: a page that needs nothing but itself."""
        context = self._context
        page = render_page(context.routes(), version=context.version)
        return Response(200, page.encode(), "text/html; charset=utf-8", _HEADERS)


def render_page(routes: Iterable[Route], *, version: str) -> str:
    """The page about these routes, by group and path."""
    ordered = sorted(routes, key=lambda route: (group_of(route), route.pattern, route.method))
    sections = (
        f"<h2>{html.escape(group)}</h2>\n" + "\n".join(_route_html(route) for route in members)
        for group, members in itertools.groupby(ordered, key=group_of)
    )
    return _PAGE.format(version=html.escape(version), sections="\n".join(sections))


def _route_html(route: Route) -> str:
    rows = "".join(
        f"<tr><td><code>{html.escape(each.name)}</code><td>{html.escape(each.kind)}<td>{html.escape(each.text)}"
        for each in route.parameters
    )
    about = [html.escape(route.summary) + "."]
    if route.body:
        about.append(f"Body: {html.escape(route.body)}.")
    if route.access:
        about.append(f"Access: <code>{html.escape(route.access)}</code>.")
    table = f"<table>{rows}</table>" if rows else ""
    return (
        f"<details><summary><b>{route.method}</b> {html.escape(path_of(route))}"
        f"<i>{html.escape(route.summary)}</i></summary>"
        f"<div><p>{' '.join(about)}</p>{table}</div></details>"
    )
