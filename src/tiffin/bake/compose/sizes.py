"""Sizes and limits in the forms of a Compose file.

Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.bake.language.values import BadValueError
from tiffin.engine.size import size_in_bytes

if TYPE_CHECKING:
    from tiffin.bake.compose.document import Plain

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(text: str) -> str:
    """Return a size as the reference writes it: with four digits, in the largest unit that it fills."""
    found = size_in_bytes(text)
    if found is None:
        raise BadValueError(f"{text[:40]!r} is not a size like 128m")
    size, unit = float(found), 0
    while size >= 1024 and unit < len(_UNITS) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.4g}{_UNITS[unit]}"


def ulimit_texts(value: Plain) -> tuple[str, ...]:
    """Return limits as NAME=SOFT:HARD."""
    if not isinstance(value, dict):
        raise BadValueError("a map is needed")
    found = []
    for name, limit in value.items():
        pair = limit if isinstance(limit, dict) else {"soft": limit, "hard": limit}
        soft, hard = pair.get("soft"), pair.get("hard")
        if not isinstance(soft, int) or not isinstance(hard, int):
            raise BadValueError(f"{name} needs a number, or soft and hard")
        found.append(f"{name}={soft}:{hard}")
    return tuple(found)
