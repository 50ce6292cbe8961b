"""Mount targets inside a root filesystem: found, or made, without ever leaving it.

An image decides what lies in its root filesystem, so a target may be a symlink to anywhere. Every path is
resolved by the kernel as if the root were `/`, and magic links (`/proc/self/fd/7`) are refused.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux.mount import filesystem_magic
from tiffin.linux.openat2 import IN_ROOT, NO_SYMLINKS, openat2

_PROC_MAGIC = 0x9FA0
_COVERABLE = {
    f"/proc/{name}"
    for name in (
        *("cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"),
        *("sys/crypto/fips_enabled", "sys/kernel/ns_last_pid"),
    )
}
_MOST_LINKS = 40


def resolve(root_fd: int, path: str, flags: int = os.O_PATH, *, links: bool = True) -> int:
    """Open `path` as a process with this root sees it; without `links` a symlink is an error."""
    try:
        return openat2(root_fd, path.lstrip("/"), flags, 0, IN_ROOT | (0 if links else NO_SYMLINKS))
    except OSError as error:
        error.filename = path
        raise


def refuse_proc(fd: int, path: str) -> None:
    """Raise PermissionError if the target leads into /proc, by whatever links.

    Programs trust what /proc says, and the limits of a container are set through it. What tells of the
    machine, and that there are programs to make for each container, may be covered, as in Docker.
    """
    if filesystem_magic(fd) == _PROC_MAGIC and os.readlink(f"/proc/self/fd/{fd}") not in _COVERABLE:
        raise PermissionError(errno.EPERM, "the target is in /proc, where nothing can be mounted", path)


def ensure(root_fd: int, path: str, *, directory: bool) -> int:
    """Open the target at `path`, making it and its missing parents, where a dangling symlink points too."""
    for _ in range(_MOST_LINKS):
        try:
            fd = resolve(root_fd, path)
        except FileNotFoundError:
            path = _make_missing(root_fd, path, directory=directory)
            continue
        if stat.S_ISDIR(os.fstat(fd).st_mode) != directory:
            os.close(fd)
            wanted, code = ("a file", errno.EISDIR) if not directory else ("a directory", errno.ENOTDIR)
            raise OSError(code, f"what is mounted there is {wanted}, the target is not", path)
        return fd
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def _make_missing(root_fd: int, path: str, *, directory: bool) -> str:
    """Make the first missing part of `path`; return the path to try next, which a dangling link changes."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    for index, name in enumerate(parts):
        prefix = "/".join(parts[: index + 1])
        try:
            os.close(resolve(root_fd, prefix))
        except FileNotFoundError:
            parent = "/".join(parts[:index])
            parent_fd = resolve(root_fd, parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                link = _make(parent_fd, name, directory=directory or index < len(parts) - 1)
            finally:
                os.close(parent_fd)
            if link is None:
                return path
            start = "" if link.startswith("/") else parent
            return "/".join((start, link, *parts[index + 1 :]))
    return path


def _make(parent_fd: int, name: str, *, directory: bool) -> str | None:
    """Make a directory or an empty file, or return the text of the symlink that is in its place."""
    try:
        if directory:
            os.mkdir(name, 0o755, dir_fd=parent_fd)
        else:
            os.close(
                os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644, dir_fd=parent_fd)
            )
    except FileExistsError:
        return os.readlink(name, dir_fd=parent_fd)
    return None
