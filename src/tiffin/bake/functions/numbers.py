"""Functions on numbers, bools and comparisons.

Pure.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, InvalidOperation, Overflow
from typing import TYPE_CHECKING

from tiffin.bake.language.values import NUMBERS, BadValueError, Value, equal, number

if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_MOST = 1024


def _counted(act: Callable[[], Decimal]) -> Decimal:
    try:
        return act()
    except Overflow as error:
        raise BadValueError("the number is too large") from error
    except (InvalidOperation, ZeroDivisionError) as error:
        raise BadValueError("there is no such number") from error


def _whole(rounding: str) -> Callable[[Decimal], Decimal]:
    def act(value: Decimal) -> Decimal:
        return value.to_integral_value(rounding=rounding)

    return act


def _floats(act: Callable[[float, float], float], one: Decimal, other: Decimal) -> Decimal:
    """As the reference does it: in double precision."""
    try:
        return number(repr(act(float(one), float(other))))
    except (ValueError, OverflowError, ZeroDivisionError, TypeError) as error:
        raise BadValueError("there is no such number") from error


def _power(base: Decimal, exponent: Decimal) -> Decimal:
    return _floats(lambda one, other: one**other, base, exponent)


def _log(value: Decimal, base: Decimal) -> Decimal:
    return _floats(lambda one, other: math.log(one) / math.log(other), value, base)


def _parse(text: str, base: Decimal) -> Decimal:
    if base != int(base) or not 2 <= base <= 62:
        raise BadValueError("the base must be a whole number from 2 to 62")
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    # up to base 36 the case does not matter, above it the capitals are digits of their own
    alphabet = _DIGITS + _DIGITS[10:].upper()
    found = 0
    for char in digits.lower() if base <= 36 else digits:
        value = alphabet.find(char)
        if not 0 <= value < base:
            raise BadValueError(f"{text[:40]!r} is not a whole number of base {base}")
        found = found * int(base) + value
    if not digits:
        raise BadValueError(f"{text[:40]!r} is not a whole number of base {base}")
    return number(sign * found)


def _range(*bounds: Decimal) -> Value:
    if not 1 <= len(bounds) <= 3:
        raise BadValueError("one, two or three numbers are needed")
    start, end = (Decimal(0), bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = bounds[2] if len(bounds) == 3 else Decimal(1 if end >= start else -1)
    found: list[Value] = []
    while (start < end) if step >= 0 else (start > end):
        if len(found) == _MOST:
            raise BadValueError(f"more than {_MOST} numbers")
        found.append(start)
        start = NUMBERS.add(start, step)
    return tuple(found)


def _extreme(choose: Callable[[tuple[Decimal, ...]], Decimal]) -> Callable[..., Decimal]:
    def act(*values: Decimal) -> Decimal:
        if not values:
            raise BadValueError("at least one number is needed")
        return choose(values)

    return act


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "absolute": ("n", abs),
    "add": ("nn", lambda a, b: _counted(lambda: NUMBERS.add(a, b))),
    "and": ("bb", lambda a, b: a and b),
    "ceil": ("n", _whole(ROUND_CEILING)),
    "divide": ("nn", lambda a, b: _counted(lambda: NUMBERS.divide(a, b))),
    "equal": ("zz", equal),
    "floor": ("n", _whole(ROUND_FLOOR)),
    "greaterthan": ("nn", lambda a, b: a > b),
    "greaterthanorequalto": ("nn", lambda a, b: a >= b),
    "int": ("n", _whole(ROUND_DOWN)),
    "lessthan": ("nn", lambda a, b: a < b),
    "lessthanorequalto": ("nn", lambda a, b: a <= b),
    "log": ("nn", _log),
    "max": ("n*", _extreme(max)),
    "min": ("n*", _extreme(min)),
    "modulo": ("nn", lambda a, b: _counted(lambda: NUMBERS.remainder(a, b))),
    "multiply": ("nn", lambda a, b: _counted(lambda: NUMBERS.multiply(a, b))),
    "negate": ("n", NUMBERS.minus),
    "not": ("b", lambda a: not a),
    "notequal": ("zz", lambda a, b: not equal(a, b)),
    "or": ("bb", lambda a, b: a or b),
    "parseint": ("sn", _parse),
    "pow": ("nn", _power),
    "range": ("n*", _range),
    "signum": ("n", lambda a: Decimal((a > 0) - (a < 0))),
    "subtract": ("nn", lambda a, b: _counted(lambda: NUMBERS.subtract(a, b))),
}
