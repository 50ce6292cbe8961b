"""`--chmod`: octal digits, or the symbolic modes of chmod(1). Pure."""

from __future__ import annotations

import re

from tiffin.errors import InvalidError

_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_SHIFT = {"u": 6, "g": 3, "o": 0}


def change_mode(mode: int, change: str, *, directory: bool) -> int:
    """Return `mode` (twelve bits) after `change`; raises InvalidError for what is no mode."""
    if re.fullmatch(r"[0-7]{1,4}", change):
        return int(change, 8)
    for clause in change.split(","):
        matched = _CLAUSE.fullmatch(clause)
        if not matched:
            raise InvalidError(
                f"--chmod={change} is not a mode",
                hint="write octal digits (--chmod=755) or a symbolic mode (--chmod=u+x,go=rX)",
            )
        who = matched[1].replace("a", "ugo") or "ugo"
        for sign, letters in _ACTION.findall(matched[2]):
            mode = _apply(mode, who, sign, letters, directory=directory)
    return mode


def _apply(mode: int, who: str, sign: str, letters: str, *, directory: bool) -> int:
    bits = 0
    for one in who:
        bits |= _bits(mode, letters, directory=directory) << _SHIFT[one]
    bits |= 0o4000 if "s" in letters and "u" in who else 0
    bits |= 0o2000 if "s" in letters and "g" in who else 0
    bits |= 0o1000 if "t" in letters else 0
    if sign == "+":
        return mode | bits
    if sign == "-":
        return mode & ~bits
    for one in set(who):  # unlike chmod(1), Docker clears setuid and setgid of directories as well
        mode &= ~(7 << _SHIFT[one] | {"u": 0o4000, "g": 0o2000, "o": 0}[one])
    return mode | bits


def _bits(mode: int, letters: str, *, directory: bool) -> int:
    """The three bits that `letters` stand for, of one class."""
    if letters in _SHIFT:
        return (mode >> _SHIFT[letters]) & 7
    bits = (4 if "r" in letters else 0) | (2 if "w" in letters else 0) | (1 if "x" in letters else 0)
    if "X" in letters and (directory or mode & 0o111):
        bits |= 1
    return bits
