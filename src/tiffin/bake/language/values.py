"""The values of expressions: text, number, bool, null, sequences and mappings.

Pure. Numbers are decimals of 154 digits, which is the precision that HCL asks of an
implementation; mappings are read in the order of their keys, as HCL has it.
"""

from __future__ import annotations

from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import TypeAlias, Union

# Written out, a number has at most this many digits before or behind its point.
_LONGEST = 4096
NUMBERS = Context(prec=154, Emax=_LONGEST, Emin=-_LONGEST, traps=[InvalidOperation, DivisionByZero, Overflow])

Value: TypeAlias = Union[str, bool, Decimal, tuple["Value", ...], dict[str, "Value"], None]  # noqa: UP007 - a name in quotes


class SetOf(tuple[Value, ...]):
    """A set: its elements once each, in order; it cannot be indexed."""

    __slots__ = ()


class BadValueError(Exception):
    """A value is not what is needed; the one who knows the place tells it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def number(value: int | str) -> Decimal:
    """Return a number; it is an error if it has no finite decimal of the size that is kept."""
    try:
        return NUMBERS.create_decimal(value)
    except (InvalidOperation, Overflow) as error:
        raise BadValueError(f"{str(value)[:40]!r} is not a number") from error


def kind(value: Value) -> str:
    """Name the kind of a value, for messages."""
    match value:
        case None:
            return "null"
        case bool():
            return "a bool"
        case str():
            return "a string"
        case Decimal():
            return "a number"
        case SetOf():
            return "a set"
        case tuple():
            return "a list"
        case dict():
            return "a map"


def write_number(value: Decimal) -> str:
    """Return a number as text, without exponent and without needless zeros."""
    if value == value.to_integral_value(context=NUMBERS):
        text = format(NUMBERS.quantize(value, Decimal(1)) if value.adjusted() < NUMBERS.prec else value, "f")
    else:
        text = format(value, "f").rstrip("0")
    return "0" if text == "-0" else text


def to_text(value: Value) -> str:
    """Return a scalar as text."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Decimal():
            return write_number(value)
        case None:
            raise BadValueError("a string is needed, and this is null")
        case _:
            raise BadValueError(f"a string is needed, and this is {kind(value)}")


def to_number(value: Value) -> Decimal:
    """Return a number, also of the text of one."""
    match value:
        case Decimal():
            return value
        case str() if (text := value.strip()) == value and text[:1] in "-+.0123456789" and "_" not in text:
            return number(text)
        case _:
            raise BadValueError(f"a number is needed, and this is {_shown(value)}")


def to_bool(value: Value) -> bool:
    """Return a bool, also of the texts `true`, `false`, `1` and `0`."""
    match value:
        case bool():
            return value
        case "true" | "1":
            return True
        case "false" | "0":
            return False
        case _:
            raise BadValueError(f"a bool is needed, and this is {_shown(value)}")


def _shown(value: Value) -> str:
    return f"{value[:40]!r}" if isinstance(value, str) else kind(value)


def entries(value: Value) -> list[tuple[Value, Value]]:
    """Return keys and values of a collection in order."""
    match value:
        case SetOf():
            return [(item, item) for item in value]
        case tuple():
            return [(Decimal(index), item) for index, item in enumerate(value)]
        case dict():
            return [(key, value[key]) for key in sorted(value)]
        case None:
            raise BadValueError("a list or a map is needed, and this is null")
        case _:
            raise BadValueError(f"a list or a map is needed, and this is {kind(value)}")


def equal(left: Value, right: Value) -> bool:
    """Whether two values are of one kind and the same."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, tuple) and isinstance(right, tuple):
        return len(left) == len(right) and all(equal(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[key], right[key]) for key in left)
    return type(left) is type(right) and left == right


def rank(value: Value) -> tuple[int, str | Decimal]:
    """Return what sets are ordered by: bools, numbers, texts, and then the rest by what they look like."""
    match value:
        case bool():
            return 0, Decimal(value)
        case Decimal():
            return 1, value
        case str():
            return 2, value
        case _:
            return 3, repr(value)


def set_of(items: tuple[Value, ...] | list[Value]) -> SetOf:
    """Return the set of `items`."""
    found: list[Value] = []
    for item in sorted(items, key=_sort_key):
        if not found or not equal(found[-1], item):
            found.append(item)
    return SetOf(found)


def _sort_key(value: Value) -> tuple[int, str | Decimal]:
    return rank(value)


def unify(values: list[Value]) -> list[Value]:
    """Give values one kind where HCL would: numbers and bools among texts become texts, inside too.

    Values that have no kind in common are a BadValueError.
    """
    present = [value for value in values if value is not None]
    if all(isinstance(value, str | bool | Decimal) for value in present):
        if len({type(value) for value in present}) > 1:
            if not any(isinstance(value, str) for value in present):
                raise BadValueError("a number and a bool have no type in common")
            return [value if value is None else to_text(value) for value in values]
        return values
    if all(isinstance(value, tuple) for value in present):
        return _unify_lists(values)
    if all(isinstance(value, dict) for value in present):
        return _unify_maps(values)
    raise BadValueError("they have no type in common")


def _unify_lists(values: list[Value]) -> list[Value]:
    lists = [value for value in values if isinstance(value, tuple)]
    if len({len(value) for value in lists}) == 1:
        columns = [iter(unify(list(column))) for column in zip(*lists, strict=True)]
        return [
            type(value)([next(column) for column in columns]) if isinstance(value, tuple) else value
            for value in values
        ]
    flat = [item for value in lists for item in value]
    unified = iter(unify(flat))
    return [
        type(value)([next(unified) for _ in value]) if isinstance(value, tuple) else value for value in values
    ]


def _unify_maps(values: list[Value]) -> list[Value]:
    maps = [value for value in values if isinstance(value, dict)]
    if len({frozenset(value) for value in maps}) == 1:  # objects with the same attributes keep their kinds
        columns = {key: iter(unify([value[key] for value in maps])) for key in maps[0]}
        return [
            {key: next(columns[key]) for key in value} if isinstance(value, dict) else value
            for value in values
        ]
    unified = iter(unify([item for value in maps for item in value.values()]))
    return [{key: next(unified) for key in value} if isinstance(value, dict) else value for value in values]
