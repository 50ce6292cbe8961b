"""What a device had put into a step's files, which its layer must not show: it belongs to this machine."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.runtime.libraries import FindLibraries

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.runtime.model import Plan
    from tiffin.snapshot.merged import MergedTree

_CACHE = "/etc/ld.so.cache"
_LARGEST = 64 << 20


def withdraw_libraries(upper: Path, plan: Plan, tree: MergedTree) -> None:
    """Take links to libraries of this machine, and their places in the linker's cache, out of the layer.

    `tree` is what the step began with.
    """
    before = tree.resolve(_CACHE)
    node = before.node
    data = _read(node.host) if node is not None and stat.S_ISREG(node.status.st_mode) else b""
    root = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in plan.steps:
            if isinstance(step, FindLibraries):
                step.withdraw(root, str(before.path), data)
    finally:
        os.close(root)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(_LARGEST)
