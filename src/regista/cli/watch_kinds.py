"""What can be watched: which request each kind is, and what of its answers is shown. Pure.

Source: Consul 1.9, `consul watch` and the types of its watches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

NOTHING_YET = object()
"""In place of a result that nobody need be told: what is watched was never there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Watched:
    """What one command watches.

    Attributes:
        absent: the body where the agent answers 404; None where that is an error.
        pick: from the answer and the one before (None for the first) what is shown, or `NOTHING_YET`.
        describe: the lines that tell people a result.
    """

    path: Sequence[str]
    parameters: Mapping[str, str | Sequence[str]]
    absent: bytes | None = None
    pick: Callable[[Any, Any], Any] = lambda content, _before: content
    describe: Callable[[Any], Sequence[str]] = lambda result: [str(result)]


def key(name: str) -> Watched:
    """One key; `null` where it is gone."""
    return Watched(["kv", *name.split("/")], {}, absent=b"[]", pick=_pick_key, describe=_describe_key)


def _pick_key(content: Any, before: Any) -> Any:
    if content:
        return content[0]
    # Consul's watch says nothing of a key that was never there.
    return None if before else NOTHING_YET


def _describe_key(result: Any) -> Sequence[str]:
    return ["the key is gone"] if result is None else [f"{result['Key']} changed at {result['ModifyIndex']}"]


def key_prefix(prefix: str) -> Watched:
    """Every key that starts so."""
    return Watched(
        ["kv", *prefix.split("/")],
        {"recurse": ""},
        absent=b"null",
        pick=lambda content, before: NOTHING_YET if content is None and not before else content,
        describe=lambda result: [f"{item['Key']} changed at {item['ModifyIndex']}" for item in result or ()],
    )


def services() -> Watched:
    """The names and tags of all services."""
    return Watched(
        ["catalog", "services"],
        {},
        describe=lambda result: [f"{name} {','.join(tags)}".rstrip() for name, tags in sorted(result.items())],
    )


def nodes() -> Watched:
    """All nodes."""
    return Watched(
        ["catalog", "nodes"],
        {},
        describe=lambda result: [f"{item['Node']} {item['Address']}" for item in result],
    )


def service(name: str, *, tags: Sequence[str], passing: bool) -> Watched:
    """The instances of a service, with their checks."""
    parameters: dict[str, str | Sequence[str]] = {"tag": tags} if tags else {}
    return Watched(["health", "service", name], parameters | ({"passing": "1"} if passing else {}))


def checks(*, service_name: str, state: str) -> Watched:
    """The checks of a service, or those in a state."""
    path = ["health", "checks", service_name] if service_name else ["health", "state", state]
    return Watched(
        path,
        {},
        describe=lambda result: [
            f"{item['Node']} {item['ServiceID'] or '-'} {item['CheckID']} {item['Status']}" for item in result
        ],
    )


def event(name: str) -> Watched:
    """Events, each told once."""
    return Watched(
        ["event", "list"],
        {"name": name} if name else {},
        pick=_pick_events,
        describe=lambda result: [f"{item['Name']} {item['ID']}" for item in result],
    )


def _pick_events(content: Any, before: Any) -> Any:
    """Those after the last that was known; all where that is forgotten."""
    known = before[-1]["ID"] if before else None
    ids = [item["ID"] for item in content]
    new = content[ids.index(known) + 1 :] if known in ids else content
    return NOTHING_YET if before is not None and not new else new
