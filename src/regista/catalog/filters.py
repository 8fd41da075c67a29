"""Filters: which entries of an answer the caller wants, as a boolean expression over their fields.

A filter is read once (`filter_grammar`), bound to the fields that its endpoint has, and becomes a chain of small
functions over the entries as the API shows them. Errors in it are found then, not at the first entry.

- A field that the entry leaves out or has as null counts as empty: `Kind == ""`, `TaggedAddresses is empty`.
- A path through a list holds if it holds for any of the list's objects; so nothing holds in an empty list, and
  `Checks.Status != passing` asks for a check that is not passing.
- Without a map's key, what is negated holds, and `is empty`; all else does not.

Source: Consul 1.9 with its filter library 0.1.2 (behaviour, recorded answers). Departure: without a map's key
`matches` is false, as all else that asks for a value; 1.9 says true.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

from regista.catalog.filter_grammar import (
    And,
    Expression,
    Match,
    Not,
    Operator,
    bad_filter,
    parse_expression,
    quote,
)
from regista.catalog.filter_patterns import Allowance, compile_pattern
from regista.model import BadInput

Filter: TypeAlias = Callable[[Any], bool]
"""Whether an entry is wanted: an object of decoded JSON in the shape of the endpoint, of which nothing is changed.

Made for one request, and not for two threads at once: patterns remember what they met. Raises BadInput where one
turns out too costly for the values that it meets.
"""


def parse_filter(text: str, schema: Fields) -> Filter:
    """The filter that `text` describes, for entries with the fields of `schema`; an empty text wants all.

    Raises:
        BadInput: a syntax error, an unknown field, an operator or a value that a field does not take, a bad
            pattern, or a limit is passed. The text begins as Consul's, and names the place.
    """
    return _bind(parse_expression(text), schema, Allowance()) if text else lambda _entry: True


# ---- what can be selected ----


@dataclasses.dataclass(frozen=True, slots=True)
class Leaf:
    """A field that has operators for its values.

    Attributes:
        zero: what an entry means that leaves the field out.
        coerce: such a value, as a filter's text has it; raises ValueError in Go's words.
    """

    zero: Any
    operators: frozenset[Operator]
    coerce: Callable[[str], Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A list of objects, any of which may fit."""

    element: Fields

    zero: ClassVar[Any] = ()
    operators: ClassVar[frozenset[Operator]] = frozenset((Operator.EMPTY,))


@dataclasses.dataclass(frozen=True, slots=True)
class Keyed:
    """A map from any string."""

    value: Leaf | Fields

    zero: ClassVar[Any] = {}
    operators: ClassVar[frozenset[Operator]] = frozenset((Operator.IN, Operator.EMPTY))


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """An object by the names of its fields, also what an endpoint's entries have."""

    types: Mapping[str, FieldType]

    zero: ClassVar[Any] = {}
    operators: ClassVar[frozenset[Operator]] = frozenset()


FieldType: TypeAlias = Leaf | Listed | Keyed | Fields

_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)"
)
_INTEGER_LIMIT = 2**63


def _integer(text: str) -> int:
    """Source: Go 1.26, `strconv.ParseInt` with base 0."""
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    digits = text.replace("_", "").lstrip("+-")
    # Counted before they are read: Python refuses some thousand digits with an error of its own.
    is_octal = digits[0] == "0" and digits[1:2].isdigit()
    number = _INTEGER_LIMIT + 1 if len(digits) > 66 else int(digits, 8 if is_octal else 0)
    number = -number if text[0] == "-" else number
    if not -_INTEGER_LIMIT <= number < _INTEGER_LIMIT:
        raise ValueError(f"strconv.ParseInt: parsing {quote(text)}: value out of range")
    return number


def _boolean(text: str) -> bool:
    """Source: Go 1.26, `strconv.ParseBool`."""
    if text not in ("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text[0] in "1tT"


TEXT = Leaf("", frozenset((Operator.EQUAL, Operator.IN, Operator.MATCHES)), str)
TEXTS = Leaf((), frozenset((Operator.IN, Operator.EMPTY)), str)
INTEGER = Leaf(0, frozenset((Operator.EQUAL,)), _integer)
BOOLEAN = Leaf(False, frozenset((Operator.EQUAL,)), _boolean)


# ---- the schemas: Consul 1.9's, with the fields of later versions and Regista's own ----


def _fields(
    *, texts: str = "", integers: str = "", booleans: str = "", more: dict[str, FieldType] | None = None
) -> Fields:
    """The fields of these names, separated by spaces."""
    types: dict[str, FieldType] = dict.fromkeys(texts.split(), TEXT)
    return Fields(
        types | dict.fromkeys(integers.split(), INTEGER) | dict.fromkeys(booleans.split(), BOOLEAN) | (more or {})
    )


_ADDRESSES = Keyed(_fields(texts="Address", integers="Port"))
_WEIGHTS = _fields(integers="Passing Warning")
_CONNECT = _fields(booleans="Native")
_LOCALITY = _fields(texts="Region Zone")
_MESH_GATEWAY = _fields(texts="Mode")
_EXPOSED_PATHS = Listed(
    _fields(texts="Path Protocol", integers="ListenerPort LocalPathPort", booleans="ParsedFromCheck")
)
_PROXY = _fields(
    texts="DestinationServiceName DestinationServiceID LocalServiceAddress LocalServiceSocketPath Mode",
    integers="LocalServicePort",
    more={
        "MeshGateway": _MESH_GATEWAY,
        "TransparentProxy": _fields(integers="OutboundListenerPort", booleans="DialedDirectly"),
        "Expose": _fields(booleans="Checks", more={"Paths": _EXPOSED_PATHS}),
        "Upstreams": Listed(
            _fields(
                texts="DestinationType DestinationNamespace DestinationPartition DestinationPeer DestinationName "
                "Datacenter LocalBindAddress LocalBindSocketPath LocalBindSocketMode",
                integers="LocalBindPort",
                more={"MeshGateway": _MESH_GATEWAY},
            )
        ),
    },
)

NODE_FIELDS = _fields(
    texts="ID Node Address Datacenter PeerName Partition Manager",
    more={"TaggedAddresses": Keyed(TEXT), "Meta": Keyed(TEXT), "Locality": _LOCALITY},
)
"""Of catalog/nodes, and of the nodes in other entries."""

NODE_SERVICE_FIELDS = _fields(
    texts="Kind ID Service Address SocketPath PeerName Manager Incarnation",
    integers="Port",
    booleans="EnableTagOverride",
    more={
        "Tags": TEXTS,
        "TaggedAddresses": _ADDRESSES,
        "Meta": Keyed(TEXT),
        "Weights": _WEIGHTS,
        "Proxy": _PROXY,
        "Connect": _CONNECT,
        "Locality": _LOCALITY,
    },
)
"""Of the services in catalog/node and catalog/node-services, and of the instances in other entries."""

AGENT_SERVICE_FIELDS = Fields({**NODE_SERVICE_FIELDS.types, "Datacenter": TEXT})
"""Of agent/services."""

SERVICE_NODE_FIELDS = _fields(
    texts="ID Node Address Datacenter ServiceKind ServiceID ServiceName ServiceAddress ServiceSocketPath PeerName "
    "ServiceManager ServiceIncarnation",
    integers="ServicePort",
    booleans="ServiceEnableTagOverride",
    more={
        "TaggedAddresses": Keyed(TEXT),
        "NodeMeta": Keyed(TEXT),
        "ServiceTags": TEXTS,
        "ServiceTaggedAddresses": _ADDRESSES,
        "ServiceMeta": Keyed(TEXT),
        "ServiceWeights": _WEIGHTS,
        "ServiceProxy": _PROXY,
        "ServiceConnect": _CONNECT,
        "ServiceLocality": _LOCALITY,
    },
)
"""Of catalog/service and catalog/connect."""

HEALTH_CHECK_FIELDS = _fields(
    texts="Node CheckID Name Status Notes Output ServiceID ServiceName Type Interval Timeout PeerName Manager",
    integers="ExposedPort",
    more={"ServiceTags": TEXTS},
)
"""Of health/node, health/checks, health/state and agent/checks."""

CHECK_SERVICE_NODE_FIELDS = _fields(
    more={"Node": NODE_FIELDS, "Service": NODE_SERVICE_FIELDS, "Checks": Listed(HEALTH_CHECK_FIELDS)}
)
"""Of health/service and health/connect."""


# ---- from a tree to functions ----


def _bind(tree: Expression, schema: Fields, allowance: Allowance) -> Filter:
    if isinstance(tree, Match):
        return _bind_match(tree, schema, allowance)
    if isinstance(tree, Not):
        test = _bind(tree.term, schema, allowance)
        return lambda entry: not test(entry)
    tests = [_bind(term, schema, allowance) for term in tree.terms]
    join = _both if isinstance(tree, And) else _either
    # Joined in halves, so that a hundred terms are seven calls deep.
    while len(tests) > 1:
        odd = tests[len(tests) & ~1 :]
        tests = [join(first, second) for first, second in zip(tests[::2], tests[1::2], strict=False)] + odd
    return tests[0]


def _both(first: Filter, second: Filter) -> Filter:
    return lambda entry: first(entry) and second(entry)


def _either(first: Filter, second: Filter) -> Filter:
    return lambda entry: first(entry) or second(entry)


def _bind_match(match: Match, schema: Fields, allowance: Allowance) -> Filter:
    field: FieldType = schema
    steps: list[Callable[[Filter], Filter]] = []
    for depth, part in enumerate(match.selector):
        if isinstance(field, Listed):
            steps.append(_through_list)
            field = field.element
        if isinstance(field, Fields) and part in field.types:
            field = field.types[part]
            steps.append(functools.partial(_through_field, part, field.zero))
        elif isinstance(field, Keyed):
            field = field.value
            steps.append(
                functools.partial(_through_key, part, match.is_negated != (match.operator is Operator.EMPTY))
            )
        else:
            raise _unknown_selector(match, match.selector[: depth + 1], schema)
    if match.operator not in field.operators:
        raise _wrong_operator(match, field)
    test = _test(match, field, allowance)
    for step in reversed(steps):
        test = step(test)
    return test


def _through_field(name: str, zero: Any, test: Filter) -> Filter:
    def look(entry: Any) -> bool:
        value = entry.get(name)
        return test(zero if value is None else value)

    return look


def _through_key(key: str, is_true_without: bool, test: Filter) -> Filter:  # noqa: FBT001  given by position only
    def look(entry: Any) -> bool:
        value = entry.get(key)
        return is_true_without if value is None else test(value)

    return look


def _through_list(test: Filter) -> Filter:
    def look(entries: Any) -> bool:
        for entry in entries:  # noqa: SIM110  any() over a generator takes twice as long
            if test(entry):
                return True
        return False

    return look


def _test(match: Match, field: FieldType, allowance: Allowance) -> Filter:
    """The question to the field's own value."""
    is_negated = match.is_negated
    if match.operator is Operator.EMPTY:
        return bool if is_negated else lambda value: not value
    if match.operator is Operator.MATCHES:
        search = compile_pattern(match, allowance)
        return (lambda value: not search(value)) if is_negated else search
    wanted = _coerced(match, field)
    if match.operator is Operator.IN:
        return (lambda value: wanted not in value) if is_negated else lambda value: wanted in value
    return (lambda value: value != wanted) if is_negated else lambda value: value == wanted


def _coerced(match: Match, field: FieldType) -> Any:
    if not isinstance(field, Leaf):
        return match.value
    try:
        return field.coerce(match.value)
    except ValueError as error:
        raise bad_filter(
            f"Failed to coerce value {quote(match.value)} for selector {quote(match.path)}: {error} "
            f"({match.position})"
        ) from None


# ---- errors ----


_WORDS = {
    Operator.EQUAL: "==, !=",
    Operator.IN: "in, contains",
    Operator.EMPTY: "is empty",
    Operator.MATCHES: "matches",
}


def _wrong_operator(match: Match, field: FieldType) -> BadInput:
    words = [_WORDS[each] for each in Operator if each in field.operators]
    hint = f"it takes {', '.join(words)}"
    if isinstance(field, Fields):
        hint = f"select one of its fields: {', '.join(field.types)}"
    return bad_filter(
        f'Invalid match operator "{match.operator_name}" for selector {quote(match.path)} '
        f"({match.position}); {hint}"
    )


def _unknown_selector(match: Match, path: tuple[str, ...], schema: Fields) -> BadInput:
    nearest = _nearest(match.selector, schema)
    hint = f"did you mean {quote(nearest)}?" if nearest else f"there are {', '.join(schema.types)}"
    return bad_filter(f"Selector {quote('.'.join(path))} is not valid ({match.position}); {hint}")


def _nearest(selector: tuple[str, ...], schema: Fields) -> str:
    """The selector that a caller most probably meant; "" for none."""
    known = {_fold(name): name for name in _selectors(schema)}
    of_last_part = [key for key, name in known.items() if _fold(name.rpartition(".")[2]) == _fold(selector[-1])]
    cutoff = 0.0 if of_last_part else 0.6
    near = difflib.get_close_matches(_fold(".".join(selector)), of_last_part or known, n=1, cutoff=cutoff)
    return known[near[0]] if near else ""


def _fold(name: str) -> str:
    # No selector is longer than this, and the comparison takes time with the square of it.
    return name[:64].replace(".", "").replace("_", "").lower()


def _selectors(field: FieldType, path: str = "") -> Iterator[str]:
    if isinstance(field, Listed):
        field = field.element
    if isinstance(field, Fields):
        for name, each in field.types.items():
            if each.operators:
                yield f"{path}{name}"
            yield from _selectors(each, f"{path}{name}.")
