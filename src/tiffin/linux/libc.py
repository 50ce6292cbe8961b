"""The C library, opened once: every call declares its signature here and fails as `OSError`.

Runs under `python -IS`; standard library only, and as little of it as possible:
`typing` alone would cost more than everything else at the start of a container.
"""

from __future__ import annotations

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_libc = ctypes.CDLL(None, use_errno=True)


def function(name: str, *argtypes: Any, restype: Any = ctypes.c_int) -> Any:
    """Return the C function `name` with its signature set."""
    symbol = getattr(_libc, name)
    symbol.argtypes = argtypes
    symbol.restype = restype
    return symbol


_syscall = function("syscall", *[ctypes.c_long] * 7, restype=ctypes.c_long)


def failure(what: str, path: str | bytes | None = None) -> OSError:
    """Return the error of the call that failed last, naming the call and its object."""
    errno = ctypes.get_errno()
    return OSError(errno, f"{what}: {os.strerror(errno)}", path)


def check(result: int, what: str, path: str | bytes | None = None) -> int:
    """Return `result`, or raise `OSError` with errno, naming the call and its object if it is -1."""
    if result == -1:
        raise failure(what, path)
    return result


def syscall(what: str, number: int, *args: int, path: str | bytes | None = None) -> int:
    """Call the system call `number` (see `sysnum`) with up to six integers or addresses."""
    return check(_syscall(number, *args, *[0] * (6 - len(args))), what, path)


def kernel() -> tuple[int, int]:
    """Return the version of the kernel, such as (5, 10)."""
    release = os.uname().release.split(".")
    return int(release[0]), int("".join(c for c in release[1] if c.isdigit()) or 0)
