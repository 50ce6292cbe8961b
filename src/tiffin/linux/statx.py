"""What statx(2) and fstatat(2) say, as the kernel writes it: Python's `os.stat` knows no time of birth."""

from __future__ import annotations

import ctypes
import os

from tiffin.linux.libc import syscall

STATX_SIZE = 256

_MACHINE = os.uname().machine
_STATX = {"x86_64": 332, "aarch64": 291}
_FSTATAT = {"x86_64": (262, 144), "aarch64": (79, 128)}
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_BORN = 0x800
_BORN_AT = 80


def statx(path: bytes, flags: int, mask: int, *, directory: int = _AT_FDCWD) -> bytearray:
    """Return the struct statx of what is at the path."""
    name, buffer = ctypes.create_string_buffer(path), ctypes.create_string_buffer(STATX_SIZE)
    addresses = ctypes.addressof(name), ctypes.addressof(buffer)
    number = _STATX[_MACHINE]
    syscall("statx", number, directory, addresses[0], flags, mask, addresses[1], path=path)
    return bytearray(buffer.raw)


def fstatat(path: bytes, flags: int, *, directory: int = _AT_FDCWD) -> bytearray:
    """Return the struct stat of this machine of what is at the path."""
    number, size = _FSTATAT[_MACHINE]
    name, buffer = ctypes.create_string_buffer(path), ctypes.create_string_buffer(size)
    syscall("stat", number, directory, ctypes.addressof(name), ctypes.addressof(buffer), flags, path=path)
    return bytearray(buffer.raw)


def born(fd: int) -> int:
    """Return when what is open was made, in nanoseconds; 0 where nobody knows."""
    data = statx(b"", _AT_EMPTY_PATH, _BORN, directory=fd)
    if not int.from_bytes(data[:4], "little") & _BORN:
        return 0
    seconds = int.from_bytes(data[_BORN_AT : _BORN_AT + 8], "little", signed=True)
    return max(seconds, 0) * 1_000_000_000 + int.from_bytes(data[_BORN_AT + 8 : _BORN_AT + 12], "little")
