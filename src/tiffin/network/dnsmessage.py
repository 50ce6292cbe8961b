"""DNS messages as far as a name server for containers needs them: a question read, an answer written (pure).

RFC 1035, sections 4.1 and 3.4.1; RFC 3596 for IPv6. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import socket
import struct

from tiffin.linux.record import NamedTuple

__all__ = ["AAAA", "PTR", "A", "Question", "answer", "failure", "reverse"]

A, PTR, AAAA, ANY = 1, 12, 28, 255
SERVFAIL, NXDOMAIN = 2, 3
_INTERNET = 1
_HEADER = struct.Struct(">HHHHHH")
_LONGEST = 255
_QUERY, _ANSWER, _AUTHORITY, _WANTS_MORE, _GIVES_MORE = 0, 0x8000, 0x0400, 0x0100, 0x0080
_TIME = 1
"""Seconds for which an answer may be kept: a container that is started again has another address."""


class Question(NamedTuple):
    """What a query asks: `name` in small letters without the last dot; `head` is the query up to there."""

    number: int
    flags: int
    name: str
    kind: int
    head: bytes

    @classmethod
    def read(cls, query: bytes) -> Question | None:
        """The one question of a query; None if it is anything else, or damaged."""
        if len(query) < _HEADER.size:
            return None
        number, flags, questions, *_ = _HEADER.unpack_from(query)
        if flags & (_ANSWER | 0x7800) or questions != 1:
            return None
        labels, place, total = [], _HEADER.size, 0
        while True:
            if place >= len(query):
                return None
            size = query[place]
            if not size:
                break
            label = query[place + 1 : place + 1 + size]
            total += size + 1
            if size > 63 or len(label) != size or total > _LONGEST:  # a pointer has nowhere to point
                return None
            labels.append(label.decode("latin-1").lower())
            place += size + 1
        end = place + 5
        if len(query) < end or query[end - 2 : end] != b"\0\1":
            return None
        kind = int.from_bytes(query[place + 1 : place + 3], "big")
        return cls(number, flags, ".".join(labels), kind, query[:end])


def answer(question: Question, addresses: list[str], *, names: tuple[str, ...] = ()) -> bytes:
    """Return the answer with these addresses, of those families that were asked for, or names."""
    records = []
    for address in addresses:
        family, kind = (socket.AF_INET6, AAAA) if ":" in address else (socket.AF_INET, A)
        if question.kind in (kind, ANY):
            records.append((kind, socket.inet_pton(family, address)))
    records += [(PTR, _encoded(name)) for name in names if question.kind in (PTR, ANY)]
    body = b"".join(
        struct.pack(">HHHIH", 0xC000 | _HEADER.size, kind, _INTERNET, _TIME, len(data)) + data
        for kind, data in records
    )
    return _head(question, 0, len(records)) + body


def failure(question: Question, code: int = SERVFAIL) -> bytes:
    """Return the answer that there is none, with the reason."""
    return _head(question, code, 0)


def reverse(name: str) -> str:
    """Return the address whose name `4.0.18.172.in-addr.arpa` asks for; empty if it is none of that kind."""
    parts = name.split(".")
    if parts[-2:] == ["in-addr", "arpa"] and len(parts) == 6:
        return ".".join(reversed(parts[:4]))
    if parts[-2:] == ["ip6", "arpa"] and len(parts) == 34:
        digits = "".join(reversed(parts[:32]))
        text = ":".join(digits[place : place + 4] for place in range(0, 32, 4))
        try:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text))
        except OSError:
            return ""
    return ""


def _head(question: Question, code: int, records: int) -> bytes:
    kept = question.flags & _WANTS_MORE
    flags = _ANSWER | kept | (_GIVES_MORE if kept else 0) | code
    return _HEADER.pack(question.number, flags, 1, records, 0, 0) + question.head[_HEADER.size :]


def _encoded(name: str) -> bytes:
    labels = [label.encode("latin-1", "replace")[:63] for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
