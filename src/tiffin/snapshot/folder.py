"""The root filesystem that a stack of layers gives, written into a folder of the user's.

The image may be hostile, and the folder may hold links, which nobody has made for us: every
directory is opened below the folder without following one, and an entry is made new or put in the
place of a file or link of its name by one rename. Nothing of a directory that is there is ever removed.

All belongs to whoever calls, as with BuildKit. What would lend or reach more than its content is left
out: set-id bits and capabilities, which were meant for other owners, and device nodes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import ConflictError
from tiffin.layer.owners import RecordedModes, standing_node
from tiffin.layer.tree import CAPABILITY, kept_xattrs
from tiffin.linux.files import copy_data, open_in_root, setxattr
from tiffin.snapshot.copies import Copies

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tiffin.snapshot.merged import MergedTree, Node

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SET_ID = stat.S_ISUID | stat.S_ISGID
_REPLACED = (stat.S_IFREG, stat.S_IFLNK)
_RECORDED = RecordedModes()


class LeftOut(NamedTuple):
    """What was not written as it is in the image: how many set-id bits or capabilities, how many devices."""

    privileges: int = 0
    devices: int = 0


def write_folder(
    tree: MergedTree, folder: Path, claim: Callable[[Node], object] | None = None, *, below: str = ""
) -> LeftOut:
    """Write all of `tree` into `folder`, which exists; return what was left out of it.

    It goes into the directory `below` of the folder, if that is a name. `claim` is asked before each
    entry, and may raise. Raises ConflictError where the folder has a directory
    in the place of a file, or a file in that of a directory, or a device, fifo or socket; what was written
    before stays.
    """
    writer = _Writer(folder, below)
    try:
        if tree.root is not None:
            for node in tree.walk(tree.root):
                if claim is not None:
                    claim(node)
                writer.put(node)
        writer.finish()
    finally:
        writer.close()
    return LeftOut(writer.privileges, writer.devices)


class _Writer:
    """The folder while it is written. Directories get mode and time when nothing is put in them any more."""

    def __init__(self, folder: Path, below: str) -> None:
        self._folder = folder / below
        self._root = os.open(folder, _DIRECTORY | os.O_CLOEXEC)
        if below:
            self._root = self._enter(below)
        self._directories: list[Node] = []
        self._links: dict[tuple[int, int], str] = {}
        self._later = Copies()
        self.privileges = 0
        self.devices = 0

    def _enter(self, name: str) -> int:
        """Open the directory `name`, made if it is missing and never a link, in the place of the folder."""
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=self._root)
            return open_in_root(self._root, name, _DIRECTORY, links=False)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise self._conflict("", "it is a link, or no directory at all") from None
        finally:
            os.close(self._root)

    def close(self) -> None:
        """Wait for what is under way, and let go of the folder."""
        self._later.abandon()
        os.close(self._root)

    def put(self, node: Node) -> None:
        mode = node.status.st_mode
        if stat.S_ISDIR(mode):
            self._make_directory(node)
        elif stat.S_ISLNK(mode):
            self._at(node, lambda fd, name: _make_link(node, fd, name))
        elif stat.S_ISFIFO(mode):
            self._at(node, lambda fd, name: _make_fifo(node, fd, name))
        elif not stat.S_ISREG(mode) or standing_node(node.host, node.status) is not None:
            self.devices += not stat.S_ISSOCK(mode)
        else:
            self.privileges += _is_privileged(node)
            self._put_file(node)

    def finish(self) -> None:
        """Wait for all files, then dress the directories, the deepest first: a parent may bar the way."""
        self._later.drain()
        for node in reversed(self._directories):
            fd = self._open(node.path)
            try:
                _dress(node, fd)
            finally:
                os.close(fd)

    def _put_file(self, node: Node) -> None:
        if node.status.st_nlink == 1:
            self._later.add(self._at, node, lambda fd, name: _copy(node, fd, name))
            return
        identity = (node.status.st_dev, node.status.st_ino)
        first = self._links.setdefault(identity, node.path)
        if first == node.path:
            self._at(node, lambda fd, name: _copy(node, fd, name))
        else:
            self._at(node, lambda fd, name: self._link(first, fd, name))

    def _link(self, first: str, fd: int, name: str) -> None:
        directory, _, last = first.rpartition("/")
        source = self._open(directory)
        try:
            os.link(last, name, src_dir_fd=source, dst_dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(source)

    def _make_directory(self, node: Node) -> None:
        self._directories.append(node)
        directory, _, name = node.path.rpartition("/")
        fd = self._open(directory)
        try:
            os.mkdir(name, 0o700, dir_fd=fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                why = "the output has a directory there, and the folder has not"
                raise self._conflict(node.path, why) from None
        finally:
            os.close(fd)

    def _at(self, node: Node, make: Callable[[int, str], None]) -> None:
        """Let `make` make the entry: under its name, or beside it where a file or link is to be replaced."""
        directory, _, name = node.path.rpartition("/")
        fd = self._open(directory)
        try:
            try:
                make(fd, name)
            except FileExistsError:
                self._check(node, os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode)
                beside = f".tiffin-{os.urandom(8).hex()}"
                try:
                    make(fd, beside)
                    os.rename(beside, name, src_dir_fd=fd, dst_dir_fd=fd)
                except BaseException:
                    _unlink(fd, beside)
                    raise
        finally:
            os.close(fd)

    def _check(self, node: Node, mode: int) -> None:
        if stat.S_ISDIR(mode):
            raise self._conflict(node.path, "the folder has a directory there, and the output has not")
        both_fifos = stat.S_ISFIFO(mode) and stat.S_ISFIFO(node.status.st_mode)
        if stat.S_IFMT(mode) not in _REPLACED and not both_fifos:
            raise self._conflict(node.path, "the folder has a device, a fifo or a socket there")

    def _conflict(self, path: str, why: str) -> ConflictError:
        return ConflictError(
            f"{self._folder}{path} is not written over: {why}",
            code="output-in-the-way",
            hint="remove it, or choose another folder",
        )

    def _open(self, path: str) -> int:
        return open_in_root(self._root, path.lstrip("/"), _DIRECTORY, links=False)


def _copy(node: Node, fd: int, name: str) -> None:
    source = os.open(node.host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        out = os.open(name, _NEW, 0o600, dir_fd=fd)
        try:
            copy_data(source, out, node.status.st_size)
            _dress(node, out)
        finally:
            os.close(out)
    finally:
        os.close(source)


def _dress(node: Node, fd: int) -> None:
    """Give the open file or directory the attributes, mode and time that it has in the image."""
    for key, value in kept_xattrs(node.host).items():
        if key != CAPABILITY:
            _set_attribute(fd, key, value)
    os.fchmod(fd, _RECORDED.mode(node.host, node.status) & ~_SET_ID)
    os.utime(fd, ns=(node.status.st_mtime_ns, node.status.st_mtime_ns))


def _set_attribute(fd: int, key: str, value: bytes) -> None:
    try:
        setxattr(fd, key, value)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # a file system without attributes loses them, as everywhere
            raise


def _make_link(node: Node, fd: int, name: str) -> None:
    os.symlink(os.readlink(node.host), name, dir_fd=fd)
    moment = node.status.st_mtime_ns
    os.utime(name, ns=(moment, moment), dir_fd=fd, follow_symlinks=False)


def _make_fifo(node: Node, fd: int, name: str) -> None:
    os.mkfifo(name, stat.S_IMODE(node.status.st_mode) & ~_SET_ID, dir_fd=fd)
    moment = node.status.st_mtime_ns
    os.utime(name, ns=(moment, moment), dir_fd=fd, follow_symlinks=False)


def _is_privileged(node: Node) -> bool:
    return bool(node.status.st_mode & _SET_ID) or (
        bool(node.status.st_mode & 0o111) and CAPABILITY in kept_xattrs(node.host)
    )


def _unlink(fd: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return
