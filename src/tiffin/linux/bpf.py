"""Classic BPF for seccomp: an assembler, and loading a program as the filter of this process."""

from __future__ import annotations

import ctypes
import errno
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
NOTIFY = 0x7FC00000

NUMBER_AT = 0
ARCH_AT = 4
ARGS_AT = 16

MOST_INSTRUCTIONS = 4096

ARCHITECTURES = {"x86_64": 0xC000003E, "i386": 0x40000003, "aarch64": 0xC00000B7, "arm": 0x40000028}
"""What the kernel calls the architectures of calls (AUDIT_ARCH_…), by the names of `sysnum`."""

_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_NEW_LISTENER = 8
_WAIT_KILLABLE = 32


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def instruction(code: int, k: int, on_true: int = 0, on_false: int = 0) -> bytes:
    """Return one instruction as the kernel reads it."""
    return code.to_bytes(2, "little") + bytes((on_true, on_false)) + k.to_bytes(4, "little")


def install(programs: tuple[bytes, ...]) -> None:
    """Load filters, for ever; all of them are asked, and the strictest answer counts."""
    for program in programs:
        _load(program, 0)


def listen(program: bytes) -> int:
    """Load a filter, for ever, and return the descriptor at which calls are heard and answered.

    A call that was heard is interrupted by nothing but death, from Linux 5.19 on. A process can have one
    such filter (EBUSY).
    """
    try:
        return _load(program, _NEW_LISTENER | _WAIT_KILLABLE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return _load(program, _NEW_LISTENER)


def _load(program: bytes, flags: int) -> int:
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _Program(len(program) // 8, ctypes.addressof(buffer))
    number = _SECCOMP[os.uname().machine]
    return syscall("loading the seccomp filter", number, _SET_MODE_FILTER, flags, ctypes.addressof(header))
