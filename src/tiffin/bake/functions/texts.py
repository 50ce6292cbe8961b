"""Functions on text. Characters are those that a reader counts: grapheme clusters, nearly.

Pure.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING

from tiffin.bake.language.evaluate import LONGEST_TEXT
from tiffin.bake.language.values import BadValueError, Value, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

_JOINER = "\u200d"


def clusters(text: str) -> list[str]:
    """Return the characters of `text` with what combines with each: accents, joined emoji, flags."""
    if text.isascii():
        return list(text) if "\r\n" not in text else re.findall(r"\r\n|.", text, re.DOTALL)
    found: list[str] = []
    for char in text:
        if found and _joins(found[-1], char):
            found[-1] += char
        else:
            found.append(char)
    return found


def _joins(before: str, char: str) -> bool:
    if before == "\r":
        return char == "\n"
    if char == _JOINER or before.endswith(_JOINER) or "\U0001f3fb" <= char <= "\U0001f3ff":
        return True
    flag = "\U0001f1e6" <= char <= "\U0001f1ff"
    return (flag and len(before) == 1 and "\U0001f1e6" <= before <= "\U0001f1ff") or (
        unicodedata.category(char) in ("Mn", "Me", "Mc")
    )


def whole(value: Decimal) -> int:
    """Return a number that counts something."""
    if value != value.to_integral_value() or abs(value) > 1 << 31:
        raise BadValueError("a whole number is needed")
    return int(value)


def bounded(text: str) -> str:
    """Return `text`, unless it is too long to be meant."""
    if len(text) > LONGEST_TEXT:
        raise BadValueError(f"the text would be longer than {LONGEST_TEXT >> 20} MiB")
    return text


def _substr(text: str, offset: Decimal, length: Decimal) -> str:
    characters = clusters(text)
    start, count = whole(offset), whole(length)
    start = max(len(characters) + start, 0) if start < 0 else start
    return "".join(characters[start : None if count < 0 else start + count])


def _join(separator: str, *lists: tuple[Value, ...]) -> str:
    items = [to_text(item) for items in lists for item in items]
    if sum(map(len, items)) + len(separator) * len(items) > LONGEST_TEXT:
        raise BadValueError(f"the text would be longer than {LONGEST_TEXT >> 20} MiB")
    return separator.join(items)


def _replace(text: str, old: str, new: str) -> str:
    if text.count(old) * len(new) > LONGEST_TEXT:
        raise BadValueError(f"the text would be longer than {LONGEST_TEXT >> 20} MiB")
    return text.replace(old, new)


def _title(text: str) -> str:
    """Make the first letter of every word a capital; a word ends where neither letter nor digit is."""
    return re.sub(r"(?<![^\W])(\w)", lambda found: found[1].title() if found[1].isalpha() else found[1], text)


def _base(path: str) -> str:
    if not path:
        return "."
    return posixpath.basename(path.rstrip("/")) or "/"


def _directory(path: str) -> str:
    head = path[: path.rfind("/") + 1]
    return posixpath.normpath(head).replace("//", "/") if head else "."


def _indent(spaces: Decimal, text: str) -> str:
    count = whole(spaces)
    if not 0 <= count <= 1000:
        raise BadValueError("the number of spaces must be between 0 and 1000")
    return bounded(text.replace("\n", "\n" + " " * count))


def _bytes_slice(text: str, offset: Decimal, length: Decimal) -> str:
    start, count = whole(offset), whole(length)
    if start < 0 or count < 0 or start + count > len(text.encode()):
        raise BadValueError("the slice reaches out of the text")
    return text.encode()[start : start + count].decode(errors="replace")


FUNCTIONS: dict[str, tuple[str, Callable[..., Value]]] = {
    "basename": ("s", _base),
    "byteslen": ("s", lambda text: Decimal(len(text.encode()))),
    "bytesslice": ("snn", _bytes_slice),
    "chomp": ("s", lambda text: text.rstrip("\r\n")),
    "dirname": ("s", _directory),
    "indent": ("ns", _indent),
    "join": ("sl*", _join),
    "lower": ("s", str.lower),
    "replace": ("sss", _replace),
    "reverse": ("s", lambda text: "".join(reversed(clusters(text)))),
    "sanitize": ("s", lambda text: re.sub(r"[^a-zA-Z0-9_-]", "_", text)),
    "split": ("ss", lambda separator, text: tuple(text.split(separator) if separator else clusters(text))),
    "strlen": ("s", lambda text: Decimal(len(clusters(text)))),
    "substr": ("snn", _substr),
    "title": ("s", _title),
    "trim": ("ss", lambda text, cut: text.strip(cut) if cut else text),
    "trimprefix": ("ss", str.removeprefix),
    "trimspace": ("s", str.strip),
    "trimsuffix": ("ss", str.removesuffix),
    # one character for one, as Go does it: ß has no single capital
    "upper": ("s", lambda text: "".join(c.upper() if len(c.upper()) == 1 else c for c in text)),
}
