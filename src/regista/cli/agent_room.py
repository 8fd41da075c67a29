"""The agent's room, for commands that need it only now and then."""

from __future__ import annotations

import importlib
from types import ModuleType


def agent_room() -> ModuleType:
    """`regista.agent`, loaded when it is first asked for: all of the server comes with it, some 200 ms."""
    return importlib.import_module("regista.agent")
