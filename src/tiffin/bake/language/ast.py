"""Expressions and bodies of a bake file, whether it was written as HCL or as JSON.

Pure values. Every node knows its place. Chains of operators and of `.name[0]` steps
are flat, so that a long one does not nest.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from tiffin.bake.language.text import Place
from tiffin.bake.language.values import Value


class Literal(Struct, frozen=True):
    """A number, a bool, null, or text without interpolation."""

    value: Value
    place: Place


class Variable(Struct, frozen=True):
    """A name that stands for a value."""

    name: str
    place: Place


class GetName(Struct, frozen=True):
    """The step `.name`."""

    name: str
    place: Place


class GetIndex(Struct, frozen=True):
    """The step `[key]`."""

    key: Expression
    place: Place


class Splat(Struct, frozen=True):
    """The step `[*]` or `.*`, with those that are taken on each element."""

    each: tuple[GetName | GetIndex, ...]
    place: Place


class Traverse(Struct, frozen=True):
    """Steps into a value."""

    base: Expression
    steps: tuple[GetName | GetIndex | Splat, ...]
    place: Place


class Call(Struct, frozen=True):
    """A function call; `spread` says that the last argument is a list of arguments."""

    name: str
    arguments: tuple[Expression, ...]
    spread: bool
    name_place: Place
    place: Place


class Unary(Struct, frozen=True):
    """`-x` or `!x`."""

    operator: str
    operand: Expression
    place: Place


class Chain(Struct, frozen=True):
    """Operators of one precedence, from left to right."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]
    place: Place


class Conditional(Struct, frozen=True):
    """`condition ? yes : no`."""

    condition: Expression
    yes: Expression
    no: Expression
    place: Place


class TupleOf(Struct, frozen=True):
    """`[a, b]`."""

    items: tuple[Expression, ...]
    place: Place


class ObjectOf(Struct, frozen=True):
    """`{ a = 1 }`; a bare key is a Literal."""

    items: tuple[tuple[Expression, Expression], ...]
    place: Place


class For(Struct, frozen=True):
    """`[for k, v in c: v if x]`, or with a `key` the form in braces; `group` is its `...`."""

    key_name: str | None
    value_name: str
    collection: Expression
    key: Expression | None
    value: Expression
    condition: Expression | None
    group: bool
    place: Place


class TemplateIf(Struct, frozen=True):
    """`%{ if c }…%{ else }…%{ endif }`."""

    condition: Expression
    yes: Template
    no: Template
    place: Place


class TemplateFor(Struct, frozen=True):
    """`%{ for x in c }…%{ endfor }`."""

    key_name: str | None
    value_name: str
    collection: Expression
    body: Template
    place: Place


class Template(Struct, frozen=True):
    """Text with interpolations and directives; `parts` joined make the text."""

    parts: tuple[Expression | TemplateIf | TemplateFor, ...]
    place: Place


Expression: TypeAlias = (
    "Literal | Variable | Traverse | Call | Unary | Chain | Conditional | TupleOf | ObjectOf | For | Template"
)


class Attribute(Struct, frozen=True):
    """`name = expression`."""

    name: str
    expression: Expression
    place: Place


class Block(Struct, frozen=True):
    """`kind "label" { body }`."""

    kind: str
    labels: tuple[str, ...]
    body: Body
    place: Place
    label_place: Place


class Body(Struct, frozen=True):
    """Attributes by name, and blocks in their order."""

    attributes: dict[str, Attribute]
    blocks: tuple[Block, ...]


def keyword(expression: Expression) -> str | None:
    """Return the bare word that `expression` is: an identifier, or in JSON a text of one."""
    if isinstance(expression, Variable):
        return expression.name
    if isinstance(expression, Literal) and isinstance(expression.value, str):
        return expression.value if expression.value.replace("-", "_").isidentifier() else None
    return None
