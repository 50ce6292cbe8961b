"""ADD of a local archive: what counts is the content, not the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tiffin.layer.apply import apply
from tiffin.layer.compress import decompress
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import Node

_BLOCK = 512


def open_archive(node: Node) -> BinaryIO | None:
    """Return the tar within the file `node`, decompressed, or None if it holds none."""
    if node.status.st_size == 0:
        return None
    if not _is_tar(node):
        return None
    return decompress(open(node.host, "rb"))  # the caller closes it; a name may not be UTF-8


def _is_tar(node: Node) -> bool:
    import tarfile

    with open(node.host, "rb") as file:  # a name may not be UTF-8
        try:
            block = decompress(file).read(_BLOCK)
            if len(block) < _BLOCK or not any(block):
                return False
            tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except Exception:  # noqa: BLE001  # whatever a decompressor says of bytes that are not its own
            return False
    return True


def unpack(archive: BinaryIO, place: Path, owners: Owners) -> MergedTree:
    """Unpack `archive` into the new directory `place`, nothing outside it, and return its tree."""
    place.mkdir()
    apply(archive, place, owners, whiteouts=False)
    return MergedTree([place])
