"""The route table that the HTTP doors share, with the matching rules of Consul's router.

A pattern that ends in `/` is a prefix: whatever follows it, slashes included, is the handler's argument. Every
other pattern matches exactly, and so does `/` alone. HEAD is answered wherever GET is; OPTIONS everywhere.
"""

from __future__ import annotations

import dataclasses
import html
import posixpath
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import quote

from regista.protocols.http.admission import LoadClass
from regista.protocols.http.messages import Request, Response, text_response

Handler = Callable[[Request], Response | Awaitable[Response]]


@dataclasses.dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the query string.

    Attributes:
        kind: `string`, `boolean` (which often counts by being there), `integer` or `duration`.
        is_repeatable: whether all its values count, and not the first only.
    """

    name: str
    text: str
    kind: str = "string"
    is_repeatable: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One method on one path, with all that is told of it: the router, the documents and access control read it.

    Attributes:
        summary: what it does, in a line.
        argument: what stands after a pattern that ends in `/`, such as `service`; "" for other patterns.
        parameters: those that mean something here.
        access: the ACL rule that a caller needs, as `resource:level` (`service:read`); "" for none.
        body: what the body is, in a word: `json`, `bytes`, or "" for none.
        load: whether it is refused, and when, if there is too much to do, see `admission`; None for the class that
            its method suggests.
        is_replicated: whether the answer rests on the replica alone, so that any process that has one may give it.
        parts_at_escapes: whether escaped slashes in the argument part it too, as all do in Consul.
    """

    method: str
    pattern: str
    handler: Handler
    summary: str = ""
    argument: str = ""
    parameters: tuple[Parameter, ...] = ()
    access: str = ""
    body: str = ""
    load: LoadClass | None = None
    is_replicated: bool = False
    parts_at_escapes: bool = False

    @property
    def load_class(self) -> LoadClass:
        """Its class of load; what writes is taken for a registration."""
        return self.load or ("read" if self.method == "GET" else "registration")


class RouteTable:
    """Finds the handler of a request; costs a few look-ups whatever the number of routes.

    Attributes:
        routes: all of them, as given.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._patterns: dict[str, dict[str, Handler]] = {}
        for route in self.routes:
            methods = self._patterns.setdefault(route.pattern, {})
            assert route.method not in methods, f"{route.method} {route.pattern} has two handlers"
            methods[route.method] = route.handler
        self._parted_at_escapes = tuple({route.pattern for route in self.routes if route.parts_at_escapes})
        self._loads = {(route.method, route.handler): route.load_class for route in self.routes}

    def load_of(self, method: str, handler: Handler) -> LoadClass:
        """The class of load of what `find` found for a method."""
        return self._loads["GET" if method == "HEAD" else method, handler]

    def patterns(self) -> dict[str, tuple[str, ...]]:
        """Every pattern with its methods, in the order in which they were given."""
        return {pattern: tuple(methods) for pattern, methods in self._patterns.items()}

    def find(self, request: Request, written: str = "") -> Handler | Response:
        """The handler, after setting `request.argument`; or the response where there is none to call.

        Args:
            written: the path with its escaped slashes as they were written, if it has any. They part no segments,
                but for routes that part there, so that every id can be named: `http%3A%2F%2Fa` has no empty one.

        Source: Consul 1.9 (behaviour): 301 to a clean path, and to a prefix, 404 without a body, 405 with `Allow`.
            It takes escaped slashes for others, and so finds no instance whose id has two in a row.
        """
        path = request.path
        segments = path if not written or path.startswith(self._parted_at_escapes) else written
        is_odd = "//" in segments or "/." in segments
        clean = _clean(path) if is_odd and _clean(segments) != segments else path
        methods = self._patterns.get(clean)
        if methods is None and f"{clean}/" in self._patterns:
            clean += "/"
        if clean != path:
            return _moved(request, clean)
        if methods is None or (path.endswith("/") and path != "/"):
            methods = self._find_prefix(request)
        if methods is None:
            return text_response(
                404, "" if path.startswith("/v1/") else "Invalid URL path: the API's paths start with /v1/\n"
            )
        method = "GET" if request.method == "HEAD" else request.method
        handler = methods.get(method)
        if handler is not None:
            return handler
        allow = (("Allow", ",".join(("OPTIONS", *methods))),)
        if request.method == "OPTIONS":
            return Response(200, headers=allow)
        return text_response(405, f"method {request.method} not allowed", allow)

    def _find_prefix(self, request: Request) -> dict[str, Handler] | None:
        end = len(request.path)
        while (end := request.path.rfind("/", 0, end)) > 0:
            methods = self._patterns.get(request.path[: end + 1])
            if methods is not None:
                request.argument = request.path[end + 1 :]
                return methods
        return None


def _moved(request: Request, path: str) -> Response:
    """Sends the caller to another path; the words are for those who GET it."""
    query = f"?{request.parameters.text}" if request.parameters.text else ""
    headers = (("Location", quote(path) + query),)
    if request.method != "GET":
        return Response(301, headers=headers)
    body = f'<a href="{html.escape(quote(path) + query)}">Moved Permanently</a>.\n\n'.encode()
    return Response(301, body, "text/html; charset=utf-8", headers)


def _clean(path: str) -> str:
    """The path without empty and dot segments; keeps a slash at the end."""
    clean = posixpath.normpath("/" + path.lstrip("/"))
    return clean + "/" if path.endswith("/") and clean != "/" else clean
