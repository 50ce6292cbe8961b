"""Classic BPF for seccomp: an assembler, and loading a program as the filter of this process."""

from __future__ import annotations

import ctypes
import os

from tiffin.linux.libc import syscall

LOAD_WORD = 0x20  # A = the word of seccomp_data at k
JUMP = 0x05
JUMP_EQUAL = 0x15
JUMP_GREATER = 0x25
JUMP_GREATER_EQUAL = 0x35
JUMP_BITS = 0x45
AND = 0x54
RETURN = 0x06

KILL_PROCESS = 0x80000000
ERRNO = 0x00050000
ALLOW = 0x7FFF0000

NUMBER_AT = 0
ARCH_AT = 4
ARGS_AT = 16

MOST_INSTRUCTIONS = 4096

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def instruction(code: int, k: int, on_true: int = 0, on_false: int = 0) -> bytes:
    """Return one instruction as the kernel reads it."""
    return code.to_bytes(2, "little") + bytes((on_true, on_false)) + k.to_bytes(4, "little")


def install(programs: tuple[bytes, ...]) -> None:
    """Load filters, for ever; all of them are asked, and the strictest answer counts."""
    for program in programs:
        buffer = ctypes.create_string_buffer(program, len(program))
        header = _Program(len(program) // 8, ctypes.addressof(buffer))
        address = ctypes.addressof(header)
        number = _SECCOMP[os.uname().machine]
        syscall("loading the seccomp filter", number, _SET_MODE_FILTER, 0, address)
