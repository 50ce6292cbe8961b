"""Which system calls are answered where there is one id. Pure; runs under `python -IS`.

`open` and `openat` are heard when they may make a file, the others always. What shows a file is left to the
kernel in 32-bit programs: its structures are others there.
"""

from __future__ import annotations

from tiffin.linux.bpf import ARCHITECTURES
from tiffin.linux.sysnum import numbers

COMPAT = {"x86_64": "i386", "aarch64": "arm"}
"""The 32-bit calls of a machine, by the names of `sysnum`."""

OWNERS = ("chown", "fchown", "lchown", "fchownat")
IDENTITIES = (
    *("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid"),
    *("getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups", "setgroups"),
)
MAKING = ("mknod", "mknodat", "mkdir", "mkdirat", "symlink", "symlinkat", "creat", "openat2")
ATTRIBUTES = ("setxattr", "lsetxattr", "fsetxattr")
LISTING = ("listxattr", "llistxattr", "flistxattr")
PROGRAMS = ("execve", "execveat", "chroot")
OPENING = {"open": 1, "openat": 2}
"""Calls that open, and which argument their flags are."""

MARK = 15
"""RLIMIT_RTTIME: the time of real-time programs, which there are none of in a container."""

PARTLY = {
    "setrlimit": ((0, MARK),),
    "prlimit64": ((1, MARK),),
    "getsockopt": ((1, 1), (2, 17)),  # SOL_SOCKET, SO_PEERCRED
    "prctl": ((0, 8),),  # PR_SET_KEEPCAPS
}
"""Calls that are heard when these arguments have these values."""

ASKING = ("access", "faccessat", "faccessat2")
SHOWING = ("stat", "lstat", "fstat", "newfstatat", "statx")

O_CREAT = 0o100
O_TMPFILE = 0o20000000

_WIDE = "32"
# Calls of the first 32-bit kernels, which knew ids of 16 bits, have successors with these names.
_NARROW = frozenset((*OWNERS, *IDENTITIES)) - {"fchownat"}


def answered(architecture: str) -> tuple[str, ...]:
    """Return the names of all calls of `architecture` that are answered, but for those heard at times."""
    names = (*OWNERS, *IDENTITIES, *MAKING, *ATTRIBUTES, *LISTING, *PROGRAMS, *ASKING)
    if architecture in COMPAT.values():
        return (*names, *(f"{name}{_WIDE}" for name in (*OWNERS, *IDENTITIES) if name != "fchownat"))
    return (*names, *SHOWING)


class Meaning:
    """What a number means: the call, without the mark of its width, and whether its ids have 16 bits."""

    def __init__(self, name: str, architecture: str) -> None:
        compat = architecture in COMPAT.values()
        wide = name.endswith(_WIDE)
        self.name = name.removesuffix(_WIDE)
        self.narrow = compat and not wide and self.name in _NARROW


def table(machine: str) -> dict[tuple[int, int], Meaning]:
    """Return what each number of a call means, by the kernel's word for its architecture."""
    found = {}
    for architecture in (machine, COMPAT[machine]):
        known = numbers(architecture)
        for name in (*answered(architecture), *OPENING, *PARTLY):
            if name in known:
                found[ARCHITECTURES[architecture], known[name]] = Meaning(name, architecture)
    return found
