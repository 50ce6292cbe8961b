"""Functions with regular expressions, written in the syntax of RE2.

Pure. A pattern is translated for Python's engine; what RE2 does not have, like
lookahead and references back, is refused as RE2 refuses it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from tiffin.bake.functions.texts import bounded
from tiffin.bake.language.values import BadValueError, Value

if TYPE_CHECKING:
    from collections.abc import Callable

_LONGEST = 1000
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "ascii": r"\x00-\x7F",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1F\x7F",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": r"!-/:-@\[-`{-~",
    "space": r"\t\n\v\f\r ",
    "upper": "A-Z",
    "word": r"0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}
_OUTSIDE = re.compile(
    r"""(?P<foreign>\(\?(?:[=!>\#(]|<[=!]|P=|P>)|\\[1-9]|[*+?}]\+|\\[pP])
      | (?P<named>\(\?<)
      | (?P<end>\\z|\$)
      | (?P<class>\[\^?\]?)
      | (?P<other>\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_INSIDE = re.compile(
    r"""(?P<foreign>\\[pP])
      | \[:(?P<posix>[a-z]+):\]
      | (?P<close>\])
      | (?P<bare>\[)
      | (?P<other>\\.|.)""",
    re.VERBOSE | re.DOTALL,
)
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    if len(pattern) > _LONGEST:
        raise BadValueError(f"the pattern is longer than {_LONGEST} characters")
    try:
        return re.compile(_translate(pattern), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise BadValueError(f"the pattern is not valid: {error}") from error


def _translate(pattern: str) -> str:
    lines = re.search(r"\(\?[a-zA-Z]*m", pattern) is not None  # with (?m), $ is the end of a line
    found, position, inside = [], 0, False
    while position < len(pattern):
        piece = (_INSIDE if inside else _OUTSIDE).match(pattern, position)
        assert piece is not None
        position, which, text = piece.end(), piece.lastgroup, piece[0]
        match which:
            case "foreign":
                raise BadValueError(f"the pattern has {text!r}, which this syntax of patterns has not")
            case "named":
                text = "(?P<"
            case "end":
                text = text if text == "$" and lines else r"\Z"
            case "posix":
                if piece["posix"] not in _CLASSES:
                    raise BadValueError(f"the pattern has {text!r}, and there is no such class")
                text = _CLASSES[piece["posix"]]
            case "bare":
                text = r"\["
            case "class" | "close":
                inside = which == "class"
            case _:
                pass
        found.append(text)
    return "".join(found)


def _groups(found: re.Match[str], pattern: re.Pattern[str]) -> Value:
    if pattern.groupindex:
        return dict(found.groupdict())
    return tuple(found.groups()) if pattern.groups else found[0]


def _first(pattern: str, text: str) -> Value:
    compiled = _compiled(pattern)
    found = compiled.search(text)
    if found is None:
        raise BadValueError("the pattern fits no part of the text")
    return _groups(found, compiled)


def _all(pattern: str, text: str) -> Value:
    compiled = _compiled(pattern)
    return tuple(_groups(found, compiled) for found in compiled.finditer(text))


def _replace(text: str, pattern: str, replacement: str) -> str:
    def expand(found: re.Match[str]) -> str:
        return _REFERENCE.sub(lambda reference: _referred(found, reference), replacement)

    return bounded(_compiled(pattern).sub(expand, text))


def _referred(found: re.Match[str], reference: re.Match[str]) -> str:
    """Return what $1, ${name} or $$ in a replacement stands for; an unknown group is empty."""
    name = reference[1] or reference[2]
    if name is None:
        return "$"
    if name.isdigit():
        return (found[int(name)] or "") if int(name) <= (found.re.groups or 0) else ""
    return (found[name] or "") if name in found.re.groupindex else ""


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "regex": ("ss", _first),
    "regex_replace": ("sss", _replace),
    "regexall": ("ss", _all),
}
