"""What changed between two versions of a small text, in a few words. Pure.

Files that steps read are mostly lists: of requirements, of settings, of locked packages. So a changed
line is told as a change of one value where it is one (`torch 2.5 → 2.6`), else as it was and as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiffin.build.oneline import WIDTH, short

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINES = 4000
# name, optional extras, a sign of comparison or assignment, value
_PAIR = re.compile(
    r"""\s*["']?([\w.\-/@]+(?:\[[\w,\-\s]*\])?)["']?\s*(===?|~=|>=|<=|!=|>|<|=|:|@|\s)\s*(.+?)\s*"""
)


def arrow(old: str, new: str, width: int = WIDTH) -> str:
    """Return `old → new`; of long ones only the part that differs, with dots for what is the same."""
    old, new = " ".join(old.split()), " ".join(new.split())
    if len(old) <= width and len(new) <= width:
        return f"{old or 'nothing'} → {new or 'nothing'}"
    before, after = old.split(" "), new.split(" ")
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    first, last = "… " if start else "", " …" if end else ""
    parts = [" ".join(words[start : len(words) - end]) for words in (before, after)]
    return " → ".join(f"{first}{short(part, width)}{last}" if part else "nothing" for part in parts)


def _common(one: list[str], other: list[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count


def changed_lines(old: str, new: str) -> list[str]:
    """Return a phrase for each place where the texts differ, in the order of the new one.

    Texts that are too long, or that differ in too much, give none: nobody would read it.
    """
    before, after = old.splitlines(), new.splitlines()
    if max(len(before), len(after)) > _LINES:
        return []
    from difflib import SequenceMatcher

    found: list[str] = []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            found += _block(before[i1:i2], after[j1:j2], j1)
    return found


def _block(before: list[str], after: list[str], first: int) -> Iterator[str]:
    """Tell of some lines in a row that came to be others; `first` is how many lines stand before them."""
    paired = min(len(before), len(after))
    for number, (old, new) in enumerate(zip(before, after, strict=False), first + 1):
        yield f"line {number}: {_line(old, new)}"
    for number, text in enumerate(after[paired:], first + paired + 1):
        if text.strip():
            yield f"line {number}: {short(text)} is new"
    for text in before[paired:]:
        if text.strip():
            yield f"line {first + paired + 1}: {short(text)} is gone"


def _line(old: str, new: str) -> str:
    left, right = _PAIR.fullmatch(old), _PAIR.fullmatch(new)
    if left and right and left[1] == right[1]:
        signs = ("", "") if left[2] == right[2] else (left[2], right[2])
        before, after = _bare(signs[0] + left[3]), _bare(signs[1] + right[3])
        if before != after:
            return f"{left[1]} {arrow(before, after)}"
    return arrow(old, new)


def _bare(value: str) -> str:
    return value.rstrip(",;").strip("\"'")
