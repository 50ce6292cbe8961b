"""Whiteouts and opaque directories: how overlayfs marks them on disk, and how a layer's tar spells them.

On disk (Documentation/filesystems/overlayfs.rst): a whiteout is a character
device 0:0, or, where such a node cannot be made, an empty file with an
attribute. In a tar (image-spec, layer.md): `.wh.NAME` and `.wh..wh..opq`.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from tiffin.linux.files import NO_XATTR, getxattr

PREFIX: Final = ".wh."
META_PREFIX: Final = ".wh..wh."
OPAQUE_MARKER: Final = ".wh..wh..opq"

OPAQUE: Final = "user.overlay.opaque"
WHITEOUT: Final = "user.overlay.whiteout"


def is_whiteout(host: str, status: os.stat_result) -> bool:
    """Whether the entry at `host` hides what lies below it and is nothing itself."""
    if stat.S_ISCHR(status.st_mode):
        return status.st_rdev == 0
    return (
        status.st_size == 0
        and stat.S_ISREG(status.st_mode)
        and getxattr(host, WHITEOUT, follow=False) is not None
    )


def is_opaque(host: str) -> bool:
    """Whether the directory at `host` hides the one below it; "x" only says that there are whiteouts."""
    return getxattr(host, OPAQUE, follow=False) == b"y"


def make_whiteout(directory_fd: int, name: str) -> None:
    """Put a whiteout for `name` into the directory; `FileExistsError` if there is something."""
    try:
        # Since Linux 5.8 everybody may make this one device node.
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=directory_fd)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL, errno.EOPNOTSUPP):
            raise
        _make_whiteout_file(directory_fd, name)


def _make_whiteout_file(directory_fd: int, name: str) -> None:
    """The other form, for file systems without device nodes; overlayfs reads it since Linux 6.7."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory_fd)
    try:
        os.setxattr(fd, WHITEOUT, b"y")
    finally:
        os.close(fd)
    directory = f"/proc/self/fd/{directory_fd}"
    if getxattr(directory, OPAQUE) is None:
        os.setxattr(directory, OPAQUE, b"x")


def make_opaque(target: int | str) -> None:
    """Let the directory, an open file or a path, hide what lies below it."""
    os.setxattr(target, OPAQUE, b"y")


def clear_opaque(host: str) -> None:
    """Let the directory at `host` show again what lies below it."""
    try:
        os.removexattr(host, OPAQUE, follow_symlinks=False)
    except OSError as error:
        if error.errno not in NO_XATTR:
            raise
