"""`regista kv`: keys and their values."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import click

from regista.cli.client import AgentClient, AgentRefused
from regista.cli.failures import Failed
from regista.cli.input import read_input
from regista.cli.options import agent_options, json_option
from regista.cli.tables import print_body

ENTRIES_MAX = 1_000_000
"""An export with more keys than this is not one of ours."""

_NOT_FOUND = 404


@click.group(epilog="\b\nExamples:\n  regista kv put web/limit 10\n  regista kv get web/limit")
def kv() -> None:
    """Read and write keys and their values."""


@kv.command(
    epilog="\b\nExamples:\n"
    "  regista kv get web/limit\n"
    "  regista kv get --detailed web/limit\n"
    "  regista kv get --recurse web/\n"
    "  regista kv get --keys web/"
)
@click.argument("key", default="")
@click.option("--recurse", is_flag=True, help="Every key that starts with KEY, as key:value.")
@click.option("--keys", is_flag=True, help="Only the names that start with KEY, up to the separator.")
@click.option("--separator", default="/", show_default=True, metavar="TEXT", help="Where --keys cuts names.")
@click.option("--detailed", is_flag=True, help="Show the indexes, flags and session too.")
@click.option("--base64", "as_base64", is_flag=True, help="Print values in base64.")
@json_option
@agent_options
def get(
    client: AgentClient,
    key: str,
    *,
    recurse: bool,
    keys: bool,
    separator: str,
    detailed: bool,
    as_base64: bool,
    as_json: bool,
) -> None:
    """Print the value of KEY.

    A value is printed as it is, with a line's end behind it. A key that is not there is an error.
    """
    key = key.removeprefix("/")
    if not key and not (recurse or keys):
        raise Failed("Error! Missing KEY argument")
    parameters = {"keys": "", "separator": separator} if keys else {"recurse": ""} if recurse else {}
    try:
        answer = client.get(key_path(key), parameters)
    except AgentRefused as error:
        if error.code != _NOT_FOUND:
            raise
        if recurse or keys:
            return
        raise Failed(f"Error! No key exists at: {key}") from error
    if as_json:
        print_body(answer)
    elif keys:
        for name in answer.decode():
            click.echo(name)
    elif detailed:
        blocks = [_detailed(entry, as_base64=as_base64) for entry in answer.decode()]
        click.echo(b"\n\n".join(blocks))
    else:
        for entry in answer.decode():
            name = f"{entry['Key']}:".encode() if recurse else b""
            click.echo(name + _shown_value(entry, as_base64=as_base64))


@kv.command(
    epilog="\b\nExamples:\n"
    "  regista kv put web/limit 10\n"
    "  regista kv put web/page @page.html\n"
    "  date | regista kv put web/deployed -\n"
    "  regista kv put --cas --modify-index 17 web/limit 20"
)
@click.argument("key")
@click.argument("value", default="")
@click.option("--cas", is_flag=True, help="Only if the key was last changed at --modify-index; 0: if it is new.")
@click.option("--modify-index", type=click.IntRange(0), metavar="INDEX", help="The index for --cas.")
@click.option("--flags", type=click.IntRange(0, 2**64 - 1), metavar="NUMBER", help="A number kept with the key.")
@click.option("--acquire", is_flag=True, help="Take the key's lock for --session.")
@click.option("--release", is_flag=True, help="Give the key's lock of --session back.")
@click.option("--session", default="", metavar="ID", help="The session for --acquire and --release.")
@click.option("--base64", "is_base64", is_flag=True, help="VALUE is in base64.")
@agent_options
def put(client: AgentClient, key: str, value: str, **options: Any) -> None:
    """Set KEY to VALUE, to what is in @FILE, or to standard input for -."""
    key = key.removeprefix("/")
    data = read_input(value)
    if options["is_base64"]:
        data = _from_base64(data)
    did = client.put_bytes(key_path(key), data, _put_parameters(options)).decode()
    index = options["modify_index"] or 0
    if options["acquire"]:
        outcome, failure = f"Success! Lock acquired on: {key}", "Error! Did not acquire lock"
    elif options["release"]:
        outcome, failure = f"Success! Lock released on: {key}", "Error! Did not release lock"
    else:
        reason = "CAS failed" if index else "CAS performed with index=0 and key already exists."
        outcome, failure = f"Success! Data written to: {key}", f"Error! Did not write to {key}: {reason}"
    if not did:
        raise Failed(failure)
    click.echo(outcome)


def _put_parameters(options: Mapping[str, Any]) -> dict[str, str]:
    if (options["acquire"] or options["release"]) and not options["session"]:
        raise Failed("Error! Missing -session (required with -acquire and -release)")
    if options["modify_index"] is not None and not options["cas"]:
        raise Failed("Cannot specify -modify-index without -cas!")
    parameters = {"flags": str(options["flags"])} if options["flags"] is not None else {}
    if options["cas"]:
        parameters["cas"] = str(options["modify_index"] or 0)
    for name in ("acquire", "release"):
        if options[name]:
            parameters[name] = options["session"]
    return parameters


@kv.command(
    epilog="\b\nExamples:\n  regista kv delete web/limit\n  regista kv delete --recurse web/\n"
    "  regista kv delete --cas --modify-index 17 web/limit"
)
@click.argument("key", default="")
@click.option("--recurse", is_flag=True, help="Every key that starts with KEY.")
@click.option("--cas", is_flag=True, help="Only if the key was last changed at --modify-index.")
@click.option("--modify-index", type=click.IntRange(0), default=0, metavar="INDEX", help="The index for --cas.")
@agent_options
def delete(client: AgentClient, key: str, *, recurse: bool, cas: bool, modify_index: int) -> None:
    """Delete KEY; one that is not there is deleted already."""
    key = key.removeprefix("/")
    if not key and not recurse:
        raise Failed("Error! Missing KEY argument")
    if cas and recurse:
        raise Failed("Cannot specify both -cas and -recurse!")
    if cas and not modify_index:
        raise Failed("Must specify -modify-index with -cas!")
    if modify_index and not cas:
        raise Failed("Cannot specify -modify-index without -cas!")
    parameters = {"recurse": ""} if recurse else {"cas": str(modify_index)} if cas else {}
    did = client.delete(key_path(key), parameters).decode()
    if not did:
        raise Failed(f"Error! Did not delete key {key}: CAS failed")
    click.echo(f"Success! Deleted keys with prefix: {key}" if recurse else f"Success! Deleted key: {key}")


@kv.command(epilog="\b\nExamples:\n  regista kv export web/ > web.json\n  regista kv export > all.json")
@click.argument("prefix", default="")
@agent_options
def export(client: AgentClient, prefix: str) -> None:
    """Print the keys that start with PREFIX as JSON for `import`."""
    prefix = prefix.removeprefix("/")
    try:
        entries = client.get(key_path(prefix), {"recurse": ""}).decode()
    except AgentRefused as error:
        if error.code != _NOT_FOUND:
            raise
        entries = []
    exported = [{"key": entry["Key"], "flags": entry["Flags"], "value": entry["Value"] or ""} for entry in entries]
    click.echo(json.dumps(exported, indent="\t", ensure_ascii=False))


@kv.command(
    "import",
    epilog="\b\nExamples:\n  regista kv import @web.json\n  regista kv import --prefix copy/ - < web.json",
)
@click.argument("data")
@click.option("--prefix", default="", metavar="TEXT", help="Put before each key.")
@agent_options
def import_(client: AgentClient, data: str, *, prefix: str) -> None:
    """Set the keys that `export` printed. DATA is that, or @FILE, or - for standard input."""
    for entry in _read_entries(read_input(data)):
        name = f"{prefix}{entry['key']}".removeprefix("/")
        client.put_bytes(key_path(name), _from_base64(entry["value"].encode()), {"flags": str(entry["flags"])})
        click.echo(f"Imported: {name}")


def _read_entries(data: bytes) -> list[dict[str, Any]]:
    """The keys of an export, all checked before one is written."""
    try:
        entries = json.loads(data)
    except ValueError as error:
        raise Failed(f"Cannot unmarshal data: {error}") from error
    is_list = isinstance(entries, list) and len(entries) <= ENTRIES_MAX
    if not is_list or not all(
        isinstance(entry, dict)
        and isinstance(entry.get("key"), str)
        and isinstance(entry.setdefault("value", ""), str)
        and isinstance(entry.setdefault("flags", 0), int)
        for entry in entries
    ):
        raise Failed(
            'Cannot unmarshal data: expected a list of objects with "key", "flags" and "value", as export makes.'
        )
    for entry in entries:
        _from_base64(entry["value"].encode())
    return list(entries)


def key_path(key: str) -> list[str]:
    """The path of a key, whose slashes stay slashes."""
    return ["kv", *key.split("/")]


def _shown_value(entry: Mapping[str, Any], *, as_base64: bool) -> bytes:
    encoded = (entry["Value"] or "").encode()
    return encoded if as_base64 else base64.b64decode(encoded)


def _detailed(entry: Mapping[str, Any], *, as_base64: bool) -> bytes:
    rows = (
        ("CreateIndex", entry["CreateIndex"]),
        ("Flags", entry["Flags"]),
        ("Key", entry["Key"]),
        ("LockIndex", entry["LockIndex"]),
        ("ModifyIndex", entry["ModifyIndex"]),
        ("Session", entry.get("Session") or "-"),
    )
    # Source: Consul 1.9, six spaces behind the widest name.
    lines = [f"{name:<17}{value}".encode() for name, value in rows]
    return b"\n".join((*lines, b"Value            " + _shown_value(entry, as_base64=as_base64)))


def _from_base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise Failed(f"Error! Cannot base 64 decode data: {error}") from error
