"""Patterns of `${name#pattern}` and its kin, matched without backtracking. Pure.

`*` is any text, `?` any character; a backslash makes `*`, `?` and itself plain,
and is dropped before `}` and `/`, which could not stand in a substitution
otherwise. There are no bracket expressions, unlike in a shell.

A set of offsets in the value is one integer, a bit for each offset, so a
pattern is one pass over its characters however many stars it has.
"""

from __future__ import annotations

from typing import NamedTuple


class Token(NamedTuple):
    """One step of a pattern: any text (`*`), any character (`?`), or `character` itself (empty kind)."""

    kind: str
    character: str = ""


Pattern = list[Token]


def parse_pattern(text: str) -> Pattern:
    """Return the steps of the pattern `text`. Raises ValueError for an escape that means nothing."""
    tokens = []
    offset = 0
    while offset < len(text):
        character = text[offset]
        offset += 1
        if character in "*?":
            tokens.append(Token(character))
            continue
        if character == "\\":
            character = text[offset : offset + 1]
            offset += 1
            if not character or character not in "}/*?\\":
                raise ValueError(f"\\{character} is no escape in a pattern")
        tokens.append(Token("", character))
    return tokens


def strip_prefix(pattern: Pattern, value: str, *, longest: bool) -> str:
    """Return `value` without the shortest or longest beginning that `pattern` matches."""
    ends = _ends(pattern, value, 1)
    if not ends:
        return value
    return value[_highest(ends) if longest else _lowest(ends) :]


def strip_suffix(pattern: Pattern, value: str, *, longest: bool) -> str:
    """Return `value` without the shortest or longest end that `pattern` matches."""
    return strip_prefix(pattern[::-1], value[::-1], longest=longest)[::-1]


def replace(pattern: Pattern, value: str, replacement: str, *, every: bool) -> str:
    """Return `value` with the first, or every, longest match of `pattern` replaced."""
    size = len(value)
    mirrored = _ends(pattern[::-1], value[::-1], (1 << size + 1) - 1)
    starts = int(format(mirrored, f"0{size + 1}b")[::-1], 2)
    parts = []
    copied = position = 0
    last_end = -1
    while starts >> position:
        start = position + _lowest(starts >> position)
        end = _highest(_ends(pattern, value, 1 << start))
        if end > last_end:  # an empty match right after another one is none
            parts += [value[copied:start], replacement]
            copied = last_end = end
        if not every:
            break
        position = max(end, start + 1)
    return "".join([*parts, value[copied:]])


def _ends(pattern: Pattern, value: str, starts: int) -> int:
    """Return the offsets where a match that begins at one of `starts` can end."""
    every = (1 << len(value) + 1) - 1
    places: dict[str, int] = {}
    offsets = starts
    for kind, character in pattern:
        if not offsets:
            break
        if kind == "*":
            offsets = every & -(offsets & -offsets)
        elif kind == "?":
            offsets = offsets << 1 & every
        else:
            if character not in places:
                places[character] = _places(character, value)
            offsets = (offsets & places[character]) << 1
    return offsets


def _places(character: str, value: str) -> int:
    bits = 0
    offset = value.find(character)
    while offset >= 0:
        bits |= 1 << offset
        offset = value.find(character, offset + 1)
    return bits


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def _highest(bits: int) -> int:
    return bits.bit_length() - 1
