"""The mappings of an existing user namespace: its file does not tell them, a process in it can read them."""

from __future__ import annotations

import os

from tiffin.linux import namespace
from tiffin.linux.namespace import IdMap

_LARGEST = 1 << 16


def maps_of(path: str) -> tuple[tuple[IdMap, ...], tuple[IdMap, ...]]:
    """Return how users and groups are mapped in the namespace at `path`, as seen from the one that made it.

    For a caller with a single thread. Raises OSError if it cannot be entered.
    """
    users = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    read, write = os.pipe()
    try:
        pid, pidfd = namespace.clone(0)
        if pid == 0:
            _tell(users, write)
        os.close(write)
        write = -1
        os.close(pidfd)
        text = b""
        while part := os.read(read, _LARGEST):
            text += part
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for fd in (users, read, write):
            if fd >= 0:
                os.close(fd)
    if code:
        raise OSError(code, os.strerror(code), path)
    uids, gids = (
        tuple(IdMap(*map(int, line.split())) for line in part.splitlines()) for part in text.split(b"\0")
    )
    return uids, gids


def _tell(users: int, write: int) -> None:
    """Enter the namespace and write both maps, in the child; the error is its exit status."""
    try:
        namespace.setns(users, namespace.NEWUSER)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/self/{name}", "rb") as file:
                os.write(write, file.read() + (b"\0" if name == "uid_map" else b""))
    except OSError as error:
        os._exit(error.errno or 1)
    os._exit(0)
