"""Which devices the processes of a cgroup of version 2 may use: a program in eBPF that the kernel asks.

It belongs to the cgroup and goes with it. Loading one needs root of this machine (CAP_BPF, or CAP_SYS_ADMIN).
"""

from __future__ import annotations

import ctypes
import os
import struct

from tiffin.linux.libc import syscall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Allowed = tuple[str, int | None, int | None, str]

__all__ = ["attach", "compile_rules", "obstacle"]

_BPF = {"x86_64": 321, "aarch64": 280}
_PROG_LOAD, _PROG_ATTACH = 5, 8
_CGROUP_DEVICE_PROGRAM, _CGROUP_DEVICE, _ALLOW_MULTI = 15, 6, 2
_ACCESS = {"m": 1, "r": 2, "w": 4}
_TYPES = {"b": 1, "c": 2}

_LOAD, _MOVE, _COPY, _AND, _SHIFT, _UNLESS, _EXIT = 0x61, 0xB7, 0xBC, 0x54, 0x74, 0x56, 0x95
_RESULT, _CONTEXT, _TYPE, _WANTED, _MAJOR, _MINOR = range(6)
_END = struct.pack("<BBhI", _EXIT, 0, 0, 0)
_DENY_ALL = struct.pack("<BBhI", _MOVE, _RESULT, 0, 0) + _END
_ALLOW_ALL = struct.pack("<BBhI", _MOVE, _RESULT, 0, 1) + _END


def compile_rules(allowed: Iterable[Allowed]) -> bytes:
    """Return a program that lets be done what one of the rules allows: type, numbers, `rwm`. Pure.

    The type `a` is any, with all that can be done; a number that is None is any.
    """
    rules = list(allowed)
    if any(rule[0] not in _TYPES for rule in rules):  # the verifier takes no rules that are never reached
        return _ALLOW_ALL
    program = [
        _instruction(_LOAD, _TYPE, _CONTEXT),
        _instruction(_AND, _TYPE, value=0xFFFF),
        _instruction(_LOAD, _WANTED, _CONTEXT),
        _instruction(_SHIFT, _WANTED, value=16),
        _instruction(_LOAD, _MAJOR, _CONTEXT, 4),
        _instruction(_LOAD, _MINOR, _CONTEXT, 8),
    ]
    for rule in rules:
        program += _rule(*rule)
    return b"".join(program) + _DENY_ALL


def obstacle() -> str:
    """Return why no such program can be loaded; nothing if it can."""
    try:
        os.close(_load(_DENY_ALL))
    except OSError as error:
        return f"a program for it cannot be loaded: {error.strerror}"
    return ""


def attach(directory: Path, program: bytes) -> None:
    """Have the kernel ask the program about processes of the cgroup at `directory`."""
    fd = _load(program)
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            attributes = struct.pack("<5I", group, fd, _CGROUP_DEVICE, _ALLOW_MULTI, 0)
            _bpf(_PROG_ATTACH, attributes)
        finally:
            os.close(group)
    finally:
        os.close(fd)


def _rule(kind: str, major: int | None, minor: int | None, access: str) -> list[bytes]:
    """Return the instructions that allow it, and lead behind them for all else."""
    steps: list[bytes | tuple[int, int]] = [(_TYPE, _TYPES[kind])]
    missing = 7 & ~sum(_ACCESS[letter] for letter in set(access))
    if missing:
        steps += [_instruction(_COPY, _CONTEXT, _WANTED), _instruction(_AND, _CONTEXT, value=missing)]
        steps.append((_CONTEXT, 0))
    steps += [(_MAJOR, major)] if major is not None else []
    steps += [(_MINOR, minor)] if minor is not None else []
    steps += [_instruction(_MOVE, _RESULT, value=1), _instruction(_EXIT)]
    return [
        step
        if isinstance(step, bytes)
        else _instruction(_UNLESS, step[0], offset=len(steps) - index - 1, value=step[1])
        for index, step in enumerate(steps)
    ]


def _instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhI", code, target | source << 4, offset, value)


def _load(program: bytes) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    count = len(program) // 8
    head = struct.pack(
        "<IIQQ", _CGROUP_DEVICE_PROGRAM, count, ctypes.addressof(code), ctypes.addressof(licence)
    )
    return _bpf(_PROG_LOAD, head + struct.pack("<IIQII16sII", 0, 0, 0, 0, 0, b"", 0, _CGROUP_DEVICE))


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    number = _BPF[os.uname().machine]
    return syscall("limiting devices", number, command, ctypes.addressof(buffer), len(attributes))
