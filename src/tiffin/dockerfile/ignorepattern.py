r"""One pattern of an ignore file, as Docker's pattern matcher understands it. Pure.

Docker turns a pattern into a regular expression of Go, and takes a short cut
where it has no need to. Both are followed here, oddities included: `**name`
matches any path that ends in `name`; `[*]` is no way to write a plain star,
because stars are replaced inside brackets as well. An escape that would be a
letter's special meaning to Go is an error here, where Docker matches something
that nobody means.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, NamedTuple

from tiffin.dockerfile.match import bad_pattern

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = set(".+()|{}$")
# Go's [[:name:]] classes; the characters are ASCII.
_NAMED = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7f",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"!-\~",
    "lower": "a-z",
    "print": r" -\~",
    "punct": r"!-/:-@\[-`{-\~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_NAMED_CLASS = re.compile(r"\[:(\^?)([a-z]+):\]")

Kind = Literal["exact", "prefix", "suffix", "regex"]


class Pattern(NamedTuple):
    """How to match a path: against `text`, or by `regex`."""

    kind: Kind
    text: str
    regex: re.Pattern[str] | None = None

    def test(self) -> Callable[[str], object]:
        """Return a function that is true of the paths that match; a walk calls it for every one of them."""
        if self.regex is not None:
            return self.regex.match
        text = self.text
        if self.kind == "prefix":
            return lambda path: path.startswith(text)
        if self.kind == "exact":
            return lambda path: path == text
        if text.startswith("/"):
            return lambda path: path.endswith(text) or path == text[1:]
        return lambda path: path.endswith(text)


def compile_pattern(pattern: str) -> Pattern:
    """Return how to match the cleaned `pattern`. Raises InvalidError for what Go cannot compile."""
    expression, kind = _translate(pattern)
    if kind == "exact":
        return Pattern(kind, pattern)
    if kind == "prefix":
        return Pattern(kind, pattern[:-2])
    if kind == "suffix":
        return Pattern(kind, pattern[2:])
    try:
        return Pattern(kind, pattern, re.compile(_to_python(expression, pattern)))
    except re.error as error:
        raise bad_pattern(pattern, str(error)) from error


def _translate(pattern: str) -> tuple[str, Kind]:
    """Return the pattern as a regular expression of Go without anchors, and the way to match it."""
    parts: list[str] = []
    kind: Kind = "exact"
    offset = 0
    while offset < len(pattern):
        start = offset
        character = pattern[offset]
        offset += 1
        if character == "*" and pattern.startswith("*", offset):
            offset += 2 if pattern.startswith("*/", offset) else 1
            if offset < len(pattern):
                parts.append("(.*/)?")
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                parts.append(".*")
                kind = "regex"
            if start == 0:
                kind = "suffix"
        elif character in "*?":
            parts.append("[^/]*" if character == "*" else "[^/]")
            kind = "regex"
        elif character in _PLAIN:
            parts.append("\\" + character)
        elif character == "\\":
            parts.append(pattern[start : start + 2])
            offset += 1
            kind = "regex"
        else:
            parts.append(character)
            if character in "[]":
                kind = "regex"
    return "".join(parts), kind


def _to_python(expression: str, pattern: str) -> str:
    """Return Go's regular expression `expression` in Python's language."""
    parts: list[str] = []
    offset = 0
    while offset < len(expression):
        character = expression[offset]
        if character == "[":
            part, offset = _class_to_python(expression, offset + 1, pattern)
        elif character == "\\":
            part, offset = _escape(expression, offset, pattern), offset + 2
        else:
            part, offset = character if character in ".*?()^" else re.escape(character), offset + 1
        parts.append(part)
    return "".join(parts) + r"\Z"


def _class_to_python(expression: str, offset: int, pattern: str) -> tuple[str, int]:
    """Return the class whose `[` is before `offset`, and the offset after its `]`."""
    parts = ["["]
    if expression.startswith("^", offset):
        parts.append("^")
        offset += 1
    first = offset
    while offset == first or not expression.startswith("]", offset):
        named = _NAMED_CLASS.match(expression, offset)
        if offset >= len(expression):
            raise bad_pattern(pattern, "[ has no matching ]")
        if named is not None:
            if named[2] not in _NAMED or named[1]:
                raise bad_pattern(pattern, f"unknown class {named[0]}")
            parts.append(_NAMED[named[2]])
            offset = named.end()
        elif expression[offset] == "\\":
            parts.append(_escape(expression, offset, pattern))
            offset += 2
        elif expression[offset] == "-" and offset > first and not expression.startswith("]", offset + 1):
            parts.append("-")
            offset += 1
        else:
            parts.append(re.escape(expression[offset]))
            offset += 1
    return "".join(parts) + "]", offset + 1


def _escape(expression: str, offset: int, pattern: str) -> str:
    character = expression[offset + 1 : offset + 2]
    if not character or character.isalnum() or not character.isascii():
        raise bad_pattern(pattern, f"\\{character} is no escape")
    return re.escape(character)
