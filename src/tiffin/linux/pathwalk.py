"""Paths taken part by part, as openat2(2) takes them, for kernels without that call (before Linux 5.6).

Each part is opened without following it, and the text of a link is taken apart here. Inside a root `..` asks
nobody: the way is gone again from the root, by the names that led here. So whatever is renamed or put in the
place of something meanwhile, nothing outside of the root is reached.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux.mount import filesystem_magic
from tiffin.linux.openat2 import BENEATH, IN_ROOT, NO_SYMLINKS, NO_XDEV

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_MOST_LINKS = 40
_MOST_BYTES = 4096
_PROC_MAGIC = 0x9FA0
_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_FDCWD = -100


def walk(root_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    """Return what `openat2.openat2` returns, by the same rules."""
    if len(path) >= _MOST_BYTES:
        raise _error(errno.ENAMETOOLONG)
    with _Walk(root_fd, resolve) as way:
        fd = way.open(path, flags | os.O_CLOEXEC, mode)
    if resolve & NO_XDEV and mount_id(fd) != mount_id(root_fd):
        os.close(fd)
        raise _error(errno.EXDEV)
    return fd


def mount_id(fd: int) -> int:
    """Return the number of the mount on which the open file lies (proc(5)), 0 if nobody tells."""
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
            lines = file.read().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(b"mnt_id:")), 0)


class _Walk:
    """Where the way has led up to now."""

    def __init__(self, root_fd: int, resolve: int) -> None:
        self._root = root_fd
        self._inside = bool(resolve & (IN_ROOT | BENEATH))
        self._beneath = bool(resolve & BENEATH)
        self._links = not resolve & NO_SYMLINKS
        self._left = _MOST_LINKS
        self._names: list[bytes] = []
        self._here = _start(root_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._here)

    def open(self, path: bytes, flags: int, mode: int) -> int:
        """Return the descriptor of what the path leads to."""
        todo = self._begin(path)
        while True:
            name = todo.pop()
            if name == b"..":
                self._up()
                name = b"."
            try:
                fd = os.open(name, _STEP if todo else flags | os.O_NOFOLLOW, mode, dir_fd=self._here)
            except OSError as error:
                text = self._text(name, error)
                if not todo and flags & os.O_NOFOLLOW:
                    raise
            else:
                if todo:
                    self._to(name, fd)
                    continue
                if flags & os.O_NOFOLLOW or not stat.S_ISLNK(os.fstat(fd).st_mode):
                    return fd
                os.close(fd)  # by O_PATH a link itself can be opened
                text = os.readlink(name, dir_fd=self._here)
            self._count(text)
            todo += self._begin(text)

    def _begin(self, path: bytes) -> list[bytes]:
        """Return the parts of the path, the last one first; an absolute one begins again."""
        if path.startswith(b"/"):
            self._refuse_to_leave()
            self._names = []
            self._move(_start(self._root) if self._inside else os.open(b"/", _STEP))
        parts = [part for part in path.split(b"/") if part]
        if not parts or path.endswith(b"/"):
            parts.append(b".")
        return parts[::-1]

    def _to(self, name: bytes, fd: int) -> None:
        self._move(fd)
        if name != b".":
            self._names.append(name)

    def _up(self) -> None:
        if not self._inside:
            self._move(os.open(b"..", _STEP, dir_fd=self._here))
            return
        if not self._names:
            self._refuse_to_leave()
        names, self._names = self._names[:-1], []
        self._move(_start(self._root))
        for name in names:
            self._to(name, os.open(name, _STEP, dir_fd=self._here))

    def _refuse_to_leave(self) -> None:
        if self._beneath:
            raise _error(errno.EXDEV)

    def _move(self, fd: int) -> None:
        os.close(self._here)
        self._here = fd

    def _text(self, name: bytes, error: OSError) -> bytes:
        """Return where the link leads that could not be opened; what else went wrong is raised again."""
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise error
        try:
            return os.readlink(name, dir_fd=self._here)
        except OSError:
            raise error from None

    def _count(self, text: bytes) -> None:
        """Refuse a link too many, and those of /proc that mean more than they say."""
        self._left -= 1
        if not self._links or self._left < 0 or (_is_magic(text) and self._is_proc()):
            raise _error(errno.ELOOP)

    def _is_proc(self) -> bool:
        return filesystem_magic(self._here) == _PROC_MAGIC


def _start(root_fd: int) -> int:
    return os.open(b".", _STEP) if root_fd == _AT_FDCWD else os.open(b".", _STEP, dir_fd=root_fd)


def _is_magic(text: bytes) -> bool:
    """Tell those apart from `self/mounts` and the like, all of which are relative."""
    return text.startswith(b"/") or b":" in text


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
