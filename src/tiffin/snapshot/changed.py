"""What was changed in a plain directory since it was looked at, as the upper directory of an overlay.

For the rung on which nothing can be mounted. An entry was changed if its inode is another
one, or the kernel has touched it since: whoever writes, changes an owner, a mode, an attribute
or a link cannot keep the change time from telling. Contents are not read.
"""

from __future__ import annotations

import marshal
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.layer.tree import kept_xattrs
from tiffin.layer.whiteout import make_opaque, make_whiteout
from tiffin.linux.files import RootPath, copy_data
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.plain import KEPT, put_back

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Self

    from tiffin.layer.owners import Owners

_TICK = 0.012  # seconds: the coarsest step of the kernel's clock for files is 10 ms (HZ=100)


class Mark(NamedTuple):
    """By what an entry is known to be as it was."""

    inode: int
    ctime_ns: int
    mtime_ns: int
    size: int
    mode: int
    owner: tuple[int, int]


def mark(status: os.stat_result) -> Mark:
    """Return the mark of an entry."""
    owner = status.st_uid, status.st_gid
    return Mark(status.st_ino, status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_mode, owner)


class Look:
    """How everything in `root` was at a moment: names by directory, the root's own being the empty path."""

    def __init__(self, below: dict[str, dict[str, Mark]]) -> None:
        self.below = below

    @classmethod
    def at(cls, root: Path) -> Self:
        """Look at everything in `root`, now."""
        below: dict[str, dict[str, Mark]] = {}
        base = os.fspath(root)
        pending = [""]
        while pending:
            path = pending.pop()
            found: dict[str, Mark] = {}
            with os.scandir(f"{base}/{path}") as entries:
                for entry in entries:
                    found[entry.name] = mark(entry.stat(follow_symlinks=False))
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(f"{path}/{entry.name}" if path else entry.name)
            below[path] = found
        time.sleep(_TICK)  # what comes now has another change time
        return cls(below)

    def pack(self) -> bytes:
        """Return it as bytes, for `unpack` in another process of this interpreter."""
        plain = {
            path: {name: tuple(each) for name, each in found.items()} for path, found in self.below.items()
        }
        return marshal.dumps(plain)

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return what `pack` made into bytes."""
        plain = marshal.loads(data)  # noqa: S302  # we wrote it ourselves
        return cls(
            {path: {name: Mark(*each) for name, each in found.items()} for path, found in plain.items()}
        )

    def renew(self, root: Path, path: str) -> None:
        """Take the entry `path` as it is now: we have touched it ourselves."""
        directory, _, name = path.rpartition("/")
        if name in self.below.get(directory, ()):
            self.below[directory][name] = mark(os.lstat(root / path))


class Moved(NamedTuple):
    """The paths of what was moved, and the directories in which something was done."""

    entries: list[str]
    directories: list[str]


def move_out(root: Path, look: Look, upper: Path, owners: Owners) -> Moved:
    """Move what was changed in `root` since the `look` into the directory `upper`; return what that is.

    Directories in which something was changed stay, and `upper` has copies of them. What was
    deleted becomes a whiteout there, and a directory in the place of another one is opaque.
    """
    mover = _Mover(os.fspath(root), look, os.fspath(upper), owners)
    mover.run()
    _part(os.fspath(upper), owners)
    return Moved(mover.moved, sorted(mover.made, reverse=True))


def restore(moved: Moved, layer: Path | None, tree: MergedTree, root: Path, owners: Owners) -> None:
    """Let `root` be again as `tree`, of which the `layer` says what was moved out, if anything was changed.

    What the layer has of it stays missing.
    """
    kept = {path for path in moved.entries if layer is not None and os.path.lexists(layer / path)}
    put_back(sorted(set(moved.entries) - kept), tree, root, owners)
    for path in moved.directories:
        status = tree.status(RootPath(path))
        if status is not None and os.path.isdir(root / path):
            os.utime(root / path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def copy_out(root: Path, look: Look, upper: Path, owners: Owners, apart: Mapping[str, bool]) -> None:
    """Make `upper` the same by copies, so that the root stays as it is, and may even be in use.

    `apart` are paths that are not looked at: true for those that count as unchanged, false for what counts
    as not there.
    """
    mover = _Copier(os.fspath(root), look, os.fspath(upper), owners)
    mover.apart = apart
    mover.run()


class _Mover:
    apart: Mapping[str, bool] = {}

    def __init__(self, root: str, look: Look, upper: str, owners: Owners) -> None:
        self._root = root
        self._look = look
        self._upper = upper
        self._owners = owners
        self.made = {""}
        self.moved: list[str] = []

    def run(self) -> None:
        pending = [""]
        while pending:
            path = pending.pop()
            self._owners.open_up(f"{self._root}/{path}")
            before = self._look.below[path]
            with os.scandir(f"{self._root}/{path}") as entries:
                now = {entry.name: entry.stat(follow_symlinks=False) for entry in entries}
            for name in sorted(before.keys() - now.keys()):
                if not self.apart.get(f"{path}/{name}" if path else name):
                    self._hide(path, name)
            for name, status in sorted(now.items()):
                inner = f"{path}/{name}" if path else name
                if inner not in self.apart and self._goes_on(inner, before.get(name), status):
                    pending.append(inner)
        self._dress("")

    def _goes_on(self, path: str, before: Mark | None, now: os.stat_result) -> bool:
        """Move the entry if it was changed; whether it is a directory to look into."""
        if not stat.S_ISDIR(now.st_mode):
            if before != mark(now):
                self._move(path)
            return False
        if before is None or not stat.S_ISDIR(before.mode):
            self._move(path)
            return False
        if before.inode != now.st_ino or not self._is_kept(path):
            self._move(path)
            make_opaque(f"{self._upper}/{path}")
            return False
        if before.ctime_ns != now.st_ctime_ns:
            self._make(path)  # if nothing else in it was changed, and it is like the one below, it goes again
        return True

    def _is_kept(self, path: str) -> bool:
        if not self._marked():
            return True
        try:
            return os.getxattr(f"{self._root}/{path}", KEPT, follow_symlinks=False) == b"y"
        except OSError:
            return False

    def _marked(self) -> bool:
        """Whether directories could be marked here: the root was, if any."""
        try:
            return os.getxattr(self._root, KEPT) == b"y"
        except OSError:
            return False

    def _move(self, path: str) -> None:
        self._make(path.rpartition("/")[0])
        self._owners.open_up(f"{self._root}/{path}", below=True)
        os.rename(f"{self._root}/{path}", f"{self._upper}/{path}")
        self.moved.append(path)

    def _hide(self, path: str, name: str) -> None:
        self._make(path)
        fd = os.open(f"{self._upper}/{path}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            make_whiteout(fd, name)
        finally:
            os.close(fd)

    def _make(self, path: str) -> None:
        """Have the directory `path` in the upper one, and those that lead to it."""
        missing = []
        while path not in self.made:
            missing.append(path)
            self.made.add(path)
            path = path.rpartition("/")[0]
        for each in reversed(missing):
            os.mkdir(f"{self._upper}/{each}", 0o700)
            self._dress(each)

    def _dress(self, path: str) -> None:
        source, target = f"{self._root}/{path}", f"{self._upper}/{path}"
        status = os.lstat(source)
        self._owners.change(target, *self._owners.read(source, status))
        self._owners.set_mode(target, self._owners.mode(source, status))
        for name, value in kept_xattrs(source).items():
            self._owners.set_attribute(target, name, value)


class _Copier(_Mover):
    """The same, but that what was changed is copied."""

    def _move(self, path: str) -> None:
        self._make(path.rpartition("/")[0])
        self._owners.open_up(f"{self._root}/{path}", below=True)
        put_back([path], MergedTree([Path(self._root)]), Path(self._upper), self._owners)


def _part(upper: str, owners: Owners) -> None:
    """Give files that have names outside of the layer, as in a cache mount, an inode of their own."""
    names: dict[tuple[int, int], list[str]] = {}
    links: dict[tuple[int, int], int] = {}
    pending = [upper]
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    pending.append(entry.path)
                elif status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
                    identity = status.st_dev, status.st_ino
                    names.setdefault(identity, []).append(entry.path)
                    links[identity] = status.st_nlink
    for identity, paths in names.items():
        if len(paths) < links[identity]:
            _copy_apart(sorted(paths), owners)


def _copy_apart(paths: Collection[str], owners: Owners) -> None:
    first, *others = paths
    status = os.lstat(first)
    beside = f"{first[:-1]}.{os.urandom(6).hex()}"
    source = os.open(first, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        out = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            copy_data(source, out, status.st_size)
            owners.change(out, *owners.read(first, status))
            owners.set_mode(out, owners.mode(first, status))
            for name, value in kept_xattrs(first).items():
                owners.set_attribute(out, name, value)
            os.utime(out, ns=(status.st_mtime_ns, status.st_mtime_ns))
        finally:
            os.close(out)
    finally:
        os.close(source)
    os.rename(beside, first)
    for other in others:
        os.unlink(other)
        os.link(first, other)
