"""Templates of prepared queries: one definition for all names that begin alike.

Every text of a template's question may have `${…}` in it: `name.full`, `name.prefix`, `name.suffix`,
`agent.segment`, a text in quotes, or `match(N)`, what a group of the template's pattern matches in the name.
`$${` stands for `${`.

Source: Consul 1.9, prepared query templates (behaviour); of HIL's language, what queries are written with.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec

from regista.catalog.captures import Captures
from regista.model import BadInput, PreparedQuery

NAME_PREFIX_MATCH = "name_prefix_match"
TEMPLATE_TYPES = (NAME_PREFIX_MATCH,)

RENDERED_CHARACTERS_MAX = 4096
"""Of one text: `${name.full}` a thousand times must not make a large answer of a small query."""

_TOKEN = re.compile(r'\s*(?:([A-Za-z_][A-Za-z0-9_.\-]*)|([0-9]+)|"((?:[^"\\]|\\.)*)"|(\S))')


class Names:
    """What the expressions in a template can refer to, for one name.

    The suffix is what follows the prefix if the name begins with it as it is spelled, and else the whole name
    (Consul 1.9).
    """

    def __init__(self, template: PreparedQuery, name: str, captures: Captures | None) -> None:
        self.variables: Mapping[str, str] = {
            "name.full": name,
            "name.prefix": template.name,
            "name.suffix": name.removeprefix(template.name),
            "agent.segment": "",
        }
        self._captured = captures.search(name) if captures else ()

    def match(self, number: int) -> str:
        """What the group matches; "" if there is no such group, or no match."""
        return self._captured[number] if number < len(self._captured) else ""


Expression: TypeAlias = Callable[[Names], str]


class Template:
    """A template that is ready to be rendered.

    Raises:
        BadInput: it can't be used; in Consul's words.
    """

    def __init__(self, query: PreparedQuery) -> None:
        if query.template_type not in TEMPLATE_TYPES:
            raise _bad(f"Bad Template.Type '{query.template_type}'", "Template.Type")
        self._query = query
        try:
            self._captures = Captures(query.template_regexp) if query.template_regexp else None
        except ValueError as error:
            raise _bad(f"Bad Regexp: error parsing regexp: {error}", "Template.Regexp") from None

    def render(self, name: str) -> PreparedQuery:
        """The query for this name.

        Raises:
            BadInput: a text has an expression that is none; in Consul's words.
        """
        query = self._query
        names = Names(query, name, self._captures)

        def text(value: str, field: str) -> str:
            return _render(value, names, f"Service.{field}") if "$" in value else value

        def texts(values: tuple[str, ...] | None, field: str) -> tuple[str, ...] | None:
            return (
                values
                if values is None
                else tuple(text(value, f"{field}[{position}]") for position, value in enumerate(values))
            )

        def pairs(values: dict[str, str] | None, field: str) -> dict[str, str] | None:
            return (
                values
                if values is None
                else {key: text(value, f"{field}[{key}]") for key, value in values.items()}
            )

        tags = texts(query.tags, "Tags")
        if query.drops_empty_tags and tags is not None:
            tags = tuple(tag for tag in tags if tag)
        return msgspec.structs.replace(
            query,
            service=text(query.service, "Service"),
            failover_datacenters=texts(query.failover_datacenters, "Failover.Datacenters"),
            ignore_check_ids=texts(query.ignore_check_ids, "IgnoreCheckIDs"),
            near=text(query.near, "Near"),
            tags=tags,
            node_meta=pairs(query.node_meta, "NodeMeta"),
            service_meta=pairs(query.service_meta, "ServiceMeta"),
        )


def _render(value: str, names: Names, field: str) -> str:
    """The text with its expressions worked out."""
    pieces: list[str] = []
    at = 0
    while (mark := value.find("${", at)) >= 0:
        if value[mark - 1 : mark] == "$" and mark > at:
            pieces.append(value[at : mark - 1] + "${")
            at = mark + 2
            continue
        pieces.append(value[at:mark])
        expression, at = _ExpressionParser(value, mark + 2, field).parse()
        pieces.append(expression(names))
    pieces.append(value[at:])
    rendered = "".join(pieces)
    if len(rendered) > RENDERED_CHARACTERS_MAX:
        raise _bad(f"{field} comes to more than {RENDERED_CHARACTERS_MAX} characters", field)
    return rendered


class _ExpressionParser:
    """A reader of one expression; `_at` is behind the last token read."""

    def __init__(self, value: str, at: int, field: str) -> None:
        self._value = value
        self._at = at
        self._field = field

    def parse(self) -> tuple[Expression, int]:
        """The expression, and where the text goes on behind its closing brace."""
        name, _, text, _ = self._token("expression")
        if text is not None:
            literal = re.sub(r"\\(.)", r"\1", text)
            expression: Expression = lambda _names: literal  # noqa: E731 - as short as the others
        elif name is not None and self._value[self._at :].lstrip()[:1] == "(":
            expression = self._call(name)
        elif name is not None:
            expression = self._variable(name)
        else:
            raise self._format_error("expected an expression")
        self._expect("}")
        return expression, self._at

    def _variable(self, name: str) -> Expression:
        column = self._at - len(name) + 1
        field, value = self._field, self._value

        def evaluate(names: Names) -> str:
            if name not in names.variables:
                raise _bad(
                    f"Bad evaluation for '{value}' in {field}: 1:{column}: unknown variable accessed: {name}",
                    field,
                )
            return names.variables[name]

        return evaluate

    def _call(self, name: str) -> Expression:
        column = self._at - len(name) + 1
        if name != "match":
            raise _bad(
                f"Bad evaluation for '{self._value}' in {self._field}: 1:{column}: unknown function called: "
                f"{name}",
                self._field,
            )
        self._expect("(")
        _, digits, text, _ = self._token("argument")
        number = digits if digits is not None else text
        if number is None or not number.isascii() or not number.isdigit() or len(number) > 3:
            raise self._format_error("match takes one whole number, the number of a group")
        self._expect(")")
        group = int(number)
        return lambda names: names.match(group)

    def _expect(self, sign: str) -> None:
        if self._token(f'"{sign}"')[3] != sign:
            raise self._format_error(f'expected "{sign}"')

    def _token(self, wanted: str) -> tuple[str | None, str | None, str | None, str | None]:
        """The next name, number, text or sign."""
        found = _TOKEN.match(self._value, self._at)
        if found is None:
            self._at = len(self._value)
            raise self._format_error(f"expected {wanted} but found end of string", column=self._at + 1)
        self._at = found.end()
        return found[1], found[2], found[3], found[4]

    def _format_error(self, problem: str, *, column: int = 0) -> BadInput:
        return _bad(
            f"Bad format '{self._value}' in {self._field}: parse error at 1:{column or self._at}: {problem}",
            self._field,
        )


def _bad(problem: str, field: str) -> BadInput:
    return BadInput(f"failed compiling template: {problem}", field=field)
