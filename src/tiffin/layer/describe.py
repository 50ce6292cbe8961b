"""What a layer directory is: its diff id, the size of its tar and its usage, in one pass over the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.layer.hashing import BackgroundHash
from tiffin.layer.tar import SMALL, write_tar
from tiffin.layer.tree import scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.layer.owners import Owners
    from tiffin.layer.tree import Entry
    from tiffin.oci.digest import DiffID


class LayerInfo(NamedTuple):
    """A layer's name, the bytes of its uncompressed tar, and the bytes that its directory takes on disk."""

    diff_id: DiffID
    size: int
    usage: int


def describe(root: Path, owners: Owners) -> LayerInfo:
    """Describe the layer directory `root`, which nobody may be writing to."""
    usage = 0

    def counted() -> Iterator[Entry]:
        nonlocal usage
        for entry in scan(root, owners, small=SMALL):
            usage += entry.usage
            yield entry

    with BackgroundHash() as total:
        size = write_tar(counted(), root, total.update)
        return LayerInfo(total.diff_id(), size, usage)
