"""A directory that is filled from names nobody vouches for, and never left.

Parents are opened by the kernel as if the directory were `/`; descriptors of
the last ones are kept, for neighbours come together. A parent may be a link:
it is followed, and what it leads to is made if it is missing, inside. Whoever
uses a parent makes the last component with `O_EXCL`, `mkdir`, `symlink` and
the like, none of which follows a link.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tiffin.layer import whiteout
from tiffin.layer.names import check_length, invalid, link_target
from tiffin.linux.files import open_in_root
from tiffin.linux.remove import remove_at

if TYPE_CHECKING:
    from tiffin.layer.owners import Owners

_PLAIN: Final = 0o755
_MISSING: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_ENDLESS: Final = {
    errno.ELOOP: "links lead in a circle",
    errno.ENAMETOOLONG: "links lead to a name that is too long",
}
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY
_KEEP: Final = 32


class Place:
    """The directory `root` while a tar is unpacked into it; a context manager."""

    def __init__(self, root: Path, owners: Owners) -> None:
        self._root = root
        self._owners = owners
        self._open: dict[str, tuple[int, str]] = {}
        self._times: dict[str, int] = {"": 0}
        self.root_fd = -1
        self.straight = True
        """No link was followed yet: what was made lies where its name says."""

    def __enter__(self) -> Self:
        self.root_fd = os.open(self._root, _DIRECTORY | os.O_CLOEXEC)
        self._base = str(Path(f"/proc/self/fd/{self.root_fd}").readlink())
        return self

    def __exit__(self, *_exception: object) -> None:
        self._forget()
        os.close(self.root_fd)

    def parent(self, path: str) -> tuple[int, str]:
        """The directory `path` as an open file, and its path without links; made if it is missing.

        The open file is this object's, and good until its next method is called.
        """
        if not path:
            return self.root_fd, ""
        return self._open.get(path) or self._keep(path, self._find(path) or self._make_all(path))

    def leaf(self, directory: str, name: str) -> int:
        """The directory that `name` is to be made in, as an open file."""
        fd, real = self.parent(directory)
        if real != directory:
            check_length(real, name)
        return fd

    def free(self, directory: str, name: str) -> int:
        """The same, and there is nothing at `name` any more."""
        self.leaf(directory, name)
        self.clear(directory, name)
        return self.parent(directory)[0]

    def plain(self, fd: int) -> None:
        """Make the open directory one of root's with mode 0755."""
        self._owners.change(fd, 0, 0)
        os.fchmod(fd, _PLAIN)

    def remember(self, path: str, mtime_ns: int) -> None:
        """Set the time of the directory `path` (one without links) at the end, when nothing is put in it."""
        self._times[path] = mtime_ns

    def make_directory(self, directory: str, name: str) -> tuple[str, int]:
        """Make a directory, or take the one that is there; its path without links, and an open file."""
        parent = self.leaf(directory, name)
        if not self._made(parent, name) and not _is_directory(parent, name):
            os.mkdir(name, 0o700, dir_fd=self.free(directory, name))
        real = self.parent(directory)[1]
        path = f"{real}/{name}" if real else name
        return path, self.parent(path)[0]

    def clear(self, directory: str, name: str) -> None:
        """Remove what is at `name`, if anything, with all that is below it."""
        parent, real = self.parent(directory)
        if _is_directory(parent, name):
            gone = f"{real}/{name}" if real else name
            for path in [path for path in self._times if path == gone or path.startswith(f"{gone}/")]:
                del self._times[path]
            self._forget()
            parent, _ = self.parent(directory)
            remove_at(parent, name)
            return
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        os.unlink(name, dir_fd=parent)
        if stat.S_ISLNK(status.st_mode):
            self._forget()  # what was reached through it is elsewhere now

    def hide(self, directory: str, name: str) -> None:
        """Put a whiteout at `name`; what this layer itself has there stays, and hides as well."""
        parent = self.leaf(directory, name)
        try:
            whiteout.make_whiteout(parent, name)
        except FileExistsError:
            if _is_directory(parent, name):
                whiteout.make_opaque(f"/proc/self/fd/{parent}/{name}")

    def link(self, source: str, target_fd: int, name: str) -> os.stat_result:
        """Make the hard link `name` to the entry `source`, which must be of this layer; what that is."""
        directory, _, last = source.rpartition("/")
        try:
            fd = self._open_source(directory)
        except OSError as error:
            raise invalid(os.fsencode(name), f"it is a hard link to {source!r}: {error.strerror}") from None
        try:
            host = f"/proc/self/fd/{fd}/{last}"
            status = os.stat(last, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) or whiteout.is_whiteout(host, status):
                raise invalid(
                    os.fsencode(name), f"it is a hard link to {source!r}, which is no file of this layer"
                )
            os.link(last, name, src_dir_fd=fd, dst_dir_fd=target_fd, follow_symlinks=False)
        except FileNotFoundError:
            raise invalid(
                os.fsencode(name), f"it is a hard link to {source!r}, which does not exist"
            ) from None
        finally:
            os.close(fd)
        return status

    def same(self, source: str, directory_fd: int, name: str) -> bool:
        """Whether `name` already is the entry `source`."""
        directory, _, last = source.rpartition("/")
        fd = open_in_root(self.root_fd, directory, _DIRECTORY)
        try:
            one = os.stat(last, dir_fd=fd, follow_symlinks=False)
            return os.path.samestat(one, os.stat(name, dir_fd=directory_fd, follow_symlinks=False))
        finally:
            os.close(fd)

    def finish(self) -> None:
        """Give the directories their times, and the root its mode if the tar was silent about it."""
        self._forget()
        for path, moment in self._times.items():
            fd = open_in_root(self.root_fd, path, _DIRECTORY, links=False)
            try:
                os.utime(fd, ns=(moment, moment))
            finally:
                os.close(fd)

    def _open_source(self, directory: str) -> int:
        try:
            return open_in_root(self.root_fd, directory, _DIRECTORY, links=False)
        except OSError as error:
            if error.errno not in _MISSING:
                raise
        self.straight = False
        return open_in_root(self.root_fd, directory, _DIRECTORY)

    def _find(self, path: str) -> tuple[int, str] | None:
        """The directory `path` if it is there, perhaps through links."""
        try:
            return open_in_root(self.root_fd, path, _DIRECTORY, links=False), path
        except OSError as error:
            if error.errno not in _MISSING:
                raise
        try:
            fd = open_in_root(self.root_fd, path, _DIRECTORY)
        except OSError as error:
            if error.errno in _ENDLESS:
                raise invalid(os.fsencode(path), _ENDLESS[error.errno]) from None
            if error.errno not in _MISSING:
                raise
            return None
        self.straight = False
        return fd, self._real(fd, path)

    def _keep(self, path: str, found: tuple[int, str]) -> tuple[int, str]:
        if len(self._open) >= _KEEP:
            self._forget()
        self._open[path] = found
        return found

    def _make_all(self, path: str) -> tuple[int, str]:
        """Make the directory `path` and its parents, from the top, where the tar has not named them (yet)."""
        at = path.find("/")
        while at > 0:
            prefix = path[:at]
            if prefix not in self._open:
                self._keep(prefix, self._find(prefix) or self._make(prefix))
            at = path.find("/", at + 1)
        return self._make(path)

    def _make(self, path: str) -> tuple[int, str]:
        directory, _, name = path.rpartition("/")
        parent, real = self.parent(directory)
        check_length(real, name)
        if not self._made(parent, name):
            return self._make_behind(path, parent, real)
        whole = f"{real}/{name}" if real else name
        self._times.setdefault(whole, 0)
        fd = open_in_root(self.root_fd, whole, _DIRECTORY, links=False)
        self.plain(fd)
        return fd, whole

    def _make_behind(self, path: str, parent: int, real: str) -> tuple[int, str]:
        """Make the directory that the link `path` leads to; `parent` and `real` are where the link lies."""
        try:
            text = os.readlink(path.rpartition("/")[2], dir_fd=parent)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise invalid(os.fsencode(path), "something lies below it, and it is no directory") from None
        self.straight = False
        target = link_target(self.root_fd, real, text)
        return self._find(target) or self._make_all(target)

    def _made(self, parent: int, name: str) -> bool:
        """Make the directory `name`; False if there is something. A whiteout gives way to an opaque one."""
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            host = f"/proc/self/fd/{parent}/{name}"
            if not whiteout.is_whiteout(host, os.lstat(host)):
                return False
            os.unlink(name, dir_fd=parent)
            os.mkdir(name, 0o700, dir_fd=parent)
            whiteout.make_opaque(host)
        return True

    def _real(self, fd: int, path: str) -> str:
        """The path of an open directory below the root, without links."""
        try:
            found = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:  # longer than a page
            os.close(fd)
            raise invalid(os.fsencode(path), "links make its path too long") from None
        return found.removeprefix(self._base).lstrip("/")

    def _forget(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1][0])


def _is_directory(directory_fd: int, name: str) -> bool:
    try:
        status = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(status.st_mode)
