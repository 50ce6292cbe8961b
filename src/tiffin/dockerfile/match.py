r"""Patterns of COPY and ADD sources: the language of Go's `filepath.Match`. Pure.

`*` is any text without a slash, `?` any character but a slash, `[a-z]` and
`[^a-z]` are classes (which take a slash too), `\` makes the next character plain. `**`
is no more than `*`; a file whose name begins with a dot is a file like any other.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from tiffin.errors import InvalidError

_WILD = "*?["


class Literal(NamedTuple):
    """Exactly this character."""

    character: str

    def accepts(self, character: str) -> bool:
        """Whether `character` is it."""
        return character == self.character


class AnyCharacter(NamedTuple):
    """`?`: anything but a slash."""

    def accepts(self, character: str) -> bool:
        """Whether `character` may stand here."""
        return character != "/"


class Class(NamedTuple):
    """`[…]`: a character of one of the ranges, or of none of them."""

    negated: bool
    ranges: tuple[tuple[str, str], ...]

    def accepts(self, character: str) -> bool:
        """Whether `character` may stand here."""
        return any(low <= character <= high for low, high in self.ranges) != self.negated


class Star(NamedTuple):
    """`*`: any number of characters, none of them a slash."""


Token = Literal | AnyCharacter | Class | Star


def has_wildcard(pattern: str) -> bool:
    r"""Whether `pattern` has a `*`, `?` or `[` that is not escaped by `\`."""
    offset = 0
    while offset < len(pattern):
        if pattern[offset] in _WILD:
            return True
        offset += 2 if pattern[offset] == "\\" else 1
    return False


def unescape(pattern: str) -> str:
    r"""Return the name that a pattern without wildcards stands for: each `\` makes its follower plain."""
    parts = []
    offset = 0
    while offset < len(pattern):
        if pattern[offset] == "\\" and offset + 1 < len(pattern):
            offset += 1
        parts.append(pattern[offset])
        offset += 1
    return "".join(parts)


def match(pattern: str, name: str) -> bool:
    """Whether all of `name` matches `pattern`. Raises InvalidError if `pattern` is malformed."""
    tokens = compile_pattern(pattern)
    at = offset = 0
    star = -1  # the last star passed, and where in `name` what follows it was last tried
    retry = 0
    while True:
        if at < len(tokens) and isinstance(tokens[at], Star):
            star, retry = at, offset
            at += 1
        elif offset == len(name):
            return at == len(tokens)
        elif at < len(tokens) and _accepts(tokens[at], name[offset]):
            at += 1
            offset += 1
        elif star >= 0 and name[retry] != "/":
            retry += 1
            at, offset = star + 1, retry
        else:
            return False


def _accepts(token: Token, character: str) -> bool:
    return not isinstance(token, Star) and token.accepts(character)


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> tuple[Token, ...]:
    """Return the steps of `pattern`. Raises InvalidError if it is malformed."""
    tokens: list[Token] = []
    offset = 0
    while offset < len(pattern):
        character = pattern[offset]
        offset += 1
        if character == "*":
            if not tokens or not isinstance(tokens[-1], Star):
                tokens.append(Star())
        elif character == "?":
            tokens.append(AnyCharacter())
        elif character == "[":
            token, offset = _class(pattern, offset)
            tokens.append(token)
        else:
            if character == "\\":
                if offset == len(pattern):
                    raise bad_pattern(pattern, "a backslash at the end escapes nothing")
                character = pattern[offset]
                offset += 1
            tokens.append(Literal(character))
    return tuple(tokens)


def _class(pattern: str, offset: int) -> tuple[Class, int]:
    """Return the class whose `[` is before `offset`, and the offset after its `]`."""
    negated = pattern.startswith("^", offset)
    offset += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern.startswith("]", offset)):
        low, offset = _class_character(pattern, offset)
        high = low
        if pattern.startswith("-", offset):
            high, offset = _class_character(pattern, offset + 1)
        ranges.append((low, high))
    return Class(negated, tuple(ranges)), offset + 1


def _class_character(pattern: str, offset: int) -> tuple[str, int]:
    if pattern.startswith(("-", "]"), offset):
        raise bad_pattern(pattern, f"{pattern[offset]} in [ ] needs a backslash before it")
    if pattern.startswith("\\", offset):
        offset += 1
    if offset + 1 >= len(pattern):  # nothing, or no room for the closing bracket
        raise bad_pattern(pattern, "[ has no matching ]")
    return pattern[offset], offset + 1


def bad_pattern(pattern: str, why: str) -> InvalidError:
    """Return the error for a malformed pattern."""
    return InvalidError(
        f"invalid pattern {pattern[:200]}: {why}",
        code="invalid-pattern",
        hint="write [[] for a bracket that is part of a name",
    )
