"""Remove whole trees: of any depth, with any modes, and never beyond a mount or a link.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

_DEEP = 100  # descriptors that are open at once, and frames of the interpreter
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_MOST_TRIES = 10
"""Who is about to leave a directory may put something into it while it goes."""


def remove_tree(path: Path) -> None:
    """Remove what is at `path`, a link itself; nothing to do if there is nothing.

    A tree that something is mounted in is left (`OSError` with EXDEV or EBUSY), perhaps half empty.
    """
    try:
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_at(parent, path.name)
    except OSError as error:
        if isinstance(error.filename, str) and not error.filename.startswith("/"):
            error.filename = f"{path}/…/{error.filename}" if error.filename != path.name else str(path)
        raise
    finally:
        os.close(parent)


def remove_at(directory_fd: int, name: str) -> None:
    """Remove the entry `name` of the directory and all that is below it."""
    if _unlinked(directory_fd, name):
        return
    top = _open(directory_fd, name)
    try:
        for left in reversed(range(_MOST_TRIES)):
            try:
                while _emptied(top, top, 0):
                    pass
                os.rmdir(name, dir_fd=directory_fd)
            except OSError as error:
                if error.errno not in _NOT_EMPTY or not left:
                    raise
            else:
                return
    finally:
        os.close(top)


def _emptied(top_fd: int, fd: int, depth: int) -> bool:
    """Empty the directory `fd`; whether something too deep was moved to the top, to be removed from there."""
    moved = False
    for name in os.listdir(fd):
        if _unlinked(fd, name):
            continue
        inner = _open(fd, name)
        try:
            if depth == _DEEP:
                os.rename(name, f".deep-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=top_fd)
                moved = True
                continue
            moved |= _emptied(top_fd, inner, depth + 1)
        finally:
            os.close(inner)
        os.rmdir(name, dir_fd=fd)
    return moved


def _unlinked(directory_fd: int, name: str) -> bool:
    """Whether `name` is gone now; False if it is a directory with something in it."""
    try:
        os.unlink(name, dir_fd=directory_fd)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.EPERM):
            raise
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            raise
    else:
        return True
    try:
        os.rmdir(name, dir_fd=directory_fd)
    except OSError as error:
        if error.errno not in (*_NOT_EMPTY, errno.EACCES):
            raise
        return False
    return True


def _open(directory_fd: int, name: str) -> int:
    """Open the directory `name` so that its entries can be removed, whatever its mode is."""
    try:
        fd = files.open_directory_here(directory_fd, name)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=directory_fd)
        fd = files.open_directory_here(directory_fd, name)
    try:
        if os.fstat(fd).st_mode & 0o700 != 0o700:
            os.fchmod(fd, 0o700)
    except BaseException:
        os.close(fd)
        raise
    return fd
