"""`docs/reference/configuration.md`, made from the tables of keys and flags.

Run `python -m regista.agent.reference` at the root of the repository after changing a setting, key or flag.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from regista.agent.config_values import bounds_text, duration_text
from regista.agent.consul_keys import NO_EFFECT, SAME_AS
from regista.agent.keys import AGENT_KEYS, FLAGS, KEYS, PORT_MOST, Key, Kind, setting_keys
from regista.agent.pages import write_page
from regista.agent.settings import SETTINGS_BLOCKS

FILE = Path("docs/reference/configuration.md")

_INTRODUCTION = """\
# Configuration

<!-- Made by `python -m regista.agent.reference`; change the tables in src/regista/agent/ instead. -->

`regista agent` takes each value from the last of these that names it:

1. the defaults below;
2. the files given with `--config-file`, in order; a directory stands for its `.json` and `.hcl` files, by name;
3. the environment: `REGISTA_` and the flag's name, such as `REGISTA_HTTP_PORT`; empty counts as absent;
4. the flags.

A later file wins for single values; objects such as `node_meta` are merged by key; lists are joined in order.
Names are matched without regard to case, `null` is the same as leaving a key out, and types are strict: a port
is `8500`, not `"8500"`, and a duration is text such as `"10s"`, `"1h30m"` or `"250ms"`.

The keys are those of Consul's agent, so its files can be used. A key of Consul's that has no meaning here is
accepted with a warning in the log; a key that neither knows is an error that names the nearest one.

Files in HCL are read by the rules of HCL 2, without expressions. Names of blocks stand without quotes; where a
name needs them, write an object: `node_meta = { "x-y" = "1" }`. Examples: [regista.hcl](../examples/regista.hcl),
[regista.json](../examples/regista.json).

On SIGHUP the agent reads the same files again. It takes in the services, checks and watches, `log_level` and
`log_json`; other settings that differ wait for the next start, and the log names them. What a caller of the API
registered under an id, or changed in place of a definition, stays the caller's, and the log says so. Of several
services, or several checks, that are defined with one id, the last counts; the log names the others.
"""

_TYPES: dict[Kind, str] = {
    "text": "string",
    "path": "path",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "duration": "duration",
    "port": "port",
    "map": "object of strings",
    "texts": "list of strings",
    "definitions": "objects",
}


def render() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "## The agent\n", _key_table(AGENT_KEYS)]
    for block, settings_type in SETTINGS_BLOCKS:
        parts += [
            f"## `{block}`\n",
            f"{_first_line(settings_type)}\n",
            _key_table(setting_keys(block, settings_type)),
        ]
    parts += ["## Flags\n", _flag_table(), "## Consul's keys\n", _consul_text()]
    return "\n".join(parts)


def _first_line(settings_type: type[Any]) -> str:
    return (settings_type.__doc__ or "").strip().splitlines()[0]


def _key_table(keys: Sequence[Key]) -> str:
    flag_names = {flag.key: f"`--{flag.name}`, `{flag.variable}`" for flag in FLAGS if flag.key}
    rows = [
        (
            f"`{key.path}`",
            _type_text(key),
            _default_text(key),
            _bounds(key),
            key.text,
            flag_names.get(key.path, ""),
        )
        for key in keys
    ]
    return _table(("Key", "Type", "Default", "Bounds", "What it does", "Flag, environment"), rows)


def _flag_table() -> str:
    rows = [
        (f"`--{flag.name}`", f"`{flag.variable}`", f"`{flag.key}`" if flag.key else "", flag.text)
        for flag in FLAGS
    ]
    return _table(("Flag", "Environment", "Key", "What it does"), rows)


def _consul_text() -> str:
    others = [f"`{theirs}` is another name of `{ours}`." for theirs, ours in SAME_AS.items() if ours in KEYS]
    idle = sorted(NO_EFFECT - {theirs for theirs, ours in SAME_AS.items() if ours in KEYS})
    names = ", ".join(f"`{path}`" for path in idle)
    return "\n".join((*others, "", f"Accepted without effect: {names}.", "")).lstrip("\n")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _type_text(key: Key) -> str:
    if key.kind == "definitions":
        return "list of objects" if key.path.endswith("s") else "object"
    return f"{_TYPES[key.kind]}, {key.unit}" if key.unit else _TYPES[key.kind]


def _default_text(key: Key) -> str:
    match key.kind:
        case "duration":
            return f'`"{duration_text(key.default)}"`'
        case "boolean":
            return f"`{str(key.default).lower()}`"
        case _ if key.default in ("", None, (), {}):
            return ""
        case "text" | "path":
            return f'`"{key.default}"`'
        case "texts":
            return ", ".join(f'`"{item}"`' for item in key.default)
        case _:
            return f"`{key.default}`"


def _bounds(key: Key) -> str:
    if key.choices:
        return ", ".join(f"`{choice}`" for choice in key.choices)
    return f"from -1 to {PORT_MOST}" if key.kind == "port" else bounds_text(key)


def main() -> None:
    """Writes the page, below the working directory or to the file named as the argument."""
    write_page(render, file=FILE)


if __name__ == "__main__":
    main()
