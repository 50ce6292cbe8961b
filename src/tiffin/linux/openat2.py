"""openat2(2): a path opened by rules about where it may lead, by hand where the kernel lacks the call.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os

from tiffin.linux import libc

NO_XDEV = 0x01
NO_MAGICLINKS = 0x02
NO_SYMLINKS = 0x04
BENEATH = 0x08
IN_ROOT = 0x10

_OPENAT2 = 437  # the same number on every architecture
_AT_FDCWD = -100
_MOST_TRIES = 1000
# Before Linux 5.6 there is no such call; filters of older runtimes, which do not know it, say EPERM.
_PERHAPS_MISSING = frozenset((errno.ENOSYS, errno.EPERM))


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(root_fd: int, path: str | bytes, flags: int, mode: int, resolve: int) -> int:
    """Return a descriptor, close-on-exec, for `path` from the directory `root_fd` on; `.` if it is empty.

    No link of /proc that the kernel resolves by magic is followed (ELOOP).
    """
    name = os.fsencode(path) or b"."
    if b"\0" in name:
        raise OSError(errno.EINVAL, "open: the path holds a zero byte", path)
    try:
        return _call(root_fd, name, flags, mode, resolve, path)
    except OSError as error:
        if error.errno not in _PERHAPS_MISSING or not is_missing():
            raise
    from tiffin.linux import pathwalk  # few kernels need it; who changes its root has loaded it

    try:
        return pathwalk.walk(root_fd, name, flags, mode, resolve)
    except OSError as error:
        raise OSError(error.errno, f"open: {error.strerror}", path) from None


def is_missing() -> bool:
    """Tell whether the kernel, or what filters its calls, does not know this one."""
    try:
        os.close(_call(_AT_FDCWD, b"/", os.O_PATH, 0, 0, "/"))
    except OSError as error:
        return error.errno in _PERHAPS_MISSING
    return False


def _call(root_fd: int, name: bytes, flags: int, mode: int, resolve: int, path: str | bytes) -> int:
    how = _How(flags | os.O_CLOEXEC, mode, resolve | NO_MAGICLINKS)
    buffer = ctypes.create_string_buffer(name)
    arguments = (root_fd, ctypes.addressof(buffer), ctypes.addressof(how), ctypes.sizeof(how))
    for _ in range(_MOST_TRIES):
        try:
            return libc.syscall("open", _OPENAT2, *arguments, path=path)
        except OSError as error:
            # The kernel could not prove that a `..` stayed inside while something was renamed or mounted,
            # anywhere on the machine: again.
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                raise
    raise OSError(errno.EAGAIN, "open: mounts and renames never ceased", path)
