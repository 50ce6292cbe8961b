"""Content that is what its descriptor says, or an error: nothing else gets past this module."""

from __future__ import annotations

import io
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from tiffin.errors import CorruptError
from tiffin.oci.manifest import LIMIT, Index, Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.content.protocol import Fetcher
    from tiffin.oci.descriptor import Descriptor

BUFFER: Final = 1 << 20


class VerifyingReader(io.BufferedReader):
    """The stream of a descriptor's content, checked while it is read.

    `CorruptError` comes at the latest with the read that would complete the content, so
    whoever has got `size` bytes has got the right ones. Reading to the end also
    finds content that goes on too long. It owns the stream beneath, and closes it, unless told otherwise.
    """

    def __init__(self, stream: BinaryIO, descriptor: Descriptor, *, owns: bool = True) -> None:
        super().__init__(_Checked(stream, descriptor, owns=owns), BUFFER)


class _Checked(io.RawIOBase):
    def __init__(self, stream: BinaryIO, descriptor: Descriptor, *, owns: bool) -> None:
        super().__init__()
        self._stream = stream
        self._descriptor = descriptor
        self._owns = owns
        self._hash = descriptor.digest.hasher()
        self._left = descriptor.size
        if self._left == 0:
            self._compare()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._left == 0:
            if len(view) and self._stream.read(1):
                raise CorruptError(f"{self._what()} goes on after its {self._descriptor.size} bytes")
            return 0
        part = view[: self._left]
        count = _fill(self._stream, part)
        if count == 0 and len(part):
            have = self._descriptor.size - self._left
            raise CorruptError(f"{self._what()} ends after {have} of {self._descriptor.size} bytes")
        self._hash.update(part[:count])
        self._left -= count
        if self._left == 0:
            self._compare()
        return count

    def close(self) -> None:
        if not self.closed:
            try:
                if self._owns:
                    self._stream.close()
            finally:
                super().close()

    def _compare(self) -> None:
        found = self._hash.hexdigest()
        if found != self._descriptor.digest.encoded:
            raise CorruptError(
                f"{self._what()} does not match its digest: it is {self._descriptor.digest.algorithm}:{found}"
            )

    def _what(self) -> str:
        return f"content {self._descriptor.digest}"


def _fill(stream: BinaryIO, view: memoryview) -> int:
    """Bytes of the next read into `view`, without a copy where the stream can do so."""
    into: Callable[[memoryview], int | None] | None = getattr(stream, "readinto", None)
    if into is not None:
        return into(view) or 0
    data = stream.read(len(view))
    view[: len(data)] = data
    return len(data)


def fetch_bytes(fetcher: Fetcher, descriptor: Descriptor, limit: int = LIMIT) -> bytes:
    """The whole content, verified; `CorruptError` when it is said to be larger than `limit`."""
    if descriptor.size > limit:
        raise CorruptError(
            f"content {descriptor.digest} claims {descriptor.size} bytes;"
            f" a document of type {descriptor.media_type} may have {limit}"
        )
    stream = fetcher.open(descriptor) if descriptor.data is None else io.BytesIO(descriptor.data)
    with closing(VerifyingReader(stream, descriptor)) as reader:
        return reader.read()


def read_manifest(fetcher: Fetcher, descriptor: Descriptor) -> Manifest | Index:
    """The manifest or index that `descriptor` points to, verified and parsed."""
    return parse_manifest(
        fetch_bytes(fetcher, descriptor), descriptor.media_type, f"manifest {descriptor.digest}"
    )
