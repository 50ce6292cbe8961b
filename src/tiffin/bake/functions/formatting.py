"""`format` and `formatlist`: Go's verbs on values.

Pure.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

from tiffin.bake.functions.encoding import to_json
from tiffin.bake.functions.texts import bounded, clusters
from tiffin.bake.language.values import BadValueError, Value, to_bool, to_number, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

_VERB = re.compile(
    r"%(?P<flags>[-+# 0]*)(?P<width>\d{1,4})?(?:\.(?P<precision>\d{0,4}))?"
    r"(?:\[(?P<at>\d{1,4})\])?(?P<verb>.?)",
    re.DOTALL,
)
_NEXT = re.compile(r"%")


def format_text(template: str, *arguments: Value) -> str:
    """Return `template` with its verbs replaced by the arguments; all of them must be used."""
    found: list[str] = []
    position = following = used = 0
    while (start := _NEXT.search(template, position)) is not None:
        found.append(template[position : start.start()])
        verb = _VERB.match(template, start.start())
        assert verb is not None
        position = verb.end()
        if verb["verb"] == "%":
            found.append("%")
            continue
        at = int(verb["at"]) if verb["at"] else following + 1
        if not 1 <= at <= len(arguments):
            raise BadValueError(
                f"{verb[0]!r} needs argument {at}, and {len(arguments)} are given to the template"
            )
        following, used = at, max(used, at)
        found.append(_one(verb, arguments[at - 1]))
    if used < len(arguments):
        raise BadValueError(f"the template uses only {used} of {len(arguments)} arguments")
    found.append(template[position:])
    return bounded("".join(found))


def _one(verb: re.Match[str], value: Value) -> str:
    flags, precision = verb["flags"], verb["precision"]
    try:
        text, numeric = _shape(verb["verb"], flags, None if precision is None else int(precision or 0), value)
    except BadValueError as error:
        raise BadValueError(f"{verb[0]!r}: {error.message}") from error
    missing = int(verb["width"] or 0) - len(clusters(text))
    if missing <= 0:
        return text
    if "-" in flags:
        return text + " " * missing
    if "0" in flags and numeric:
        sign = text[:1] if text[:1] in "+- " else ""
        return sign + "0" * missing + text[len(sign) :]
    return " " * missing + text


def _shape(verb: str, flags: str, precision: int | None, value: Value) -> tuple[str, bool]:
    """Return the text without padding, and whether it is a number."""
    match verb:
        case "v":
            return _natural(value, literal="#" in flags), isinstance(value, Decimal)
        case "t":
            return ("true" if to_bool(value) else "false"), False
        case "s" | "q":
            text = to_text(value)
            if precision is not None:
                text = "".join(clusters(text)[:precision])
            return (json.dumps(text, ensure_ascii=False) if verb == "q" else text), False
        case "d" | "b" | "o" | "x" | "X":
            return _signed(format(abs(_integer(value)), verb), flags, _integer(value) < 0), True
        case "e" | "E" | "f" | "F" | "g" | "G":
            number = to_number(value)
            return _signed(_float(abs(number), verb, precision), flags, number < 0), True
        case _:
            raise BadValueError("there is no such verb")


def _natural(value: Value, *, literal: bool) -> str:
    if isinstance(value, str) and not literal:
        return value
    return to_json(value)


def _integer(value: Value) -> int:
    number = to_number(value)
    if number != number.to_integral_value():
        raise BadValueError("a whole number is needed")
    return int(number)


def _signed(text: str, flags: str, negative: bool) -> str:
    return ("-" if negative else "+" if "+" in flags else " " if " " in flags else "") + text


def _float(number: Decimal, verb: str, precision: int | None) -> str:
    if verb in "gG" and precision is None:
        text = repr(float(number)).removesuffix(".0")
        return re.sub(r"e([+-])(\d)$", r"e\g<1>0\2", text).upper() if verb == "G" else text
    return format(
        number if verb in "fF" else float(number), f".{6 if precision is None else precision}{verb}"
    )


def _format_list(template: str, *arguments: Value) -> Value:
    lengths = {len(argument) for argument in arguments if isinstance(argument, tuple)}
    if len(lengths) > 1:
        raise BadValueError("the lists differ in length")
    rows = lengths.pop() if lengths else 1
    return tuple(
        format_text(template, *(item[row] if isinstance(item, tuple) else item for item in arguments))
        for row in range(rows)
    )


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "format": ("sz*", format_text),
    "formatlist": ("sz*", _format_list),
}
