"""/etc/ld.so.cache: where the dynamic linker, and all that asks `ldconfig -p`, finds libraries. Pure.

Read and written here because ldconfig would have to run, and a machine's own ldconfig writes its own version
into the file. Format: glibc's `glibc-ld.so.cache1.1`, alone or, as old ones were written, behind another.
"""

from __future__ import annotations

import re
import struct

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MAGIC = b"glibc-ld.so.cache1.1"
_HEADER = struct.Struct("<20sIIB3xI12x")
_ENTRY = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN = 2
# The machine as uname tells it → the flags of an entry: a libc6 library of that ABI.
FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03, "i686": 0x0003, "riscv64": 0x1003}


class Entry(NamedTuple):
    """A library: the name that programs ask for, and the path of its file."""

    name: str
    path: str
    flags: int


def decode(data: bytes) -> list[Entry]:
    """Return the entries, in order. Raises ValueError for what is no cache.

    Libraries for processors with more than the usual abilities are left out: each has a usual one beside it.
    """
    start = data.find(_MAGIC)
    if start < 0:
        raise ValueError("it has no entries of a kind that is known")
    data = data[start:]
    try:
        count = _HEADER.unpack_from(data)[1]
        if _HEADER.size + count * _ENTRY.size > len(data):
            raise ValueError("it ends before its entries do")
        rows = [_ENTRY.unpack_from(data, _HEADER.size + _ENTRY.size * number) for number in range(count)]
        return [
            Entry(_text(data, key), _text(data, value), flags)
            for flags, key, value, _, abilities in rows
            if not abilities
        ]
    except struct.error as error:
        raise ValueError(str(error)) from error


def encode(entries: Iterable[Entry]) -> bytes:
    """Return the cache, sorted for the linker's binary search; of equal names the first wins."""
    ordered = sorted(entries, key=lambda entry: _order(entry.name), reverse=True)
    start = _HEADER.size + _ENTRY.size * len(ordered)
    strings = bytearray()
    rows = bytearray()
    for entry in ordered:
        key = start + len(strings)
        strings += entry.name.encode("utf-8", "surrogateescape") + b"\0"
        value = start + len(strings)
        strings += entry.path.encode("utf-8", "surrogateescape") + b"\0"
        rows += _ENTRY.pack(entry.flags, key, value, 0, 0)
    return _HEADER.pack(_MAGIC, len(ordered), len(strings), _LITTLE_ENDIAN, 0) + bytes(rows + strings)


def _text(data: bytes, start: int) -> str:
    end = data.find(b"\0", start)
    if not 0 < start < end:
        raise ValueError("a name lies outside of it")
    return data[start:end].decode("utf-8", "surrogateescape")


def _order(name: str) -> list[tuple[int, int]]:
    """A key that sorts as the linker compares: numbers by value and above all other characters."""
    key: list[tuple[int, int]] = []
    for digits, other in re.findall(r"(\d+)|(\D)", name):
        key.append((1, int(digits)) if digits else (0, ord(other)))
    return key
