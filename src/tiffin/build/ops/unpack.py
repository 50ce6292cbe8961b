"""ADD of a local archive: what counts is the content, not the name."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from tiffin.layer.apply import apply
from tiffin.layer.compress import decompress, is_compressed
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import Node

_BLOCK = 512


def unpack_archive(
    node: Node, place: Path, owners: Owners, owner: tuple[int, int] | None = None
) -> MergedTree | None:
    """Unpack the tar within the file `node` into the new directory `place`, and return its tree.

    It may be compressed. What it names belongs to `owner` if one is given. Returns None if
    the file holds no tar.
    """
    return MergedTree([place]) if unpack_file(node.host, place, owners, owner) else None


def unpack_file(host: str, place: Path, owners: Owners, owner: tuple[int, int] | None = None) -> bool:
    """Unpack the tar within the file at `host` into the new directory `place`; False if it holds none."""
    with open(host, "rb") as file:
        if not _is_tar(file):
            return False
        file.seek(0)
        place.mkdir()
        with decompress(file) as stream:
            apply(stream, place, owners, owner=owner)
    return True


def begins_as_archive(head: bytes) -> bool:
    """Whether a stream that begins with `head` is a tar, or compressed, which text never is."""
    return is_compressed(head) or _is_tar(io.BytesIO(head))


def _is_tar(file: BinaryIO) -> bool:
    """Whether `file` begins as a tar does, perhaps a compressed one; reads its beginning."""
    import tarfile

    try:
        block = decompress(file).read(_BLOCK)
        if len(block) < _BLOCK or not any(block):
            return False
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except Exception:  # noqa: BLE001  # whatever a decompressor says of bytes that are not its own
        return False
    return True
