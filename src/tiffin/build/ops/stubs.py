"""Mount points that a step needed and its layer must not show.

The runtime makes an empty file or directory wherever it mounts something and
nothing is there. What was not there before the step, and is still empty after
it, was made for a mount and is taken out of the layer again.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.linux.files import open_in_root

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tiffin.snapshot.merged import MergedTree


def missing_points(targets: Iterable[str], parent: MergedTree) -> list[str]:
    """Return the canonical paths that mounts at `targets` will make, missing parents too, deepest first."""
    missing: set[str] = set()
    for target in targets:
        path = str(parent.resolve(target).path)
        while path not in ("", "/") and parent.resolve(path, follow=False).node is None:
            missing.add(path)
            path = path.rpartition("/")[0]
    return sorted(missing, reverse=True)


def remove_points(upper: Path, paths: Iterable[str]) -> None:
    """Remove those of `paths` that are empty in `upper`; nothing outside it, whatever the step did."""
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in paths:
            directory, _, name = path.rpartition("/")
            _remove_empty(root, directory or "/", name)
    finally:
        os.close(root)


def _remove_empty(root: int, directory: str, name: str) -> None:
    try:
        holder = open_in_root(root, directory, os.O_RDONLY | os.O_DIRECTORY, links=False)
    except OSError:
        return  # the step has removed the directory, or put a link in its place: nothing there is a stub
    try:
        status = os.stat(name, dir_fd=holder, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(name, dir_fd=holder)
        elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
            os.unlink(name, dir_fd=holder)
    except OSError:
        return  # gone, or filled by the step: then it is the step's
    finally:
        os.close(holder)
