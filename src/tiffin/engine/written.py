"""What a container has written: its files beside those of its image, as `diff` and `export` tell them.

Both read the container's own layer, which changes under them if the container runs.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Literal, NamedTuple

from tiffin.build.ops.stubs import missing_points
from tiffin.container.record import Records
from tiffin.engine.standing import UPPER, directory_of, settle, spec_of, tree_of
from tiffin.layer.tree import kept_xattrs
from tiffin.layer.whiteout import is_opaque, is_whiteout
from tiffin.oci.digest import DiffID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree, Node

__all__ = ["Change", "diff", "export", "lower_of", "stubs_of"]


class Change(NamedTuple):
    """A path that was added, changed or deleted, as the letter that Docker shows."""

    kind: Literal["A", "C", "D"]
    path: str


def diff(engine: Engine, name: str) -> list[Change]:
    """What the container has changed in its files, sorted by path.

    What was only made so that something can be mounted on it is no change, nor is a
    directory in which nothing is left of what was done.
    """
    engine.enter()
    record = Records(engine.db).need(name)
    settle(engine, record)
    lower = lower_of(engine, record)
    stubs = frozenset(stubs_of(engine, record, lower))
    changes = _Changes(directory_of(engine, record) / UPPER, lower, stubs, engine.owners)
    return sorted(changes.all(), key=lambda change: os.fsencode(change.path))


def export(engine: Engine, name: str, out: BinaryIO) -> None:
    """Write all files of the container as a tar: without what is mounted, as Docker does."""
    from tiffin.snapshot.rootfs import rootfs_tar

    engine.enter()
    record = Records(engine.db).need(name)
    if record.keeps_id:
        from tiffin.engine.keepid import refuse

        refuse(engine, record, "exported")
    settle(engine, record)
    tree = tree_of(engine, record, live=False)
    out.writelines(rootfs_tar([("", tree)], engine.owners, engine.settings.epoch))


def lower_of(engine: Engine, record: Record) -> MergedTree:
    """The files of the container's image."""
    return engine.layers.tree([DiffID(layer) for layer in record.layers])


def stubs_of(engine: Engine, record: Record, lower: MergedTree) -> list[str]:
    """What is made in a container whose image has it not, to mount /proc, /etc/hosts and the like there."""
    own = {mount.target for mount in record.mounts}
    system = [mount.destination for mount in spec_of(engine, record).mounts if mount.destination not in own]
    return missing_points(system, lower)


class _Seen(NamedTuple):
    """An entry of the container's layer, and what its image has at that path."""

    path: str
    status: os.stat_result
    under: Node | None


class _Changes:
    def __init__(self, upper: Path, lower: MergedTree, stubs: frozenset[str], owners: Owners) -> None:
        self._upper = os.fspath(upper)
        self._lower = lower
        self._stubs = stubs
        self._owners = owners

    def all(self) -> Iterator[Change]:
        """Every change. What is in a directory comes before it: only then is it known if anything is."""
        seen: list[_Seen] = []
        pending: list[tuple[str, Node | None]] = [("", self._lower.root)]
        busy: set[str] = set()  # directories in which something was changed
        while pending:  # a tree may be deeper than calls may be
            path, node = pending.pop()
            entries, hidden = self._look_into(path, node)
            for child in hidden:
                busy.add(path)
                yield Change("D", child.path)
            seen += entries
            pending += [(each.path, each.under) for each in entries if stat.S_ISDIR(each.status.st_mode)]
        for entry in reversed(seen):
            change = self._judge(entry, entry.path in busy)
            if change is not None:
                busy.add(entry.path.rpartition("/")[0])
                yield change

    def _look_into(self, path: str, node: Node | None) -> tuple[list[_Seen], list[Node]]:
        """What the layer has in a directory, and what it hides there of the image's by hiding all of it."""
        node = node if node is not None and node.is_directory else None
        names = set(os.listdir(self._upper + path))  # noqa: PTH208 - there may be many
        hidden = []
        if path and node is not None and is_opaque(self._upper + path):
            hidden = [
                child for child in self._lower.children(node) if child.path.rpartition("/")[2] not in names
            ]
        entries = [
            _Seen(
                f"{path}/{name}",
                os.lstat(f"{self._upper}{path}/{name}"),
                self._lower.child(node, name) if node is not None else None,
            )
            for name in names
        ]
        return entries, hidden

    def _judge(self, entry: _Seen, busy: bool) -> Change | None:
        path, status, under = entry
        if is_whiteout(self._upper + path, status):
            return Change("D", path) if under is not None else None
        directory = stat.S_ISDIR(status.st_mode)
        if under is None:
            stub = path in self._stubs and not busy and (directory or status.st_size == 0)
            return None if stub else Change("A", path)
        unchanged = directory and not busy and self._same(path, status, under)
        return None if unchanged else Change("C", path)

    def _same(self, path: str, status: os.stat_result, under: Node) -> bool:
        """Whether the layer says nothing of a directory but that it is there, as the image does."""
        host = self._upper + path
        return (
            status.st_mode == under.status.st_mode
            and self._owners.read(host, status) == self._owners.read(under.host, under.status)
            and self._owners.mode(host, status) == self._owners.mode(under.host, under.status)
            and kept_xattrs(host) == kept_xattrs(under.host)
        )
