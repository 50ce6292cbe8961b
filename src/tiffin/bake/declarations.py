"""Blocks that define variables and functions → values, and what a block may hold.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.language.ast import Attribute, Literal, TupleOf, keyword
from tiffin.bake.language.text import invalid
from tiffin.bake.language.typeexpr import Type, parse_type
from tiffin.dockerfile.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.bake.language.ast import Block, Expression
    from tiffin.bake.language.text import Place

_VARIABLE = ("default", "type", "description")
_FUNCTION = ("params", "variadic_params", "result")


class Variable(NamedTuple):
    """A `variable` block."""

    name: str
    default: Expression | None
    declared: Type | None
    description: str
    validations: tuple[Block, ...]
    place: Place


class Function(NamedTuple):
    """A `function` block: names of its parameters, and what it gives."""

    name: str
    parameters: tuple[str, ...]
    rest: str | None
    result: Expression
    place: Place


def attributes_of(block: Block, known: Sequence[str], inner: Sequence[str] = ()) -> dict[str, Attribute]:
    """Return the attributes of a block; those that it cannot have are refused, with the nearest name."""
    for name, attribute in block.body.attributes.items():
        if name not in known:
            hint = did_you_mean(name, known, f"it can have: {', '.join(known)}")
            raise invalid(
                f"a {block.kind} has no attribute {name!r}", attribute.place, hint=hint, code="bake-attribute"
            )
    for block_inside in block.body.blocks:
        if block_inside.kind not in inner:
            hint = f"write {block_inside.kind} = {{" if block_inside.kind in known else ""
            raise invalid(f"a {block.kind} has no block {block_inside.kind!r}", block_inside.place, hint=hint)
    return block.body.attributes


def needed(block: Block, name: str) -> Attribute:
    """Return an attribute that the block cannot do without."""
    found = block.body.attributes.get(name)
    if found is None:
        raise invalid(f"the {block.kind} has no {name}", block.place)
    return found


def read_variable(block: Block) -> Variable:
    """Return what a `variable` block says."""
    found = attributes_of(block, _VARIABLE, ("validation",))
    for validation in block.body.blocks:
        attributes_of(validation, ("condition", "error_message"))
    description = found.get("description")
    text = description.expression.value if description and isinstance(description.expression, Literal) else ""
    return Variable(
        block.labels[0],
        found["default"].expression if "default" in found else None,
        parse_type(found["type"].expression) if "type" in found else None,
        text if isinstance(text, str) else "",
        block.body.blocks,
        block.label_place,
    )


def read_function(block: Block) -> Function:
    """Return what a `function` block says."""
    found = attributes_of(block, _FUNCTION)
    parameters = needed(block, "params").expression
    if not isinstance(parameters, TupleOf):
        raise invalid("the parameters of a function are a list of names", parameters.place)
    names = [_name(item) for item in parameters.items]
    rest = _name(found["variadic_params"].expression) if "variadic_params" in found else None
    result = needed(block, "result").expression
    return Function(block.labels[0], tuple(names), rest, result, block.label_place)


def _name(expression: Expression) -> str:
    name = keyword(expression)
    if name is None:
        raise invalid("the name of a parameter is needed", expression.place)
    return name
