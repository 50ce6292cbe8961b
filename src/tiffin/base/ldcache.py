"""/etc/ld.so.cache: where the dynamic linker, and all that asks `ldconfig -p`, finds libraries.

Written here because ldconfig would have to run, and a machine's own ldconfig
writes its own version into the file. Format: glibc's `glibc-ld.so.cache1.1`.
"""

from __future__ import annotations

import fnmatch
import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tiffin.base.tree import Tree

_MAGIC: Final = b"glibc-ld.so.cache1.1"
_HEADER: Final = struct.Struct("<20sIIB3xI12x")
_ENTRY: Final = struct.Struct("<iIIIQ")
_LITTLE_ENDIAN: Final = 2
# ELF class and machine → the flags of an entry: a libc6 library of that ABI.
_FLAGS: Final = {(2, 62): 0x0303, (2, 183): 0x0A03, (1, 3): 0x0003, (2, 243): 0x1003}
_ELF_MACHINES: Final = {"amd64": (2, 62), "arm64": (2, 183), "i386": (1, 3), "riscv64": (2, 243)}
_PROGRAM: Final = {1: struct.Struct("<IIIIIIII"), 2: struct.Struct("<IIQQQQQQ")}
_DYNAMIC: Final = {1: struct.Struct("<iI"), 2: struct.Struct("<qQ")}
_PT_LOAD, _PT_DYNAMIC, _DT_STRTAB, _DT_SONAME = 1, 2, 5, 14
_ET_DYN: Final = 3
_NAME: Final = re.compile(r"(?:lib.*|ld-.*)\.so(?:\..*)?")
_DEFAULTS: Final = ("lib", "usr/lib", "lib64", "usr/lib64")


def install_cache(tree: Tree, architecture: str) -> int:
    """Write the cache of the libraries in the linker's directories; returns how many, 0 if that is not known.

    Without a cache the linker still searches its default directories, so an
    architecture that is not known here only lacks `ldconfig -p`.
    """
    machine = _ELF_MACHINES.get(architecture)
    if machine is None:
        return 0
    found: dict[str, str] = {}
    seen: set[str] = set()
    for directory in [*_configured(tree, "etc/ld.so.conf"), *_DEFAULTS]:
        real = tree.resolve(directory)
        if real in seen or not tree.is_directory(directory):
            continue
        seen.add(real)
        for name in tree.children(directory):
            path = f"{directory}/{name}"
            if not _NAME.fullmatch(name) or not tree.is_file(path):
                continue
            soname = library_name(tree.read(path), machine)
            if soname is not None and f"{directory}/{soname}" in tree:
                found.setdefault(soname, f"/{directory}/{soname}")
    tree.write("etc/ld.so.cache", encode_cache(found, _FLAGS[machine]))
    return len(found)


def encode_cache(libraries: dict[str, str], flags: int) -> bytes:
    """The cache for libraries by name; sorted so that the linker's binary search finds them."""
    names = sorted(libraries, key=_order, reverse=True)
    start = _HEADER.size + _ENTRY.size * len(names)
    strings = bytearray()
    entries = bytearray()
    for name in names:
        key = start + len(strings)
        strings += name.encode() + b"\0"
        value = start + len(strings)
        strings += libraries[name].encode() + b"\0"
        entries += _ENTRY.pack(flags, key, value, 0, 0)
    return _HEADER.pack(_MAGIC, len(names), len(strings), _LITTLE_ENDIAN, 0) + bytes(entries + strings)


def library_name(data: bytes, machine: tuple[int, int]) -> str | None:
    """The SONAME of a shared library for `machine` (ELF class, machine); None for anything else."""
    if data[:4] != b"\x7fELF" or len(data) < 64 or (data[4], data[5]) != (machine[0], 1):
        return None
    kind, number = struct.unpack_from("<HH", data, 16)
    if kind != _ET_DYN or number != machine[1]:
        return None
    try:
        return _soname(data, data[4])
    except (struct.error, ValueError, StopIteration):
        return None


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def _soname(data: bytes, width: int) -> str | None:
    table = struct.unpack_from("<I" if width == 1 else "<Q", data, 28 if width == 1 else 32)[0]
    size, count = struct.unpack_from("<HH", data, 42 if width == 1 else 54)
    segments = [_segment(data, table + size * number, width) for number in range(count)]
    dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    values = dict(
        reversed(
            [
                _DYNAMIC[width].unpack_from(data, position)
                for position in range(dynamic.offset, dynamic.offset + dynamic.size, _DYNAMIC[width].size)
            ]
        )
    )
    if _DT_SONAME not in values or _DT_STRTAB not in values:
        return None
    address = values[_DT_STRTAB]
    holder = next(s for s in segments if s.kind == _PT_LOAD and s.address <= address < s.address + s.size)
    start = address - holder.address + holder.offset + values[_DT_SONAME]
    return data[start : data.index(b"\0", start)].decode()


def _segment(data: bytes, position: int, width: int) -> _Segment:
    fields = _PROGRAM[width].unpack_from(data, position)
    if width == 1:
        return _Segment(fields[0], fields[1], fields[2], fields[4])
    return _Segment(fields[0], fields[2], fields[3], fields[5])


def _configured(tree: Tree, path: str) -> list[str]:
    """The directories that ld.so.conf names, its includes in their place."""
    if not tree.is_file(path):
        return []
    found: list[str] = []
    for line in tree.read(path).decode().split("\n"):
        word = line.partition("#")[0].strip()
        if word.startswith("include "):
            directory, _, pattern = word[8:].strip().lstrip("/").rpartition("/")
            for name in tree.children(directory):
                if fnmatch.fnmatchcase(name, pattern):
                    found += _configured(tree, f"{directory}/{name}")
        elif word:
            found.append(word.strip("/"))
    return found


def _order(name: str) -> list[tuple[int, int]]:
    """A key that sorts as the linker compares: numbers by value and above all other characters."""
    key: list[tuple[int, int]] = []
    for digits, other in re.findall(r"(\d+)|(\D)", name):
        key.append((1, int(digits)) if digits else (0, ord(other)))
    return key
