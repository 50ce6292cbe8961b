"""The head of a request, read strictly, and what it says of parts and of what the client has. Pure.

The language is that of RFC 9112. What could be read in two ways is refused: bare line ends, folded lines,
lengths that differ, and every Transfer-Encoding, which no client of the relay needs for a request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

LARGEST_HEAD: Final = 32 << 10
_MOST_FIELDS: Final = 100
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TARGET: Final = re.compile(r"[!-~]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_VERSION: Final = re.compile(r"HTTP/1\.([01])")
_RANGE: Final = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")

_HOP_BY_HOP: Final = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip


class Head(NamedTuple):
    """The head of one request; the names of `fields` are in lower case. `length` is that of the body."""

    method: str
    target: str
    minor: int
    fields: tuple[tuple[str, str], ...]
    length: int

    def field(self, name: str) -> str:
        """The value of a field, of several with commas between, or nothing."""
        return ", ".join(value for known, value in self.fields if known == name)

    @property
    def persists(self) -> bool:
        """Whether the client expects to go on after the answer."""
        words = _words(self.field("connection"))
        return "close" not in words and (self.minor == 1 or "keep-alive" in words)


def parse_head(data: bytes) -> Head:
    """Return the head that is `data`, without its last line. Raises InvalidError or UnsupportedError."""
    lines = data.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    version = _VERSION.fullmatch(words[-1])
    if len(words) != 3 or not version or not _TOKEN.fullmatch(words[0]) or not _TARGET.fullmatch(words[1]):
        raise InvalidError("the first line is none of a request of HTTP/1.1")
    if len(lines) > _MOST_FIELDS + 1:
        raise InvalidError(f"there are more than {_MOST_FIELDS} header fields")
    fields = tuple(map(_field, lines[1:]))
    if sum(name == "host" for name, _ in fields) > 1:
        raise InvalidError("there is more than one field Host")
    if any(name == "transfer-encoding" for name, _ in fields):
        raise UnsupportedError("a request with a Transfer-Encoding is not passed on: give its Content-Length")
    lengths = {value for name, value in fields if name == "content-length"}
    length = lengths.pop() if lengths else "0"
    if lengths or not (length.isascii() and length.isdecimal() and len(length) < 19):
        raise InvalidError("the Content-Length is not one number")
    return Head(words[0], words[1], int(version[1]), fields, int(length))


def passed_on(fields: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the fields without those of one connection, also what `Connection` names (RFC 9110, 7.6.1)."""
    own = _HOP_BY_HOP.union(*(_words(value) for name, value in fields if name.lower() == "connection"))
    return [(name, value) for name, value in fields if name.lower() not in own]


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        raise InvalidError("a header field is not well-formed")
    return name.lower(), value.strip(" \t")


def head_of_answer(status: int, reason: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the head of an answer as bytes; a field with a line end in it is left out."""
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in fields if _VALUE.fullmatch(value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def wanted_part(text: str, size: int) -> tuple[int, int] | None:
    """Return begin and end of the one part that a field Range asks for; None for the whole.

    Raises InvalidError for a part that begins after the end of the `size` bytes. Other forms of the
    field may be answered with the whole (RFC 9110, 14.2).
    """
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if not found:
        return None
    first = int(found[1])
    last = min(int(found[2]), size - 1) if found[2] else size - 1
    if first >= size or last < first:
        raise InvalidError("the part begins after the end")
    return first, last + 1


def has_already(head: Head, etag: str, modified: str) -> bool:
    """Whether the client says that it has what bears these validators."""
    if tags := head.field("if-none-match"):
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return bool(etag) and (etag.removeprefix("W/") in known or "*" in known)
    return bool(modified) and head.field("if-modified-since") == modified
