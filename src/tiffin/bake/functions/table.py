"""Every function that expressions may call, and what it takes.

Pure, but for `timestamp`, `homedir` and `uuidv4`, whose answers the caller brings. The
letters of a signature are: s text, n number, b bool, l list, m map, a any value, z any
value or null; a `*` says that the last may come any number of times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.bake.functions import (
    addresses,
    collections,
    dates,
    encoding,
    formatting,
    numbers,
    patterns,
    texts,
)
from tiffin.bake.functions.versions import satisfies
from tiffin.bake.language.values import BadValueError, Value, kind, to_bool, to_number, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MODULES = (addresses, collections, dates, encoding, formatting, numbers, patterns, texts)


class Function(NamedTuple):
    """A signature, and what to call with the converted arguments."""

    signature: str
    act: Callable[..., Value]


TABLE: dict[str, Function] = {
    name: Function(signature, act)
    for module in _MODULES
    for name, (signature, act) in module.FUNCTIONS.items()
} | {"semvercmp": Function("ss", satisfies)}

# In buildx, and not here, with what to do instead.
ABSENT = {
    "bcrypt": "hash it beforehand and hand it over as a variable",
    "rsadecrypt": "decrypt it beforehand and hand it over as a variable",
}


def call(name: str, arguments: Sequence[Value]) -> Value:
    """Return what the function gives; arguments that do not fit are a BadValueError."""
    signature, act = TABLE[name]
    many = signature.endswith("*")
    letters = signature.rstrip("*")
    least = len(letters) - 1 if many else len(letters)
    if len(arguments) < least or (len(arguments) > least and not many):
        count = f"at least {least}" if many else least
        raise BadValueError(
            f"{name} takes {count} argument{'' if least == 1 else 's'}, and was given {len(arguments)}"
        )
    converted = []
    for number, argument in enumerate(arguments):
        letter = letters[min(number, len(letters) - 1)]
        try:
            converted.append(_convert(argument, letter))
        except BadValueError as error:
            raise BadValueError(f"argument {number + 1} of {name}: {error.message}") from error
    try:
        return act(*converted)
    except BadValueError as error:
        raise BadValueError(f"{name}: {error.message}") from error


def _convert(value: Value, letter: str) -> Value:
    match letter, value:
        case "z", _:
            return value
        case _, None:
            raise BadValueError("null cannot be used here")
        case "s", _:
            return to_text(value)
        case "n", _:
            return to_number(value)
        case "b", _:
            return to_bool(value)
        case "l", tuple():
            return value
        case "m", dict():
            return value
        case "a", _:
            return value
        case _:
            needed = "a list" if letter == "l" else "a map"
            raise BadValueError(f"{needed} is needed, and this is {kind(value)}")
