"""A stack of layers as one plain directory, where nothing can be mounted: written once, then kept up to date.

Each name gets a file of its own, also where a layer has hard links: overlayfs parts them
when one is written to, and so a step changes here what it would change there. Blocks are
shared where the file system can. The directory is ours alone; only real directories lead to
an entry, because the layers are walked without following links.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.layer.owners import RecordedOwners, standing_node
from tiffin.layer.tree import kept_xattrs
from tiffin.layer.whiteout import is_opaque, is_whiteout
from tiffin.linux.files import copy_data, setxattr
from tiffin.linux.remove import remove_tree
from tiffin.snapshot.copies import Copies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree

KEPT = "user.tiffin.kept"
"""The attribute by which a directory is known to be the one that was written here, and no later one."""

_STANDING = RecordedOwners()
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_tree(tree: MergedTree, root: Path, owners: Owners) -> None:
    """Write all of `tree` into the new directory `root`."""
    writer = _Writer(os.fspath(root), owners)
    try:
        if tree.root is not None:
            writer.directories.append(("", tree.root.host))
            for node in tree.walk(tree.root):
                writer.put(node.path[1:], node.host, node.status)
        writer.finish()
    finally:
        writer.abandon()


def add_layer(layer: Path, root: Path, owners: Owners) -> None:
    """Bring `root`, which shows the layers below `layer`, to what it shows with it. Paths may be missing."""
    base, top = os.fspath(layer), os.fspath(root)
    writer = _Writer(top, owners)
    try:
        writer.directories.append(("", base))
        for path, host, status in _entries(base):
            target = f"{top}/{path}"
            if is_whiteout(host, status):
                remove_tree(Path(target))
                continue
            with suppress(FileNotFoundError):
                there = os.lstat(target)
                both = stat.S_ISDIR(status.st_mode) and stat.S_ISDIR(there.st_mode)
                if not both or is_opaque(host):
                    remove_tree(Path(target))
            writer.put(path, host, status)
        writer.finish()
    finally:
        writer.abandon()


def put_back(paths: Iterable[str], tree: MergedTree, root: Path, owners: Owners) -> None:
    """Write the entries at `paths`, which are missing in `root`, as `tree` has them, with what is below."""
    writer = _Writer(os.fspath(root), owners)
    try:
        for path in paths:
            node = tree.resolve(path, follow=False).node
            if node is None:
                continue
            writer.put(path, node.host, node.status)
            for below in tree.walk(node) if node.is_directory else ():
                writer.put(below.path[1:], below.host, below.status)
        writer.finish()
    finally:
        writer.abandon()


def _entries(base: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Everything in the directory of a layer, parents first."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        for name in sorted(os.listdir(f"{base}/{prefix}")):
            path = f"{prefix}{name}"
            host = f"{base}/{path}"
            status = os.lstat(host)
            yield path, host, status
            if stat.S_ISDIR(status.st_mode):
                pending.append(f"{path}/")


class _Writer:
    """A directory while it is written. Directories are dressed when nothing is put in them any more."""

    def __init__(self, root: str, owners: Owners) -> None:
        self._root = root
        self._owners = owners
        self._later = Copies()
        self.directories: list[tuple[str, str]] = []

    def put(self, path: str, host: str, status: os.stat_result) -> None:
        """Make the entry `path`, as it is at `host`."""
        target, mode = f"{self._root}/{path}", status.st_mode
        if stat.S_ISDIR(mode):
            with suppress(FileExistsError):
                os.mkdir(target, 0o700)
            self.directories.append((path, host))
        elif (node := standing_node(host, status)) is not None:
            self._make_standing(target, host, status, node.mode, node.device or 0)
        elif stat.S_ISREG(mode):
            self._later.add(self._copy, host, target, status)
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(host), target)
            self._owners.change(target, *self._owners.read(host, status))
            os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns), follow_symlinks=False)
        elif not stat.S_ISSOCK(mode):
            self._make_standing(target, host, status, mode, status.st_rdev)

    def _make_standing(self, target: str, host: str, status: os.stat_result, mode: int, device: int) -> None:
        """Make a fifo, or a file that stands for a device: a device would open, nothing is mounted nodev."""
        _STANDING.make_node(target, mode, device)
        self._dress(target, host, status)

    def finish(self) -> None:
        """Wait for all files, then dress the directories, the deepest first."""
        self._later.drain()
        for path, host in reversed(self.directories):
            target = f"{self._root}/{path}"
            with suppress(OSError):  # without attributes an inode number has to do
                setxattr(target, KEPT, b"y")
            self._dress(target, host, os.lstat(host))

    def abandon(self) -> None:
        """Wait for what is under way."""
        self._later.abandon()

    def _copy(self, host: str, target: str, status: os.stat_result) -> None:
        out = os.open(target, _NEW, 0o600)
        try:
            source = os.open(host, _READ)
            try:
                copy_data(source, out, status.st_size)
            finally:
                os.close(source)
            self._dress(out, host, status)
        finally:
            os.close(out)

    def _dress(self, target: int | str, host: str, status: os.stat_result) -> None:
        """Give the entry the owner, mode, attributes and time that it has at `host`; it is no link."""
        self._owners.change(target, *self._owners.read(host, status))
        self._owners.set_mode(target, self._owners.mode(host, status))
        for name, value in kept_xattrs(host).items():
            self._owners.set_attribute(target, name, value)
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
