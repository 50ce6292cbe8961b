"""A tar → a directory that is there already, and is no layer. The tar may be hostile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO

from tiffin.layer.apply import apply
from tiffin.layer.tar import entry_header
from tiffin.layer.tree import entry_at
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import WriteableBuffer

    from tiffin.layer.owners import Owners


def apply_to_existing(stream: BinaryIO, place: Path, owners: Owners) -> None:
    """Unpack into a directory that is there, and stays as it is but for what is new in it."""
    own = entry_at(f"{place}/.", RootPath(""), place.stat(), owners)._replace(opaque=False, xattrs={})
    apply(io.BufferedReader(_After(entry_header(own), stream)), place, owners, whiteouts=False)


class _After(io.RawIOBase):
    """A stream with something before it."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        head = self._head[: len(view)]
        self._head = self._head[len(head) :]
        data = head or self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)
