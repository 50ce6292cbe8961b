"""Types: `list(string)` and the like, and the conversion of values to them.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.language.ast import Call, Literal, ObjectOf, TupleOf, Variable
from tiffin.bake.language.text import invalid
from tiffin.bake.language.values import BadValueError, Value, kind, set_of, to_bool, to_number, to_text

if TYPE_CHECKING:
    from tiffin.bake.language.ast import Expression

_SCALARS = ("string", "number", "bool", "any")
_COLLECTIONS = ("list", "set", "map")


class Type(NamedTuple):
    """A type: `name` with the `inner` type of a collection, or the `fields` of an object or a tuple."""

    name: str
    inner: Type | None = None
    fields: tuple[tuple[str, Type, bool], ...] = ()  # name, type, optional

    def __str__(self) -> str:
        if self.name == "object":
            fields = (f"{name}={f'optional({of})' if optional else of}" for name, of, optional in self.fields)
            return f"object({{{','.join(fields)}}})"
        if self.name == "tuple":
            return f"tuple([{','.join(str(of) for _, of, _ in self.fields)}])"
        return f"{self.name}({self.inner})" if self.inner else self.name

    @property
    def familiar(self) -> str:
        """The type in words, as lists show it: `list of string`."""
        return f"{self.name} of {self.inner.familiar}" if self.inner else self.name


ANY = Type("any")


def parse_type(expression: Expression) -> Type:
    """Return the type that an expression writes; anything else is an InvalidError."""
    match expression:
        case Variable(name, _) if name in _SCALARS:
            return Type(name)
        case Literal(str() as name, _) if name in _SCALARS:  # JSON has no bare words
            return Type(name)
        case Variable(name, _) if name in _COLLECTIONS:
            return Type(name, ANY)
        case Call(name, (inner,), False, _, _) if name in _COLLECTIONS:
            return Type(name, parse_type(inner))
        case Call("tuple", (TupleOf(items, _),), False, _, _):
            return Type("tuple", None, tuple(("", parse_type(item), False) for item in items))
        case Call("object", (ObjectOf(items, _),), False, _, _):
            return Type("object", None, tuple(_field(key, of) for key, of in items))
        case _:
            raise invalid(
                "this is no type",
                expression.place,
                hint="types are string, number, bool, any, list(…), set(…), map(…), object({…}), tuple([…])",
            )


def _field(key: Expression, of: Expression) -> tuple[str, Type, bool]:
    if not isinstance(key, Literal) or not isinstance(key.value, str):
        raise invalid("the attributes of an object type are plain names", key.place)
    if isinstance(of, Call) and of.name == "optional" and of.arguments:
        return key.value, parse_type(of.arguments[0]), True
    return key.value, parse_type(of), False


def convert(value: Value, wanted: Type) -> Value:
    """Return `value` as one of the type `wanted`; what cannot be is a BadValueError. null stays null."""
    if value is None or wanted.name == "any":
        return value
    match wanted.name:
        case "string":
            return to_text(value)
        case "number":
            return to_number(value)
        case "bool":
            return to_bool(value)
        case "map" if isinstance(value, dict):
            return {key: convert(item, wanted.inner or ANY) for key, item in value.items()}
        case "list" if isinstance(value, tuple):
            return tuple(convert(item, wanted.inner or ANY) for item in value)
        case "set" if isinstance(value, tuple):
            return set_of([convert(item, wanted.inner or ANY) for item in value])
        case "tuple" if isinstance(value, tuple):
            if len(value) != len(wanted.fields):
                raise BadValueError(f"a tuple of {len(wanted.fields)} is needed, and this has {len(value)}")
            pairs = zip(value, wanted.fields, strict=True)
            return tuple(convert(item, of) for item, (_, of, _) in pairs)
        case "object" if isinstance(value, dict):
            return _object(value, wanted)
    raise BadValueError(f"a {wanted} is needed, and this is {kind(value)}")


def _object(value: dict[str, Value], wanted: Type) -> Value:
    found: dict[str, Value] = {}
    for name, of, optional in wanted.fields:
        if name not in value and not optional:
            raise BadValueError(f"the attribute {name} is missing")
        found[name] = convert(value.get(name), of)
    return found
