"""Files as the kernel offers them: open beneath a root, clone, copy, lock, replace at once.

Promises that nothing opened through `open_in_root` lies outside its root, that
a copy keeps holes, and that a reader of `atomic_write` sees the old bytes or
the new ones. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

from tiffin.linux import libc
from tiffin.linux.openat2 import BENEATH, IN_ROOT, NO_SYMLINKS, NO_XDEV, openat2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

if TYPE_CHECKING:
    from typing import NewType

    RootPath = NewType("RootPath", str)
else:
    RootPath = str  # which is all that it is at run time
"""A path inside a root filesystem, never to be joined with a host path.

Names that are not UTF-8 travel with surrogates, as `os.fsdecode` makes them.
"""

Target = int | str | bytes | os.PathLike[str]
"""What an extended attribute hangs on: an open file, or a path whose last link is not followed."""

_RENAMEAT2 = {"x86_64": 316, "aarch64": 276, "riscv64": 276, "loongarch64": 276, "ppc64le": 357, "s390x": 347}
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2
RESOLVE_BENEATH = BENEATH
RESOLVE_IN_ROOT = IN_ROOT
_RESOLVE_ALL = 0x1F
_FICLONE = 0x40049409
_SYNC_FILE_RANGE_WRITE = 2
_CHUNK = 1 << 30
_SMALL = 1 << 16
# What reflinks and in-kernel copies say when the files or their file systems cannot do it.
_CANNOT = frozenset(
    (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)
)
_NO_XATTRS = frozenset((errno.EOPNOTSUPP, errno.ENOSYS))
NO_XATTR = frozenset((errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM))
"""What is said of an attribute that is not there, or of what cannot have any."""
DAMAGE = frozenset((errno.EIO, errno.EUCLEAN))
"""What the kernel says of a file that is there and cannot be read."""


def open_in_root(root_fd: int, path: RootPath | str, flags: int, mode: int = 0, *, links: bool = True) -> int:
    """Return a descriptor for `path` resolved as if the directory `root_fd` were `/`.

    Absolute links and `..` stay inside the root, links into /proc that the kernel
    resolves by magic are refused (ELOOP), and so is every link unless `links`.
    Always close-on-exec.
    """
    return openat2(root_fd, path, flags, mode, IN_ROOT | (0 if links else NO_SYMLINKS))


def open_here(directory_fd: int, path: bytes, flags: int, *, inside: bool = False, mode: int = 0) -> int:
    """Return a descriptor for what `path` means from the directory on; no link of /proc is followed (ELOOP).

    With `inside` the directory is its `/`.
    """
    return openat2(directory_fd, path, flags, mode, RESOLVE_IN_ROOT if inside else 0)


def open_restricted(directory_fd: int, path: bytes, flags: int, mode: int, resolve: int) -> int:
    """The same with restrictions in the words of openat2(2), which may not lead out of the directory.

    Without one that keeps it there the directory is its `/`.
    """
    kept = resolve & _RESOLVE_ALL
    kept |= 0 if kept & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) else RESOLVE_IN_ROOT
    return openat2(directory_fd, path, flags, mode, kept)


def open_directory_here(directory_fd: int, name: str) -> int:
    """Return a descriptor for the directory `name`; refuses links (ELOOP) and mount points (EXDEV)."""
    flags = os.O_RDONLY | os.O_DIRECTORY
    return openat2(directory_fd, name, flags, 0, NO_SYMLINKS | NO_XDEV)


def reflink(src_fd: int, dst_fd: int) -> bool:
    """Return whether `dst_fd` now shares all blocks of `src_fd`; False where the file system cannot."""
    try:
        fcntl.ioctl(dst_fd, _FICLONE, src_fd)
    except OSError as error:
        if error.errno in _CANNOT:
            return False
        raise
    return True


def copy_data(src_fd: int, dst_fd: int, size: int) -> bytes | None:
    """Make the empty file `dst_fd` hold the first `size` bytes of `src_fd`, holes kept as holes.

    Returns them if they went through our hands as one piece.
    """
    if size == 0:
        return b""
    if size <= _SMALL:
        # For one block or a few, two calls are faster than asking for clones and holes first.
        data = os.pread(src_fd, size, 0)
        write_all(dst_fd, data)
        return data
    if os.fstat(src_fd).st_size == size and reflink(src_fd, dst_fd):
        return None
    position = 0
    while position < size:
        try:
            start = os.lseek(src_fd, position, os.SEEK_DATA)
            end = os.lseek(src_fd, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                break
            if error.errno not in _CANNOT:
                raise
            start, end = position, size
        end = min(end, size)
        if start < end:
            _copy_range(src_fd, dst_fd, start, end)
        position = max(end, start)
    os.ftruncate(dst_fd, size)
    return None


def _copy_range(src_fd: int, dst_fd: int, start: int, end: int) -> None:
    position = start
    try:
        while position < end:
            count = os.copy_file_range(src_fd, dst_fd, min(end - position, _CHUNK), position, position)
            if count == 0:  # shorter than promised, or a pseudo file system that counts nothing
                break
            position += count
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
    while position < end:
        data = os.pread(src_fd, min(end - position, 1 << 20), position)
        if not data:
            raise OSError(errno.EIO, "copy: the file became shorter while it was read")
        view = memoryview(data)
        while view:
            count = os.pwrite(dst_fd, view, position)
            position += count
            view = view[count:]


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write every byte of `data` to `fd`, however many calls it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def atomic_write(path: Path, data: bytes, mode: int = 0o644, *, sync: bool = True) -> None:
    """Put `data` at `path` in one step: a reader, or a crash if `sync`, finds the old file or the new one."""
    beside = path.with_name(f".{path.name[:200]}.{os.getpid()}.{os.urandom(4).hex()}")
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            write_all(fd, data)
            os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    if sync:
        sync_directory(path.parent)


def tree_size(path: Path) -> int:
    """Return the bytes of all files below `path`; what we may not read does not count."""
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(f"{place}/{name}").st_size
            except OSError:
                continue
    return total


def sync_directory(path: Path) -> None:
    """Make the names in the directory `path` survive a crash."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in _CANNOT:  # some network file systems cannot sync a directory
            raise
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Make the file at `path`, and its name, survive a crash; nothing if it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_directory(path.parent)


def begin_writing(fd: int, start: int, size: int) -> None:
    """Let the disk begin with these bytes of a file, which `fsync` will want there; does not wait for it."""
    # A hint, and nothing is lost where it is not understood: so what it returns does not matter.
    types = (ctypes.c_int, ctypes.c_longlong, ctypes.c_longlong, ctypes.c_uint)
    libc.function("sync_file_range", *types)(fd, start, size, _SYNC_FILE_RANGE_WRITE)


def sync_filesystem(path: Path) -> None:
    """Make everything on the file system of the directory `path` survive a crash.

    Raises OSError also for what could not be written earlier, by whomever (Linux 5.8).
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc.check(libc.function("syncfs", ctypes.c_int)(fd), "syncfs", str(path))
    finally:
        os.close(fd)


class lock:  # noqa: N801  # used as a verb: `with lock(path):`
    """A lock on the file `path`, held inside the `with` block and gone when the process dies.

    Gives the descriptor: a child that inherits it keeps the lock. With
    `blocking=False` a lock that someone else holds raises `BlockingIOError`.
    The file stays; who removes it must hold it exclusively.
    """

    def __init__(self, path: Path, *, exclusive: bool = True, blocking: bool = True) -> None:
        self._path = path
        self._how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if blocking else fcntl.LOCK_NB)
        self._fd = -1

    def __enter__(self) -> int:
        """Take the lock; try again if the file was removed while we waited for it."""
        while True:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, self._how)
                if _same_file(fd, self._path):
                    self._fd = fd
                    return fd
            except BaseException as error:
                os.close(fd)
                if isinstance(error, OSError) and error.filename is None:
                    error.filename = str(self._path)
                raise
            os.close(fd)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let go of our descriptor; a child that inherited it still holds the lock."""
        fd, self._fd = self._fd, -1
        os.close(fd)


def remove_lock(path: Path) -> bool:
    """Tell whether the file of a lock is gone; one that somebody holds stays."""
    try:
        with lock(path, blocking=False):
            path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def getxattr(target: Target, name: str, *, follow: bool = True) -> bytes | None:
    """Return an attribute of an open file or of what is at a path; None if it has none, or can have none."""
    try:
        return os.getxattr(target, name, follow_symlinks=follow)
    except OSError as error:
        if error.errno not in NO_XATTR:
            raise
        return None


def getxattrs(target: Target) -> dict[str, bytes]:
    """Return the extended attributes of `target`, a link itself; none where there are no such things."""
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _NO_XATTRS:
            return {}
        raise
    found = {}
    for name in names:
        try:
            found[name] = os.getxattr(target, name, follow_symlinks=follow)
        except OSError as error:  # trusted.* are listed to those who may not read them
            if error.errno not in (errno.ENODATA, errno.EPERM, errno.EACCES):
                raise
    return found


def setxattr(target: Target, name: str, value: bytes) -> None:
    """Set the extended attribute `name` of `target`, of a link itself if it is one."""
    os.setxattr(target, name, value, follow_symlinks=isinstance(target, int))


def rename_noreplace(source: Path, target: Path) -> None:
    """Rename `source` to `target` unless there is something: then `FileExistsError`."""
    number = _RENAMEAT2.get(os.uname().machine)
    if number is None:
        _rename_by_claim(source, target)
        return
    old, new = (ctypes.create_string_buffer(os.fsencode(path)) for path in (source, target))
    arguments = (_AT_FDCWD, ctypes.addressof(old), _AT_FDCWD, ctypes.addressof(new), _RENAME_NOREPLACE)
    try:
        libc.syscall("rename", number, *arguments, path=str(target))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):  # network file systems do not know the flag
            raise
        _rename_by_claim(source, target)


def exchange(first_fd: int, first: str, second_fd: int, second: str) -> None:
    """Let two entries of directories change places in one step, of whatever kinds they are.

    Raises OSError: EXDEV on different file systems, EINVAL or ENOSYS where the file system cannot do it.
    """
    number = _RENAMEAT2.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), second)
    one, two = (ctypes.create_string_buffer(os.fsencode(name)) for name in (first, second))
    arguments = (first_fd, ctypes.addressof(one), second_fd, ctypes.addressof(two), _RENAME_EXCHANGE)
    libc.syscall("exchange", number, *arguments, path=second)


def _rename_by_claim(source: Path, target: Path) -> None:
    """The same in two steps, each of which fails if the name is taken."""
    if source.is_dir() and not source.is_symlink():
        target.mkdir(mode=0o700)  # a rename replaces an empty directory, and only that
        try:
            source.rename(target)
        except OSError:
            target.rmdir()
            raise
    else:
        os.link(source, target, follow_symlinks=False)
        source.unlink()
