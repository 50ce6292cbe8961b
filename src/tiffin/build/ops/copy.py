"""Executes COPY and ADD: a selection is written as a layer of its own."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.modes import change_mode
from tiffin.build.ops.unpack import unpack_archive
from tiffin.layer.owners import standing_node
from tiffin.linux.files import RootPath
from tiffin.snapshot.writer import LayerWriter, Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tiffin.build.graph import Copy
    from tiffin.build.selection import Selected
    from tiffin.layer.describe import LayerInfo
    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree, Node

_NEW_DIRECTORY = 0o755
_NEW_FILE = 0o644


class Target(NamedTuple):
    """Where a copy goes: the work directory to fill, what lies below, whose owners and which time.

    `wrote` is called whenever much was written.
    """

    place: Path
    parent: MergedTree
    owners: Owners
    epoch: int
    wrote: Callable[[], object] = lambda: None


class Taking(NamedTuple):
    """What is taken from one source.

    Owners and hard links are kept (`keeps`) of what comes out of a stage or an image; files of a context
    belong to root, so that the same checkout gives the same layer to everybody. With `unpack`, an archive
    is unpacked.
    """

    selection: Sequence[Selected]
    keeps: bool
    unpack: bool = False


class CopyStep:
    """One COPY: `owner` is what `--chown` came to.

    With `tell` it says in `info`, once it is written, what the layer is, if that could be told on the way.
    """

    info: LayerInfo | None = None

    def __init__(
        self, op: Copy, target: Target, owner: tuple[int, int] | None, *, tell: bool = False
    ) -> None:
        self._op = op
        self._target = target
        self._owner = owner
        self._upper = target.place / "upper"
        self._upper.mkdir()
        self._writer = LayerWriter(
            self._upper, target.parent, target.owners, target.epoch, tell=tell, wrote=target.wrote
        )
        self._archives = 0
        # Octal digits are the mode of directories that the copy makes on the way, too; letters are not.
        octal = op.chmod is not None and op.chmod.isdigit()
        self._new = Meta(
            *(owner or (0, 0)), self._mode(_NEW_DIRECTORY, "directory") if octal else _NEW_DIRECTORY
        )

    def write(self, takings: Sequence[Taking]) -> Path:
        """Copy what is taken and the instruction's own files; return the directory of the layer."""
        try:
            self._write(takings)
        except BaseException:
            self._writer.abandon()
            raise
        self.info = self._writer.finish()
        return self._upper

    def _write(self, takings: Sequence[Taking]) -> None:
        destination = self._target.parent.resolve(self._op.destination).path
        into = self._op.destination.endswith("/") or self._writer.is_directory(destination)
        for taking in takings:
            for chosen in taking.selection:
                self._writer.next_source()
                if chosen.node.is_directory:
                    self._copy_contents(chosen, destination, keeps=taking.keeps)
                elif not (taking.unpack and self._unpack(chosen.node, destination)):
                    self._copy_file(
                        chosen.node, _name(destination, chosen.name, into=into), keeps=taking.keeps
                    )
        for file in self._op.files:
            path = _name(destination, file.name, into=into)
            self._make_parent(path)
            self._writer.put_bytes(path, file.data, Meta(*self._new[:2], self._mode(_NEW_FILE, "file")))

    def _make_parent(self, path: RootPath) -> None:
        self._writer.make_directory(RootPath(path.rpartition("/")[0] or "/"), self._new)

    def _copy_file(self, node: Node, path: RootPath, *, keeps: bool) -> None:
        self._make_parent(path)
        self._put(node, path, self._meta(node, keeps=keeps), keeps=keeps)

    def _copy_contents(self, chosen: Selected, destination: RootPath, *, keeps: bool) -> None:
        self._writer.make_directory(destination, self._new)
        self._copy_below(chosen.node, chosen.below, destination, keeps=keeps)

    def _copy_below(self, top: Node, below: Sequence[Node], destination: RootPath, *, keeps: bool) -> None:
        for node in below:
            path = _below(top, node, destination)
            self._put(node, path, self._meta(node, keeps=keeps), keeps=keeps)

    def _put(self, node: Node, path: RootPath, meta: Meta, *, keeps: bool) -> None:
        mode = node.status.st_mode
        writer = self._writer
        if stat.S_ISREG(mode) and not (keeps and standing_node(node.host, node.status)):
            writer.put_file(path, node, meta, keep_links=keeps)
        elif stat.S_ISDIR(mode):
            writer.make_directory(path, meta, overwrite=True)
        elif stat.S_ISLNK(mode):
            writer.put_link(path, os.readlink(node.host), meta)
        elif not stat.S_ISSOCK(mode):  # a socket without its server is nothing
            writer.put_special(path, node, meta)

    def _meta(self, node: Node, *, keeps: bool) -> Meta:
        owners = self._target.owners
        mode = owners.mode(node.host, node.status) if keeps else stat.S_IMODE(node.status.st_mode)
        kind = "directory" if node.is_directory else "file"
        owner = self._owner or (owners.read(node.host, node.status) if keeps else (0, 0))
        return Meta(*owner, self._mode(mode, kind), node.host if keeps and not node.is_link else None)

    def _mode(self, mode: int, kind: str) -> int:
        return (
            mode
            if self._op.chmod is None
            else change_mode(mode, self._op.chmod, directory=kind == "directory")
        )

    def _unpack(self, node: Node, destination: RootPath) -> bool:
        """Unpack `node` into `destination` if its content is an archive, whatever its name."""
        self._archives += 1
        place = self._target.place / f"archive-{self._archives}"
        tree = unpack_archive(node, place, self._target.owners, self._owner)
        if tree is None or tree.root is None:
            return False
        self._writer.make_directory(destination, self._new._replace(mode=_NEW_DIRECTORY))
        with self._writer.replacing():
            for entry in tree.walk(tree.root):
                owner = self._target.owners.read(entry.host, entry.status)
                mode = self._target.owners.mode(entry.host, entry.status)
                meta = Meta(*owner, mode, None if entry.is_link else entry.host)
                self._put(entry, _below(tree.root, entry, destination), meta, keeps=True)
        return True


def _below(top: Node, node: Node, destination: RootPath) -> RootPath:
    """The path at `destination` of what lies below `top`."""
    return RootPath(destination.rstrip("/") + node.path[len(top.path.rstrip("/")) :])


def _name(destination: RootPath, name: str, *, into: bool) -> RootPath:
    """The path of one file: a link that is the destination was followed; one in a directory is replaced."""
    return RootPath(f"{destination.rstrip('/')}/{name}") if into else destination
