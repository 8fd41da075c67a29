"""Consul's sub-commands as our commands: the table, and how a command line of the one becomes one of the other."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence

import click

from regista.cli.commands import COMMANDS
from regista.cli.consul_flags import FlagError, FlagValue, parse_flags


@dataclasses.dataclass(frozen=True, slots=True)
class Verb:
    """One of Consul's sub-commands.

    Attributes:
        target: our command: its words, or `module:name` for one that only Consul's command line has.
        summary: what it does, for the list of commands.
        arguments: Consul's flags that are arguments here, in the order in which they stand.
        fixed: options that are always given.
    """

    target: str
    summary: str
    arguments: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()


VERBS: dict[str, Verb] = {
    "catalog datacenters": Verb("catalog datacenters", "Lists all known datacenters"),
    "catalog nodes": Verb("catalog nodes", "Lists all nodes"),
    "catalog services": Verb("catalog services", "Lists all registered services", fixed=("--no-head",)),
    "config delete": Verb("config delete", "Deletes a configuration entry", arguments=("kind", "name")),
    "config list": Verb("config list", "Lists the entries of a kind", arguments=("kind",)),
    "config read": Verb("config read", "Reads a configuration entry", arguments=("kind", "name")),
    "config write": Verb("config write", "Creates or updates an entry"),
    "event": Verb("event fire", "Fires a new event", arguments=("name",)),
    "info": Verb("info", "Shows the numbers of the agent"),
    "kv delete": Verb("kv delete", "Removes keys"),
    "kv export": Verb("kv export", "Exports keys as JSON"),
    "kv get": Verb("kv get", "Retrieves values"),
    "kv import": Verb("kv import", "Imports keys stored as JSON"),
    "kv put": Verb("kv put", "Sets or updates a value"),
    "leave": Verb("leave", "Lets the agent leave and shut down"),
    "lock": Verb("regista.cli.consul_children:lock", "Runs a program while holding a lock"),
    "maint": Verb("maint", "Controls maintenance of the node or of a service"),
    "members": Verb("members", "Lists the agents"),
    "reload": Verb("reload", "Lets the agent reload its configuration files"),
    "services deregister": Verb("services deregister", "Deregisters services"),
    "services register": Verb("services register", "Registers services"),
    "snapshot inspect": Verb("snapshot inspect", "Shows what a snapshot's file says"),
    "snapshot restore": Verb("snapshot restore", "Restores a snapshot"),
    "snapshot save": Verb("snapshot save", "Saves a snapshot"),
    # Source: Consul 1.9, which asks at the agent's start alone whether script checks may be.
    "validate": Verb(
        "validate", "Validates configuration files", fixed=("--allow-unknown-keys", "--enable-script-checks")
    ),
    "watch": Verb("regista.cli.consul_children:watch", "Watches for changes"),
}
"""Each sub-command but `agent` and `version`, which stand in `consul_program`."""

GROUPS = frozenset(name.partition(" ")[0] for name in VERBS if " " in name)


def load(target: str) -> click.Command:
    """The command that `Verb.target` names."""
    if ":" not in target:
        first, *others = target.split()
        command = _from_module(COMMANDS[first])
        for word in others:
            assert isinstance(command, click.Group)
            command = command.commands[word]
        return command
    return _from_module(target)


def _from_module(place: str) -> click.Command:
    module_name, _, name = place.partition(":")
    command = getattr(importlib.import_module(module_name), name)
    assert isinstance(command, click.Command)
    return command


def translate(verb: Verb, command: click.Command, words: Sequence[str]) -> list[str]:
    """The words for our command that mean what `words` mean to Consul's.

    Raises:
        FlagError, HelpWanted: see `parse_flags`.
    """
    options = _options(command)
    flags = {name: option.is_flag for name, option in options.items()} | dict.fromkeys(verb.arguments, False)
    found, rest = parse_flags(words, flags)
    given: Mapping[str, FlagValue] = dict(found)
    missing = [name for name in verb.arguments if not given.get(name)]
    if missing:
        raise FlagError(f"Must specify the -{missing[0]} parameter")
    ours = list(verb.fixed)
    for name, value in found:
        if name in verb.arguments or value is False:
            continue
        ours += [f"--{name}"] if value is True else [f"--{name}={value}"]
    return [*ours, "--", *(str(given[name]) for name in verb.arguments), *rest]


def _options(command: click.Command) -> dict[str, click.Option]:
    """The command's options by their names without dashes."""
    return {
        name.removeprefix("--"): option
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    }
