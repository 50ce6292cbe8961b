"""The history entries of an image, in the words that Docker uses, which tools know how to read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.oci.config import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tiffin.oci.config import Healthcheck

COMMENT = "tiffin"
_ESCAPES = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_UNITS = ((3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"))


def entry(text: str) -> History:
    """Return the entry of an instruction."""
    return History(created_by=text, comment=COMMENT)


def run(arguments: Iterable[str], build_arguments: Mapping[str, str]) -> str:
    """Return the text for RUN: the ARGs it saw, counted, and its whole command."""
    counted = [f"|{len(build_arguments)}"] if build_arguments else []
    return " ".join(
        ["RUN", *counted, *(f"{name}={value}" for name, value in build_arguments.items()), *arguments]
    )


def quoted(items: Iterable[str]) -> str:
    """Return a list as Go's %q prints it: `["a" "b"]`."""
    return f"[{' '.join(map(_quote, items))}]"


def plain(items: Iterable[str]) -> str:
    """Return a list as Go's %v prints it: `[a b]`."""
    return f"[{' '.join(items)}]"


def healthcheck(check: Healthcheck) -> str:
    """Return the text for HEALTHCHECK: Go's %q of the structure, in which a number is a character."""
    times = (check.interval, check.timeout, check.start_period, check.start_interval)
    shown = " ".join(f'"{duration(each)}"' for each in times)
    retries = chr(check.retries) if check.retries < 0x110000 else "\ufffd"
    return f"HEALTHCHECK &{{{quoted(check.test)} {shown} '{_quote_character(retries)}'}}"


def duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: `1m30s`, `1.5s`, `250ms`."""
    if nanoseconds < 1_000_000_000:
        for size, unit in ((1_000_000, "ms"), (1_000, "µs"), (1, "ns")):
            if nanoseconds >= size:
                return _decimal(nanoseconds, size) + unit
        return "0s"
    parts = []
    for size, unit in _UNITS:
        if size == 1_000_000_000:
            parts.append(_decimal(nanoseconds, size) + unit)
        elif nanoseconds >= size or parts:
            parts.append(f"{nanoseconds // size}{unit}")
            nanoseconds %= size
    return "".join(parts)


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    fraction = str(size + rest)[1:].rstrip("0")
    return f"{whole}.{fraction}" if fraction else str(whole)


def _quote(text: str) -> str:
    return '"' + "".join(map(_quote_character, text)) + '"'


def _quote_character(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    code = ord(character)
    if character == " " or character.isprintable():
        return character
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
