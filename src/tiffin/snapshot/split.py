"""A big layer as several, each of files that change together; over each other they are the same tree.

The parts share the files of the whole by hard links, so that they cost no space.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.layer.groups import LARGE, divide
from tiffin.layer.tree import kept_xattrs, scan
from tiffin.layer.whiteout import make_opaque, make_whiteout
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.layer.groups import Group
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore

SMALLEST: Final = 32 << 20
"""A layer of less than so many bytes stays whole."""


class Part(NamedTuple):
    """A layer, and what it holds of the one that was split; no name if that stayed whole."""

    diff_id: DiffID
    name: str = ""


def split_layer(layers: LayerStore, diff_id: DiffID, most: int) -> tuple[Part, ...]:
    """Commit the parts of a layer, at most `most`, the lowest first; the layer itself if it stays whole."""
    if most < 2 or layers.size(diff_id) < SMALLEST or not layers.is_canonical(diff_id):
        return (Part(diff_id),)
    place = layers.path(diff_id)
    groups = divide(tuple(scan(place, layers.owners)), lambda path: (place / path).read_bytes(), most, LARGE)
    if len(groups) == 1:
        return (Part(diff_id),)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return tuple(pool.map(lambda group: _commit(layers, place, group), groups))


def _commit(layers: LayerStore, whole: Path, group: Group) -> Part:
    with layers.workspace() as work:
        tree = work / "tree"
        _Copy(layers, whole, tree).make(group)
        info = layers.describe(tree)
        layers.commit(tree, info)
    return Part(info.diff_id, group.name)


class _Copy:
    """One part in the making."""

    def __init__(self, layers: LayerStore, whole: Path, tree: Path) -> None:
        self._owners = layers.owners
        self._whole = os.fspath(whole)
        self._tree = os.fspath(tree)

    def make(self, group: Group) -> None:
        """Make directories, link all else, and dress the directories last: some let nothing in."""
        directories = {entry.path: entry.opaque for entry in group.entries if entry.kind == "directory"}
        for path in ("", *filter(None, directories)):
            os.mkdir(f"{self._tree}/{path}", 0o700)
        for entry in group.entries:
            if entry.kind == "whiteout":
                self._hide(entry.path)
            elif entry.kind != "directory":
                os.link(f"{self._whole}/{entry.path}", f"{self._tree}/{entry.path}", follow_symlinks=False)
        for path in (*filter(None, reversed(directories)), ""):
            self._dress(path, opaque=directories.get(RootPath(path), False))

    def _hide(self, path: str) -> None:
        directory, _, name = path.rpartition("/")
        fd = os.open(f"{self._tree}/{directory}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            make_whiteout(fd, name)
        finally:
            os.close(fd)

    def _dress(self, path: str, *, opaque: bool) -> None:
        source, target = f"{self._whole}/{path}", f"{self._tree}/{path}"
        status = os.lstat(source)
        for name, value in kept_xattrs(source).items():
            self._owners.set_attribute(target, name, value)
        if opaque:
            make_opaque(target)
        self._owners.change(target, *self._owners.read(source, status))
        self._owners.set_mode(target, self._owners.mode(source, status))
        os.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
