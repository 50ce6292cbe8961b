"""Two whole trees → a layer directory in overlayfs form, for places where nothing can be mounted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.layer.diff import tree_changes
from tiffin.layer.tree import kept_xattrs
from tiffin.layer.whiteout import make_whiteout

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.layer.owners import Owners


def collect(lower: Path, upper: Path, target: Path, owners: Owners, *, since_ns: int | None = None) -> None:
    """Make the empty directory `target` the layer that leads from the tree `lower` to the tree `upper`.

    Files are linked, not copied: `upper` is to be thrown away, on the same file
    system. `since_ns` is as in `tree_changes`.
    """
    collector = _Collector(os.fspath(upper), os.fspath(target), owners)
    for change in tree_changes(lower, upper, owners, since_ns):
        if change.kind == "delete":
            collector.delete(change.path)
        else:
            collector.take(change.path)
    collector.finish()


class _Collector:
    def __init__(self, upper: str, target: str, owners: Owners) -> None:
        self._upper = upper
        self._target = target
        self._owners = owners
        self._directories = {""}
        self._hidden: set[str] = set()
        self._dress("")

    def delete(self, path: str) -> None:
        """Hide `path`; what may come in its place follows at once."""
        directory, name = self._parent(path)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            make_whiteout(fd, name)
        finally:
            os.close(fd)
        self._hidden.add(path)

    def take(self, path: str) -> None:
        """Put the entry at `path` of the upper tree into the layer."""
        if path in self._directories:
            return
        self._parent(path)
        source, target = f"{self._upper}/{path}", f"{self._target}/{path}"
        if path in self._hidden:
            os.unlink(target)
        status = os.lstat(source)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(target)
            self._directories.add(path)
            self._dress(path)
        elif not stat.S_ISSOCK(status.st_mode):
            os.link(source, target, follow_symlinks=False)

    def finish(self) -> None:
        """Give the directories their times, now that nothing more is put into them."""
        for path in self._directories:
            moment = os.lstat(f"{self._upper}/{path}").st_mtime_ns
            os.utime(f"{self._target}/{path}", ns=(moment, moment))

    def _parent(self, path: str) -> tuple[str, str]:
        """Copy up the directories that lead to `path`; the host path of the last one, and the name in it."""
        at = path.find("/")
        while at > 0:
            if path[:at] not in self._directories:
                self.take(path[:at])
            at = path.find("/", at + 1)
        directory, _, name = path.rpartition("/")
        return f"{self._target}/{directory}", name

    def _dress(self, path: str) -> None:
        source, target = f"{self._upper}/{path}", f"{self._target}/{path}"
        status = os.lstat(source)
        self._owners.change(target, *self._owners.read(source, status))
        self._owners.set_mode(target, self._owners.mode(source, status))
        for name, value in kept_xattrs(source).items():
            self._owners.set_attribute(target, name, value)
