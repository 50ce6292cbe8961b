"""Compress and decompress layers: the same bytes for any number of threads, bounded memory both ways.

The input is cut into blocks of a fixed size, each compressed by itself: a
gzip member (RFC 1952) or a zstd frame (RFC 8878). Any reader of the format
reads their sequence as one stream.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Literal

from tiffin.errors import CorruptError, InvalidError, TiffinError
from tiffin.layer.hashing import BackgroundHash
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import BinaryIO

    from typing_extensions import Buffer

    from tiffin.oci.digest import DiffID

Kind = Literal["gzip", "zstd", "none"]

_BLOCK: Final = 1 << 20
_LEVELS: Final[dict[Kind, tuple[int, int, int]]] = {"gzip": (0, 9, 1), "zstd": (1, 22, 3), "none": (0, 0, 0)}
_SAMPLE: Final = 1 << 12
_STORED: Final = 0xFFFF  # bytes that one stored block of DEFLATE holds
_ISAL: Final = 3  # the highest level of ISA-L; zlib has those above
_GZIP_HEAD: Final = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, system unknown
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE: Final = b"\x2a\x4d\x18"  # after a first byte 0x50 to 0x5f
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\0"


class Compressed(io.RawIOBase):
    """A stream of the compressed form of another, and its names, once it has been read to its end.

    `digest` and `size` are of what was read here, `diff_id` and `plain_size` of
    what was compressed. Closing it early stops the work. Without `named` there is no digest.
    """

    digest: Digest
    diff_id: DiffID

    def __init__(
        self, stream: BinaryIO, work: Callable[[bytes], bytes], threads: int, *, named: bool = True
    ) -> None:
        self.size = 0
        self.plain_size = 0
        self._stream = stream
        self._work = work
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._futures: deque[Future[bytes]] = deque()
        self._plain = BackgroundHash()
        self._packed = hashlib.sha256() if named else None
        self._rest = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with the next bytes; 0 at the end."""
        target = memoryview(buffer)
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, at most `size` and perhaps fewer; all that are left if it is negative."""
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_BLOCK), b""))
        if not self._rest:
            packed = self._next()
            if len(packed) <= size:
                return packed
            self._rest = memoryview(packed)
        data = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return data

    def close(self) -> None:
        """Stop the threads; the stream below stays open."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._plain.__exit__()
        super().close()

    def _next(self) -> bytes:
        while not self._ended and len(self._futures) < 2 * self._threads:
            self._feed()
        if not self._futures:
            if self._packed is not None:
                self.digest = Digest.from_hash(self._packed)
            self.diff_id = self._plain.diff_id()
            return b""
        data = self._futures.popleft().result()
        if self._packed is not None:
            self._packed.update(data)
        self.size += len(data)
        return data or self._next()

    def _feed(self) -> None:
        block = _read_block(self._stream)
        self._ended = len(block) < _BLOCK
        self._plain.update(block)
        self.plain_size += len(block)
        # Nothing at all is one empty block, so that the result has the format's signature.
        if block or self.plain_size == 0:
            if self._pool is None:
                from concurrent.futures import ThreadPoolExecutor

                self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="layer-compress")
            self._futures.append(self._pool.submit(self._work, block))


def check_level(kind: Kind, level: int | None) -> None:
    """Raise InvalidError for a level that `kind` has not got."""
    low, high, usual = _LEVELS[kind]
    if not low <= (usual if level is None else level) <= high:
        raise InvalidError(
            f"{kind} has no compression level {level}", hint=f"choose one from {low} to {high}", code="level"
        )


def compress(
    stream: BinaryIO,
    kind: Kind,
    level: int | None = None,
    threads: int | None = None,
    *,
    named: bool = True,
) -> Compressed:
    """Return the compressed form of `stream`, made while it is read.

    Levels are 0 to 9 for gzip and 1 to 22 for zstd; more than 3 of gzip takes many times as long. The
    bytes depend on kind and level, never on `threads` (None: one for each core). Who takes the digest of
    what comes out needs none here: not `named`.
    """
    check_level(kind, level)
    level = _LEVELS[kind][2] if level is None else level
    if kind == "none":
        return Compressed(stream, lambda block: block, 1, named=named)
    work = _gzip_member if kind == "gzip" else _zstd_frame
    return Compressed(stream, lambda block: work(block, level), threads or os.cpu_count() or 1, named=named)


def decompress(stream: BinaryIO) -> BinaryIO:
    """The plain form of `stream`, which may be gzip, zstd, bzip2, xz or plain already: its first bytes tell.

    Never holds more than some megabytes, however much comes out. Damage is
    `CorruptError` when the reader gets there.
    """
    source = io.BufferedReader(_Joined(stream), _BLOCK)
    plain = _open(source, source.peek(6)[:6])
    return source if plain is None else io.BufferedReader(_Checked(plain), _BLOCK)


def is_compressed(head: bytes) -> bool:
    """Whether a stream that begins with `head` is compressed in one of the ways that `decompress` knows."""
    skippable = head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5
    return skippable or head.startswith((_GZIP, _ZSTD, _BZIP2, _XZ))


def _open(source: BinaryIO, head: bytes) -> Any:
    """The decompressor for a stream that begins with `head`; None if it is plain."""
    if head.startswith(_GZIP):
        from isal import igzip

        return igzip.IGzipFile(fileobj=source, mode="rb")  # type: ignore[no-untyped-call]  # its stubs are partial
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] >> 4 == 5):
        zstd = _zstd()
        # The window is what a frame may make us hold; more than this only `zstd --ultra --long` asks for.
        options = {zstd.DecompressionParameter.window_log_max: 27}
        return zstd.ZstdFile(source, mode="rb", options=options)
    if head.startswith(_BZIP2):
        import bz2

        return bz2.BZ2File(source)
    if head.startswith(_XZ):
        import lzma

        return lzma.LZMAFile(source)
    return None


def _gzip_member(block: bytes, level: int) -> bytes:
    from isal import isal_zlib

    library = isal_zlib
    if level > _ISAL:
        import zlib as library  # type: ignore[no-redef]  # the same interface

    if level and _is_dense(block):
        body = _stored(block)
    else:
        packer = library.compressobj(level, library.DEFLATED, -library.MAX_WBITS)
        body = packer.compress(block) + packer.flush()
    trailer = isal_zlib.crc32(block).to_bytes(4, "little") + len(block).to_bytes(4, "little")
    return b"".join((_GZIP_HEAD, body, trailer))


def _is_dense(block: bytes) -> bool:
    """Whether nothing is to be gained: weights and wheels are most of what a serving image holds."""
    from isal import isal_zlib

    sample = b"".join([block[start : start + _SAMPLE] for start in range(0, len(block), _SAMPLE * 32)])
    return len(sample) >= _SAMPLE and len(isal_zlib.compress(sample, 1)) > 0.98 * len(sample)


def _stored(block: bytes) -> bytes:
    """The block as it is, in the words of DEFLATE (RFC 1951, section 3.2.4); it ends a stream."""
    parts: list[bytes] = []
    for start in range(0, len(block), _STORED):
        part = block[start : start + _STORED]
        head = start + _STORED >= len(block), len(part), len(part) ^ 0xFFFF
        parts += (struct.pack("<BHH", *head), part)
    return b"".join(parts)


def _zstd_frame(block: bytes, level: int) -> bytes:
    zstd = _zstd()
    parameter = zstd.CompressionParameter
    options = {parameter.compression_level: level, parameter.checksum_flag: 1}
    return bytes(zstd.compress(block, options=options))


def _zstd() -> Any:
    """The zstd of the standard library, from Python 3.14, or its twin for those before."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _read_block(stream: BinaryIO) -> bytes:
    """The next block, short only at the end: where a block ends must not depend on how the stream flows."""
    parts = []
    left = _BLOCK
    while left:
        data = stream.read(left)
        if not data:
            break
        parts.append(data)
        left -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Joined(io.RawIOBase):
    """Any object with `read` as a raw stream, so that it can be peeked into; it stays open."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        target = memoryview(buffer)
        data = self._stream.read(len(target))
        target[: len(data)] = data
        return len(data)


class _Checked(io.RawIOBase):
    """A decompressor whose complaints are `CorruptError`."""

    def __init__(self, plain: Any) -> None:
        self._plain = plain

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        target = memoryview(buffer)
        try:
            data = self._plain.read(len(target))
        except TiffinError:  # of the stream below
            raise
        except Exception as error:
            # Each library has an exception class of its own, and importing all of them to name them costs
            # more than it tells. What has an errno comes from the disk or the network.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise CorruptError(
                f"the compressed data is damaged: {error}",
                code="compression-broken",
                hint="it was cut off or altered on the way; get it again",
            ) from error
        target[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._plain.close()
        super().close()
