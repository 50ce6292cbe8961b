"""What a registry wants its users to know: the header Warning (distribution-spec, "Warnings"). Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tiffin.registry.failure import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMIT: Final = 4096  # bytes of all of them
# A code of 299, nobody as the agent, and no date: all others are of caches, or of who knows whom.
_WARNING: Final = re.compile(r'\s*299\s+-\s+"((?:[^"\\]|\\.)*)"\s*(?:,|$)')


def parse_warnings(values: Iterable[str]) -> list[str]:
    """The texts of the warnings in these headers, each a line that may be shown."""
    found: list[str] = []
    left = _LIMIT
    for value in values:
        left -= len(value)
        rest = value
        while left >= 0 and (warning := _WARNING.match(rest)):
            text = redact(re.sub(r"\\(.)", r"\1", warning[1]), ())
            rest = rest[warning.end() :]
            if text:
                found.append(text)
    return found
