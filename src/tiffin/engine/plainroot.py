"""Root filesystems of containers where there are no overlays: a plain directory, written from the layers.

It is written when the container is made, and kept as long as it. Whoever asks what the container has
written, or wants its files, has its `upper` made anew from the root first, which may be in use meanwhile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tiffin.engine.standing import ROOT, UPPER, directory_of
from tiffin.engine.storeplace import check_programs
from tiffin.errors import UnsupportedError
from tiffin.linux.files import atomic_write
from tiffin.linux.remove import remove_tree
from tiffin.oci.digest import DiffID
from tiffin.snapshot.changed import Look, copy_out
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.plain import write_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import RunRequest

__all__ = ["APART", "apart", "check", "make_root", "refresh"]

_LOOK = "look"
APART = "apart.json"


def check(request: RunRequest) -> None:
    """Raise UnsupportedError for what takes layers that are put together by the kernel."""
    if any(name == "userns" and value != "host" for name, value in request.security):
        raise UnsupportedError(
            "--userns takes an overlay, and none can be mounted, or written where the store is",
            code="no-overlay",
            hint="keep the store on a local disk, such as a volume (TIFFIN_HOME), on Linux 5.11 or newer",
            exit_status=125,
        )


def make_root(engine: Engine, record: Record) -> Path:
    """Write the container's root from its layers and what it has of its own, and look at it, once."""
    directory = directory_of(engine, record)
    root = directory / ROOT
    if (directory / _LOOK).exists():
        return root
    check_programs(engine.home.root)
    layers = [engine.layers.path(DiffID(layer)) for layer in reversed(record.layers)]
    root.mkdir()
    write_tree(MergedTree([directory / UPPER, *layers]), root, engine.owners)
    atomic_write(directory / _LOOK, Look.at(root).pack(), sync=False)
    return root


def refresh(engine: Engine, record: Record) -> None:
    """Make what the container has written, as its `upper`, from the root as it is now."""
    directory = directory_of(engine, record)
    if not (directory / _LOOK).exists():
        return
    fresh, upper = directory / "upper.new", directory / UPPER
    remove_tree(fresh)
    fresh.mkdir()
    look = Look.unpack((directory / _LOOK).read_bytes())
    from tiffin.engine.pausing import still  # who starts a container does not pause it

    with still(engine, record):  # nobody swaps directories under us
        copy_out(directory / ROOT, look, fresh, engine.owners, apart(directory))
    old = directory / "upper.old"
    upper.rename(old)
    fresh.rename(upper)
    remove_tree(old)


def apart(directory: Path) -> dict[str, bool]:
    """What stands in for mounts in the root, and was not written by it: whether something is covered."""
    try:
        return {str(path): bool(there) for path, there in json.loads((directory / APART).read_text()).items()}
    except FileNotFoundError:
        return {}
