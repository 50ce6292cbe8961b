"""The root filesystem that a stack of layers gives, as one canonical tar, with the owners that it has."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError
from tiffin.layer.tar import tar_of
from tiffin.layer.tree import Entry, as_hard_link, entry_at
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree

_FOLDER_MODE = 0o755


def rootfs_tar(trees: Sequence[tuple[str, MergedTree]], owners: Owners, epoch: int) -> Iterator[bytes]:
    """Yield the tar of `trees`, each below the folder of its name, or at the root if the name is empty.

    A folder has the time `epoch`, in seconds. Where trees share the root, directories that several have
    are written once; any other entry that several have raises InvalidError.
    """
    places: dict[str, str] = {}
    return tar_of(_entries(trees, owners, epoch, places), lambda path: places[path])


def _entries(
    trees: Sequence[tuple[str, MergedTree]], owners: Owners, epoch: int, places: dict[str, str]
) -> Iterator[Entry]:
    """Yield all entries; while one is worked on, `places` says where its content lies."""
    written: dict[str, bool] = {}
    shared = sum(not folder for folder, _ in trees) > 1
    for folder, tree in trees:
        if folder:
            yield Entry(RootPath(folder), "directory", _FOLDER_MODE, 0, 0, mtime_ns=epoch * 1_000_000_000)
        for entry, host in _of_tree(f"{folder}/" if folder else "", tree, owners):
            if shared and not is_first(entry.path, written, directory=entry.kind == "directory"):
                continue
            places.clear()
            places[entry.path] = host
            yield entry


def _of_tree(prefix: str, tree: MergedTree, owners: Owners) -> Iterator[tuple[Entry, str]]:
    if tree.root is None:
        return
    seen: dict[tuple[int, int], RootPath] = {}
    if not prefix:
        top = _merged(entry_at(tree.root.host, RootPath(""), tree.root.status, owners))
        if (top.mode, top.uid, top.gid) != (_FOLDER_MODE, 0, 0) or top.xattrs:
            yield top, ""
    for node in tree.walk(tree.root):
        if stat.S_ISSOCK(node.status.st_mode):
            continue
        path = RootPath(prefix + node.path[1:])
        entry = _merged(entry_at(node.host, path, node.status, owners))
        if node.status.st_nlink > 1 and entry.kind == "file":
            entry = as_hard_link(entry, node.status, seen)
        yield entry, node.host


def _merged(entry: Entry) -> Entry:
    """The entry without what is said to an overlay only."""
    return entry._replace(opaque=False)


def is_first(path: str, written: dict[str, bool], *, directory: bool) -> bool:
    """Whether `path` is new among `written`; InvalidError if it is there and not a directory both times."""
    if path not in written:
        written[path] = directory
        return True
    if directory and written[path]:
        return False
    raise InvalidError(
        f"the images of several platforms have {path}, and one of them would be lost",
        code="platforms-collide",
        hint="leave platform-split=false away: each platform then has a folder of its own",
    )
