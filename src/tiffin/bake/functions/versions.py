"""`semvercmp`: whether a version satisfies a constraint like `>= 1.2, < 2` or `~1.2 || ^3`.

Pure. Versions are those of semver.org, with an optional `v`; missing parts are wildcards.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from tiffin.bake.language.values import BadValueError

_VERSION = re.compile(
    r"v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_TERM = re.compile(
    rf"\s*(?P<operator>=>|=<|>=|<=|!=|[=<>~^]|~>)?\s*(?P<version>{_VERSION.pattern})\s*(?:,|\s|$)"
)
_HYPHEN = re.compile(rf"\s*({_VERSION.pattern})\s+-\s+({_VERSION.pattern})\s*")


class Version(NamedTuple):
    """The numbers that are given, and what tells a release candidate from the release."""

    numbers: tuple[int, ...]
    candidate: str

    @property
    def key(self) -> tuple[tuple[int, ...], bool, list[tuple[bool, int, str]]]:
        """What versions are ordered by: a candidate comes before its release."""
        padded = (*self.numbers, 0, 0, 0)[:3]
        parts = self.candidate.split(".") if self.candidate else []
        order = [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]
        return padded, not self.candidate, order


def _parse(text: str) -> Version:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        raise BadValueError(f"{text[:40]!r} is not a version")
    numbers: list[int] = []
    for part in found.groups()[:3]:
        if part is None or not part.isdigit():
            break
        numbers.append(int(part[:18]))
    return Version(tuple(numbers), found[4] or "")


def satisfies(version: str, constraint: str) -> bool:
    """Whether `version` fits one of the alternatives of `constraint`."""
    subject = _parse(version)
    fits = [_fits(subject, alternative) for alternative in constraint.split("||")]  # all are to be valid
    return any(fits)


def _fits(subject: Version, text: str) -> bool:
    if _HYPHEN.fullmatch(text) is not None:
        low, high = text.split(" - ")
        return _term(subject, ">=", _parse(low)) and _term(subject, "<=", _parse(high))
    position, fits = 0, bool(text.strip())
    while position < len(text.rstrip()):
        term = _TERM.match(text, position)
        if term is None:
            raise BadValueError(f"{text.strip()[:40]!r} is not a constraint like '>= 1.2, < 2'")
        fits = _term(subject, term["operator"] or "=", _parse(term["version"])) and fits
        position = term.end()
    return fits


def _term(subject: Version, operator: str, wanted: Version) -> bool:
    if subject.candidate and not wanted.candidate:
        return False  # candidates are only chosen by those who name one
    size = len(wanted.numbers)
    match operator:
        case "=" | "!=":
            same = subject.numbers[:size] == wanted.numbers if size < 3 else subject.key == wanted.key
            return same is (operator == "=")
        case ">":
            return subject.key > wanted.key and (size == 3 or subject.numbers[:size] > wanted.numbers)
        case ">=" | "=>":
            return subject.key >= wanted.key
        case "<":
            return subject.key < wanted.key
        case "<=" | "=<":
            return subject.key <= wanted.key or (size < 3 and subject.numbers[:size] == wanted.numbers)
        case "~" | "~>":
            return subject.key >= wanted.key and subject.numbers[: min(size, 2)] == wanted.numbers[:2]
        case _:  # ^: what is left of the first number that is not zero stays
            kept = next((place for place, number in enumerate(wanted.numbers) if number), size - 1) + 1
            return subject.key >= wanted.key and subject.numbers[:kept] == wanted.numbers[:kept]
