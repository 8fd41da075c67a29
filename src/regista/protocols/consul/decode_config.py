"""Configuration entries as callers and files write them.

Source: Consul 1.9 (behaviour), config.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.model import BadInput, ConfigEntry, Entry
from regista.protocols.consul import config_gateway_rules, config_rules
from regista.protocols.consul.config_fields import Fields, plain, read_fields
from regista.protocols.consul.config_kinds import COMMON_FIELDS, CONFIG_KINDS
from regista.protocols.consul.config_rules import Rule
from regista.protocols.consul.fields import NAME_CHARACTERS_MAX

_RULES: Mapping[str, Rule] = {
    "service-defaults": config_rules.service_defaults,
    "proxy-defaults": config_rules.proxy_defaults,
    "service-router": config_rules.service_router,
    "service-splitter": config_rules.service_splitter,
    "service-resolver": config_rules.service_resolver,
    "service-intentions": config_rules.service_intentions,
    "ingress-gateway": config_gateway_rules.ingress_gateway,
    "terminating-gateway": config_gateway_rules.terminating_gateway,
    "mesh": config_gateway_rules.mesh,
    "exported-services": config_gateway_rules.exported_services,
}
assert _RULES.keys() == CONFIG_KINDS.keys(), "every kind has its rule"

_META_PAIRS_MAX = 64
_META_KEY_CHARACTERS_MAX = 128
_META_VALUE_CHARACTERS_MAX = 512

_COMMON_OF_ALL = frozenset(("Kind", "Name", "Meta"))


def read_config_entry(value: Any) -> ConfigEntry:
    """The entry in a body, in the form in which it is kept.

    Raises:
        BadInput: naming the field; in Consul's words.
    """
    entry_kind = _kind_of(value)
    kind = CONFIG_KINDS[entry_kind]
    table: Fields = {**kind.first, **COMMON_FIELDS, **kind.fields}
    shown = read_fields(value, table)
    name = entry_name(entry_kind, shown["Name"])
    if len(name) > NAME_CHARACTERS_MAX:
        raise BadInput(f"Name is too long: {len(name)} characters (limit: {NAME_CHARACTERS_MAX})", field="Name")
    meta = shown.get("Meta", {})
    _check_meta(meta)
    fields = _RULES[entry_kind](name, {key: each for key, each in shown.items() if key not in _COMMON_OF_ALL})
    if meta:
        fields = {**fields, "Meta": meta}
    return ConfigEntry(entry_kind=entry_kind, name=name, fields=plain(fields))


def entry_name(entry_kind: str, name: str) -> str:
    """The name under which an entry of that kind is written, whatever its writer calls it."""
    return CONFIG_KINDS[entry_kind].only_name or name


def show_config_entry(entry: Entry[ConfigEntry]) -> dict[str, Any]:
    """The entry as it is shown: durations first, then kind and name, metadata and indexes last."""
    record = entry.record
    first = CONFIG_KINDS[record.entry_kind].first if record.entry_kind in CONFIG_KINDS else {}
    shown = {key: record.fields[key] for key in first if key in record.fields}
    shown |= {"Kind": record.entry_kind, "Name": record.name}
    shown |= {key: each for key, each in record.fields.items() if key not in first}
    return shown | {"CreateIndex": entry.create_index, "ModifyIndex": entry.modify_index}


def _kind_of(value: Any) -> str:
    if value is not None and not isinstance(value, dict):
        raise BadInput(
            "Bad request: Request decoding failed: json: cannot unmarshal the body into Go value of type "
            "map[string]interface {}: send an object"
        )
    given = next((each for key, each in (value or {}).items() if key in ("Kind", "kind")), None)
    if given is None:
        raise BadInput(
            "Bad request: Request decoding failed: Payload does not contain a kind/Kind key at the top level",
            field="Kind",
        )
    if not isinstance(given, str):
        raise BadInput("Bad request: Request decoding failed: Kind value in payload is not a string", field="Kind")
    if given not in CONFIG_KINDS:
        raise BadInput(
            f"Bad request: Request decoding failed: invalid config entry kind: {given}; known are "
            f"{', '.join(CONFIG_KINDS)}",
            field="Kind",
        )
    return given


def _check_meta(meta: Mapping[str, str]) -> None:
    if len(meta) > _META_PAIRS_MAX:
        raise BadInput(f"Meta exceeds maximum element count {_META_PAIRS_MAX}", field="Meta")
    for key, value in meta.items():
        if len(key) > _META_KEY_CHARACTERS_MAX:
            raise BadInput(f'Meta key "{key}" exceeds maximum length {_META_KEY_CHARACTERS_MAX}', field="Meta")
        if len(value) > _META_VALUE_CHARACTERS_MAX:
            raise BadInput(
                f'Meta value for key "{key}" exceeds maximum length {_META_VALUE_CHARACTERS_MAX}', field="Meta"
            )
