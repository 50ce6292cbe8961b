"""Versions of Debian packages, compared as Debian policy (5.6.12) says. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from tiffin.errors import InvalidError

# A colon may only be in a version that has an epoch.
_FORM: Final = re.compile(
    r"(?:(?P<epoch>\d+):(?=.))?(?P<upstream>[A-Za-z0-9.+~](?:[A-Za-z0-9.+~-]|(?(epoch):|(?!)))*?)"
    r"(?:-(?P<revision>[A-Za-z0-9.+~]+))?"
)
_PART: Final = re.compile(r"(\D*)(\d*)")
_NOTHING_LEFT: Final = (0,)

Key = tuple[int, tuple[tuple[int, ...] | int, ...], tuple[tuple[int, ...] | int, ...]]


@lru_cache(maxsize=4096)
def version_key(version: str) -> Key:
    """A value that sorts as `version` does; `InvalidError` if the text is no version."""
    form = _FORM.fullmatch(version)
    if form is None:
        raise InvalidError(
            f"{version[:80]!r} is not the version of a package",
            code="package-version",
            hint="a version is [epoch:]upstream[-revision]",
        )
    return int(form["epoch"] or 0), _part_key(form["upstream"]), _part_key(form["revision"] or "0")


def satisfies(version: str, operator: str, wanted: str) -> bool:
    """Whether `version` stands in the relation `operator` (as written in a dependency) to `wanted`."""
    have, want = version_key(version), version_key(wanted)
    match operator:
        case "<<":
            return have < want
        case "<=" | "<":  # a lone < or > is an old spelling of the inclusive relation
            return have <= want
        case "=":
            return have == want
        case ">=" | ">":
            return have >= want
        case ">>":
            return have > want
        case _:
            raise InvalidError(f"{operator!r} is not a relation between versions", code="package-relation")


def _part_key(text: str) -> tuple[tuple[int, ...] | int, ...]:
    """Letters and numbers in turn; missing numbers count as 0, and an end sorts between ~ and all else."""
    key: list[tuple[int, ...] | int] = []
    for letters, digits in _PART.findall(text):
        if letters or digits or not key:
            key += ((*map(_weight, letters), 0), int(digits or 0))
    return (*key, _NOTHING_LEFT)


def _weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
