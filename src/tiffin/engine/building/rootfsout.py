"""The root filesystems of a build as files: a folder of the user's, or a tar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.engine.counted import counted
from tiffin.engine.replacedfile import replaced_file
from tiffin.events import Notice
from tiffin.image.platforms import open_platforms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.oci.descriptor import Descriptor
    from tiffin.snapshot.merged import MergedTree, Node

    Trees = Sequence[tuple[str, MergedTree]]


def root_filesystems(engine: Engine, root: Descriptor, *, split: bool | None = None) -> Trees:
    """Return the root filesystem of each image of `root`, and the name of the folder that it gets.

    The name is empty for one platform alone, and for all if `split` is false.
    """
    images = open_platforms(engine.fetcher, root).images
    split = len(images) > 1 if split is None else split
    found = []
    for _, image in images:
        config = image.config
        name = str(config.platform.normalised()).replace("/", "_") if split else ""
        found.append((name, engine.layers.tree(config.rootfs.diff_ids)))
    return found


def write_local(engine: Engine, trees: Trees, folder: Path) -> None:
    """Write `trees` into `folder`, which is made if it is missing, and say what stayed out of it."""
    from tiffin.snapshot.folder import write_folder
    from tiffin.snapshot.rootfs import is_first

    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, bool] = {}

    def claim(node: Node) -> None:
        is_first(node.path, written, directory=node.is_directory)

    together = len(trees) > 1
    left = [
        write_folder(tree, folder, claim if together and not name else None, below=name)
        for name, tree in trees
    ]
    if privileges := sum(each.privileges for each in left):
        message = "came out without set-id bits and capabilities: they were meant for other owners"
        engine.emit(Notice(f"{counted(privileges, 'file')} {message}", "info"))
    if devices := sum(each.devices for each in left):
        message = "stayed out of the folder; type=tar has them"
        engine.emit(Notice(f"{counted(devices, 'device node')} {message}"))


def write_tar(engine: Engine, trees: Trees, dest: str) -> None:
    """Write `trees` as one tar to the file `dest`, or to standard output if it is `-`."""
    from tiffin.snapshot.rootfs import rootfs_tar

    with replaced_file(dest) as out:
        for chunk in rootfs_tar(trees, engine.owners, engine.settings.epoch):
            out.write(chunk)
