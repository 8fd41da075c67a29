"""The body of /v1/txn: a list of operations, each on a key, a node, an instance or a check.

Source: Consul 1.9 (behaviour): unknown fields are refused, an operation on nothing is passed over.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any

from regista.catalog import CheckStep, KvOperation, NodeStep, Operation, ServiceStep
from regista.model import BadInput, KvEntry, Node, Service, TooLarge
from regista.protocols.consul.catalog_writes import (
    CATALOG_CHECK_FIELDS,
    CATALOG_SERVICE_FIELDS,
    read_catalog_check,
    read_catalog_service,
    read_node_id,
)
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode import checked_meta
from regista.protocols.consul.decode_check import refuse_own_id
from regista.protocols.consul.fields import (
    Fields,
    field_name,
    free_text,
    map_of,
    name,
    object_of,
    read_object,
    text,
)
from regista.protocols.consul.kv import refuse_long_key
from regista.protocols.consul.reads import check_datacenter
from regista.protocols.http import decode_json

_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/\r\n]")
_DECODE_FAILED = "Request decode failed: "


def _unsigned(value: Any, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**64:
        raise BadInput(
            f"json: cannot unmarshal {_shown(value)} into Go struct field {path} of type uint64",
            field=field_name(path),
        )
    return value


def _shown(value: Any) -> str:
    return f"number {value}"[:100] if isinstance(value, int | float) else type(value).__name__


def _bytes(value: Any, path: str) -> bytes:
    given = free_text(value, path)
    try:
        return base64.b64decode(given.replace("\r", "").replace("\n", ""), validate=True)
    except (binascii.Error, ValueError) as error:
        wrong = _NOT_BASE64.search(given)
        at = wrong.start() if wrong else len(given)
        raise BadInput(f"illegal base64 data at input byte {at}", field=field_name(path)) from error


_KV_FIELDS: Fields = {
    "Verb": text,
    "Key": free_text,
    "Value": _bytes,
    "Flags": _unsigned,
    "Index": _unsigned,
    "Session": text,
    "Namespace": text,
    "Partition": text,
}

_NODE_FIELDS: Fields = {
    "ID": text,
    "Node": name,
    "Address": text,
    "Datacenter": text,
    "TaggedAddresses": map_of(text),
    "Meta": map_of(free_text),
    "CreateIndex": _unsigned,
    "ModifyIndex": _unsigned,
}

_OPERATION_FIELDS: Fields = {
    "KV": object_of(_KV_FIELDS),
    "Node": object_of({"Verb": text, "Node": object_of(_NODE_FIELDS)}),
    "Service": object_of(
        {
            "Verb": text,
            "Node": name,
            "Service": object_of({**CATALOG_SERVICE_FIELDS, "Namespace": text, "ModifyIndex": _unsigned}),
        }
    ),
    "Check": object_of(
        {
            "Verb": text,
            "Check": object_of({**CATALOG_CHECK_FIELDS, "Namespace": text, "ModifyIndex": _unsigned}),
        }
    ),
}


def read_operations(body: bytes, context: Context) -> list[Operation]:
    """The operations in the body, in their order.

    Raises:
        BadInput: it is no list of operations.
        TooLarge: they are too many, or one has too large a value.
    """
    try:
        return _read(body, context)
    except BadInput as error:
        problem = str(error).removeprefix(_DECODE_FAILED)
        raise BadInput(f"Failed to parse body: {problem}", field=error.field) from error


def _read(body: bytes, context: Context) -> list[Operation]:
    value = decode_json(body)
    if value is None:
        return []
    if not isinstance(value, list):
        kinds = {dict: "object", str: "string", bool: "bool"}
        kind = kinds.get(type(value), "number")
        raise BadInput(f"json: cannot unmarshal {kind} into Go value of type api.TxnOps", field="body")
    most = context.kv_settings.transaction_ops_max
    if len(value) > most:
        raise TooLarge(
            f"Transaction contains too many operations ({len(value)} > {most})",
            limit_bytes=most,
            limit="kv.transaction_ops_max",
            used=len(value),
        )
    found = []
    for position, each in enumerate(value):
        fields = read_object(each, _OPERATION_FIELDS, f"[{position}]")
        kind = next((kind for kind in _OPERATION_FIELDS if kind in fields), "")
        if kind:
            found.append(_READERS[kind](fields[kind], context))
    return found


def _kv_operation(found: dict[str, Any], context: Context) -> KvOperation:
    key, value = found.get("Key", ""), found.get("Value", b"")
    refuse_long_key(key, context)
    most = context.kv_settings.value_bytes_max
    if len(value) > most:
        raise TooLarge(
            f'Value for key "{key}" is too large ({len(value)} > {most} bytes)',
            limit_bytes=most,
            limit="kv.value_bytes_max",
            used=len(value),
        )
    wanted = KvEntry(key=key, value=value, flags=found.get("Flags", 0), session=found.get("Session", "").lower())
    return KvOperation(found.get("Verb", ""), wanted, found.get("Index", 0))


def _node_step(found: dict[str, Any], context: Context) -> NodeStep:
    fields = found.get("Node", {})
    check_datacenter(fields.get("Datacenter", ""), context)
    node = Node(
        name=fields.get("Node", ""),
        id=read_node_id(fields.get("ID", "")),
        address=fields.get("Address", ""),
        tagged_addresses=fields.get("TaggedAddresses"),
        meta=checked_meta(fields.get("Meta")),
    )
    return NodeStep(found.get("Verb", ""), node, fields.get("ModifyIndex", 0))


def _service_step(found: dict[str, Any], context: Context) -> ServiceStep:
    fields = found.get("Service", {})
    node = found.get("Node", "")
    has_name = bool(fields.get("Service"))
    service = (
        read_catalog_service(fields, node) if has_name else Service(node=node, id=fields.get("ID", ""), name="")
    )
    return ServiceStep(found.get("Verb", ""), service, fields.get("ModifyIndex", 0), has_name, context.new_id())


def _check_step(found: dict[str, Any], _context: Context) -> CheckStep:
    fields = found.get("Check", {})
    check = read_catalog_check(fields, fields.get("Node", ""))
    if found.get("Verb") in ("set", "cas"):
        refuse_own_id(check.id, "Check.CheckID")
    return CheckStep(found.get("Verb", ""), check, fields.get("ModifyIndex", 0))


_READERS: dict[str, Callable[[dict[str, Any], Context], Operation]] = {
    "KV": _kv_operation,
    "Node": _node_step,
    "Service": _service_step,
    "Check": _check_step,
}
assert _READERS.keys() == _OPERATION_FIELDS.keys()
