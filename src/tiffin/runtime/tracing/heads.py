"""What a program is, by how its file begins: a script, or an ELF program with or without a loader.

Pure; runs under `python -IS`. What is refused is what execve(2) refuses, and programs of other machines.
"""

from __future__ import annotations

import errno
import os
import struct

from tiffin.linux.elf import MACHINES
from tiffin.linux.record import NamedTuple

HEAD = 4096
"""So many bytes of a file tell nearly always; `Elf.loader_at` tells where else to read."""

_SCRIPT = b"#!"
_LINE = 256
_ELF = b"\x7fELF"
_HEADER = struct.Struct("<HHIQQQIHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_KINDS = (2, 3)
_LOADER = 3
_MOST_SEGMENTS = 64
_LONGEST = 4096


class Script(NamedTuple):
    """A file that another program reads: which one, and the one argument of the first line."""

    interpreter: bytes
    argument: bytes = b""


class Elf(NamedTuple):
    """A program of this machine; where in its file the path of its loader lies, and how long that is."""

    loader_at: int = 0
    loader_size: int = 0

    @property
    def is_static(self) -> bool:
        """Whether the kernel needs nothing but the file."""
        return not self.loader_size


def kind_of(head: bytes, machine: str) -> Script | Elf:
    """Return what the file is that begins so. Raises OSError (ENOEXEC) for what is no program here."""
    if head.startswith(_SCRIPT):
        return _script(head)
    if head.startswith(_ELF):
        return _elf(head, machine)
    raise _no_program()


def _script(head: bytes) -> Script:
    line, end, _ = head[2:_LINE].partition(b"\n")
    line = line if end else line[: _LINE - 3]  # the kernel leaves room for an end
    words = line.strip(b" \t").split(b"\0", 1)[0].split(None, 1)
    if not words or (not end and len(words) == 1 and len(head) >= _LINE):
        raise _no_program()  # the kernel would not know where the name ends
    return Script(words[0], words[1].strip(b" \t") if len(words) > 1 else b"")


def _elf(head: bytes, machine: str) -> Elf:
    width, number = MACHINES[machine]
    if len(head) < 64 or (head[4], head[5]) != (width, 1):
        raise _no_program()
    kind, found, _, _, table, _, _, _, size, count = _HEADER.unpack_from(head, 16)
    if kind not in _KINDS or found != number or size != _PROGRAM.size:
        raise _no_program()
    for place in range(min(count, _MOST_SEGMENTS)):
        start = table + place * size
        if start + size > len(head):
            raise _no_program()
        segment, _, offset, _, _, length, _, _ = _PROGRAM.unpack_from(head, start)
        if segment == _LOADER:
            if not 2 <= length <= _LONGEST:
                raise _no_program()
            return Elf(offset, length)
    return Elf()


def _no_program() -> OSError:
    return OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC))
