"""Shared libraries by what they say of themselves: for which machine they are, and their SONAME. Pure."""

from __future__ import annotations

import struct

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import mmap

_PROGRAM = {1: struct.Struct("<IIIIIIII"), 2: struct.Struct("<IIQQQQQQ")}
_DYNAMIC = {1: struct.Struct("<iI"), 2: struct.Struct("<qQ")}
_PT_LOAD, _PT_DYNAMIC, _DT_STRTAB, _DT_SONAME = 1, 2, 5, 14
_ET_DYN = 3
_MOST_SEGMENTS = 256
_LARGEST_DYNAMIC = 1 << 16
_LONGEST = 255
# The machine as uname tells it → ELF class and number of the machine.
MACHINES = {"x86_64": (2, 62), "aarch64": (2, 183), "i686": (1, 3), "riscv64": (2, 243)}


class _Segment(NamedTuple):
    kind: int
    offset: int
    address: int
    size: int


def library_name(data: bytes | mmap.mmap, machine: tuple[int, int]) -> str | None:
    """Return the SONAME of a shared library for `machine` (ELF class, number); None for anything else."""
    if data[:4] != b"\x7fELF" or len(data) < 64 or (data[4], data[5]) != (machine[0], 1):
        return None
    kind, number = struct.unpack_from("<HH", data, 16)
    if kind != _ET_DYN or number != machine[1]:
        return None
    try:
        return _soname(data, data[4])
    except (struct.error, ValueError, StopIteration):
        return None


def _soname(data: bytes | mmap.mmap, width: int) -> str | None:
    table = struct.unpack_from("<I" if width == 1 else "<Q", data, 28 if width == 1 else 32)[0]
    size, count = struct.unpack_from("<HH", data, 42 if width == 1 else 54)
    segments = [_segment(data, table + size * number, width) for number in range(min(count, _MOST_SEGMENTS))]
    dynamic = next((segment for segment in segments if segment.kind == _PT_DYNAMIC), None)
    if dynamic is None:
        return None
    form = _DYNAMIC[width]
    end = dynamic.offset + min(dynamic.size, _LARGEST_DYNAMIC)
    values: dict[int, int] = {}
    for position in range(dynamic.offset, end, form.size):
        tag, value = form.unpack_from(data, position)
        values.setdefault(tag, value)
    if _DT_SONAME not in values or _DT_STRTAB not in values:
        return None
    address = values[_DT_STRTAB]
    holder = next(s for s in segments if s.kind == _PT_LOAD and s.address <= address < s.address + s.size)
    start = address - holder.address + holder.offset + values[_DT_SONAME]
    name = data[start : start + _LONGEST + 1]
    return name[: name.index(b"\0")].decode()


def _segment(data: bytes | mmap.mmap, position: int, width: int) -> _Segment:
    fields = _PROGRAM[width].unpack_from(data, position)
    if width == 1:
        return _Segment(fields[0], fields[1], fields[2], fields[4])
    return _Segment(fields[0], fields[2], fields[3], fields[5])
