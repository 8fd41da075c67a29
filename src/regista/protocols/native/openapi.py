"""The OpenAPI 3.1 description of the HTTP doors, made from their route table. Pure.

Source: OpenAPI Specification 3.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from regista.protocols.http import Parameter, Route

Json = dict[str, Any]

_SCHEMAS: dict[str, Json] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "minimum": 0},
    "duration": {"type": "string", "examples": ["30s", "1m30s", "500ms"]},
    # It counts by being there, so an empty value is one too.
    "boolean": {"type": "string", "enum": ["", "true", "false", "1", "0"]},
}

_BODIES: dict[str, Json] = {
    # Whatever it is called, and whether it says so or not: see the conventions in docs/reference/http-api.md.
    "json": {"application/json": {"schema": {}}},
    "bytes": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}

_PROBLEM: Json = {
    "description": "An error: a sentence that says what is wrong and what to do.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


def describe_routes(routes: Iterable[Route], *, version: str) -> Json:
    """The description as JSON values.

    Args:
        version: of Regista.
    """
    paths: dict[str, Json] = {}
    for route in routes:
        path = path_of(route)
        # A path that takes what an exact one beside it answers differs from it by its argument.
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regista",
            "version": version,
            "summary": "Service registry and discovery, with the Consul HTTP API.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Consul-Token"}},
            "responses": {"Problem": _PROBLEM},
        },
    }


def path_of(route: Route) -> str:
    """The path with its argument in braces."""
    return f"{route.pattern}{{{route.argument}}}" if route.argument else route.pattern


def group_of(route: Route) -> str:
    """The first part of the path after the version: `agent`, `catalog`, …"""
    parts = route.pattern.strip("/").split("/")
    return parts[1] if len(parts) > 1 else parts[0]


def _operation(route: Route) -> Json:
    found: Json = {
        "operationId": _identifier(route),
        "summary": route.summary,
        "tags": [group_of(route)],
        "parameters": [*_argument(route), *(_parameter(each) for each in route.parameters)],
        "responses": {
            "200": {"description": "It is done, or here is what was asked for."},
            "4XX": {"$ref": "#/components/responses/Problem"},
            "503": {"$ref": "#/components/responses/Problem"},
        },
    }
    if route.body:
        found["requestBody"] = {"content": _BODIES[route.body]}
    if route.access:
        found["security"] = [{}, {"token": []}]
        found["x-regista-access"] = route.access
    return found


def _argument(route: Route) -> Iterable[Json]:
    if route.argument:
        yield {
            "name": route.argument,
            "in": "path",
            "required": True,
            "description": "The rest of the path, slashes included.",
            "schema": {"type": "string"},
        }


def _parameter(parameter: Parameter) -> Json:
    schema = _SCHEMAS[parameter.kind]
    if parameter.is_repeatable:
        schema = {"type": "array", "items": schema}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.text,
        "schema": schema,
        "allowEmptyValue": parameter.kind == "boolean",
    }


def _identifier(route: Route) -> str:
    words = [word for word in re.split(r"[^A-Za-z0-9]+", route.pattern) if word and word != "v1"]
    return "_".join((route.method.lower(), *words, *(("by", route.argument) if route.argument else ())))
