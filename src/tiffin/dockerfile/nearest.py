"""Names that a misspelt one may have meant. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def nearest(word: str, names: Iterable[str]) -> str | None:
    """Return the name nearest to `word`, any case, or None if none is near."""
    import difflib

    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold()[:80], folded, 1, 0.6)
    return folded[near[0]] if near else None


def did_you_mean(word: str, names: Iterable[str], otherwise: str = "") -> str:
    """Return a hint with the name nearest to `word`, any case; `otherwise` if none is near."""
    near = nearest(word, names)
    return f"did you mean {near}?" if near else otherwise
