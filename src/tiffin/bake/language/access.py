"""Parts of values: what a map has under a name, what a list has at an index.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.bake.language.text import invalid
from tiffin.bake.language.values import BadValueError, SetOf, Value, kind, to_number, to_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.bake.language.text import Place


def attribute(value: Value, name: str, place: Place | None) -> Value:
    """Return what a map has under `name`."""
    if not isinstance(value, dict):
        raise invalid(f"there is no {name} in {kind(value)}", place)
    if name not in value:
        raise invalid(f"there is no {name} in this map", place, hint=has(value))
    return value[name]


def has(names: Mapping[str, object]) -> str:
    """Return a hint that tells the names there are."""
    shown = [name[:40] for name in sorted(names)[:12]]
    return f"there are: {', '.join(shown)}" if shown else "it is empty"


def index(value: Value, key: Value, place: Place | None) -> Value:
    """Return the element of `value` at `key`."""
    match value:
        case SetOf():
            raise invalid("the elements of a set have no index", place)
        case tuple():
            try:
                position = to_number(key)
            except BadValueError as error:
                raise invalid(f"as the index of a list, {error.message}", place) from error
            if position != position.to_integral_value() or not 0 <= position < len(value):
                raise invalid(f"there is no element {to_text(position)} in a list of {len(value)}", place)
            return value[int(position)]
        case dict():
            return attribute(value, to_text(key) if key is not None else "null", place)
        case _:
            raise invalid(f"{kind(value)} has no elements", place)
