"""Entries → canonical tar: for one tree there is one stream of bytes, on every machine.

Headers are POSIX ustar; a PAX header comes first only for what ustar cannot
hold: long names, ids above 2097151, sizes above 8 GiB, attributes. No user
names, times in whole seconds, two zero blocks at the end and nothing after.
"""

from __future__ import annotations

import errno
import functools
import io
import os
from typing import TYPE_CHECKING, Final
from zlib import adler32

from tiffin.layer.tree import changed, read_exactly, scan
from tiffin.layer.whiteout import OPAQUE_MARKER, PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from typing_extensions import Buffer

    from tiffin.layer.owners import Owners
    from tiffin.layer.tree import Entry
    from tiffin.linux.files import RootPath

BLOCK: Final = 512
SMALL: Final = 1 << 19
"""Files of up to so many bytes are read whole, several of them at a time."""
_CHUNK: Final = 1 << 20
END: Final = bytes(2 * BLOCK)
"""What stands after the last entry."""
_PADDING: Final = tuple(bytes(-n % BLOCK) for n in range(BLOCK))
_MARKER_MODE: Final = 0o644
_TYPES: Final = {
    "file": b"0",
    "hardlink": b"1",
    "symlink": b"2",
    "char": b"3",
    "block": b"4",
    "directory": b"5",
    "fifo": b"6",
}
# magic, version, no user name, no group name
_USTAR: Final = b"ustar\x0000" + bytes(64)
_OCTAL_8: Final = 0o10000000
_OCTAL_12: Final = 0o100000000000


def tar_chunks(entries: Iterable[Entry], root: Path) -> Iterator[bytes]:
    """Yield the canonical tar of `entries`, content read below `root`, in pieces of about a megabyte."""
    base = os.fspath(root)
    return tar_of(entries, lambda path: f"{base}/{path}")


def tar_of(entries: Iterable[Entry], host: Callable[[RootPath], str]) -> Iterator[bytes]:
    """Yield the same, content read where `host` says that it lies."""
    parts: list[bytes] = []
    pending = 0
    for entry in entries:
        head = entry_header(entry)
        parts.append(head)
        pending += len(head)
        if entry.size > SMALL:
            yield b"".join(parts)
            parts, pending = [], 0
            yield from read_content(host(entry.path), entry.size)
            parts.append(_PADDING[entry.size % BLOCK])
        elif entry.size:
            data = entry.content or _read_small(host(entry.path), entry.size)
            parts += (data, _PADDING[entry.size % BLOCK])
            pending += entry.size
        if pending > SMALL:
            yield b"".join(parts)
            parts, pending = [], 0
    parts.append(END)
    yield b"".join(parts)


def write_tar(entries: Iterable[Entry], root: Path, sink: Callable[[bytes], object]) -> int:
    """Give the canonical tar of `entries` to `sink` piece by piece, and return its size."""
    size = 0
    for chunk in tar_chunks(entries, root):
        sink(chunk)
        size += len(chunk)
    return size


def open_tar(root: Path, owners: Owners) -> BinaryIO:
    """A stream of the canonical tar of the layer directory `root`, made while it is read."""
    return io.BufferedReader(_ChunkStream(tar_chunks(scan(root, owners, small=SMALL), root)), _CHUNK)


def entry_header(entry: Entry) -> bytes:
    """All header blocks of `entry`, a PAX header included if one is needed."""
    path = os.fsencode(entry.path)
    if entry.kind == "whiteout":
        parent, slash, name = path.rpartition(b"/")
        hidden = parent + slash + PREFIX.encode() + name
        return _marker(hidden)
    if entry.kind != "directory":
        return _header(path, entry)
    head = _header(path + b"/" if path else b"./", entry)
    return head + opaque_header(entry.path) if entry.opaque else head


def opaque_header(path: RootPath) -> bytes:
    """What follows the header of the directory `path` if it hides what lies below it."""
    return _marker((os.fsencode(path) + b"/" if path else b"") + OPAQUE_MARKER.encode())


def padding(size: int) -> bytes:
    """What follows a content of so many bytes."""
    return _PADDING[size % BLOCK]


def _marker(path: bytes) -> bytes:
    """The header of an empty file that stands for a whiteout; it has no owner and no time of its own."""
    pax: dict[bytes, bytes] = {}
    name, prefix = _split(path, pax)
    block = _ustar(name, _fields(_MARKER_MODE, 0, 0, 0, 0), _tail(b"0", b"", 0, prefix))
    return _pax_header(pax) + block


def _header(path: bytes, entry: Entry) -> bytes:
    pax: dict[bytes, bytes] = {}
    name, prefix = (path, b"") if len(path) <= 100 else _split(path, pax)
    _path, kind, mode, uid, gid, size, mtime_ns, text, device, xattrs, _opaque, _usage, _content = entry
    mtime = mtime_ns // 1_000_000_000
    if uid >= _OCTAL_8 or gid >= _OCTAL_8 or size >= _OCTAL_12 or not 0 <= mtime < _OCTAL_12:
        uid, gid, size, mtime = _fit(uid, gid, size, mtime, pax)
    link = b""
    if text:
        link = os.fsencode(text)
        if len(link) > 100:
            pax[b"linkpath"] = link
            link = link[:100]
    if xattrs:
        _attributes(xattrs, pax)
    fields = _fields(0o777 if kind == "symlink" else mode, uid, gid, size, mtime)
    block = _ustar(name, fields, _tail(_TYPES[kind], link, device, prefix))
    return _pax_header(pax) + block if pax else block


def _split(path: bytes, pax: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """The path as ustar's name and prefix; what does not fit goes into `pax`, its beginning stays."""
    if len(path) <= 100:
        return path, b""
    cut = path.rfind(b"/", 0, min(156, len(path) - 1))
    if cut > 0 and len(path) - cut - 1 <= 100:
        return path[cut + 1 :], path[:cut]
    pax[b"path"] = path
    return path[:100], b""


def _fit(uid: int, gid: int, size: int, mtime: int, pax: dict[bytes, bytes]) -> tuple[int, int, int, int]:
    """The numbers as ustar can hold them: what it cannot goes into `pax` and is 0 here."""
    if uid >= _OCTAL_8:
        pax[b"uid"], uid = b"%d" % uid, 0
    if gid >= _OCTAL_8:
        pax[b"gid"], gid = b"%d" % gid, 0
    if size >= _OCTAL_12:
        pax[b"size"], size = b"%d" % size, 0
    if not 0 <= mtime < _OCTAL_12:
        pax[b"mtime"], mtime = b"%d" % mtime, 0
    return uid, gid, size, mtime


def _fields(mode: int, uid: int, gid: int, size: int, mtime: int) -> bytes:
    return b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, uid, gid, size, mtime)


# The checksum is the sum of all bytes. The low half of an Adler-32 is 1 + that sum modulo 65521: exact for
# up to 256 bytes, and some hundred times faster than adding in Python.


def _ustar(name: bytes, fields: bytes, tail: tuple[bytes, int]) -> bytes:
    first = name.ljust(100, b"\0") + fields
    return b"%b%06o\0 %b" % (first, (adler32(first) & 0xFFFF) + tail[1], tail[0])


@functools.lru_cache(maxsize=256)
def _tail(kind: bytes, link: bytes, device: int, prefix: bytes) -> tuple[bytes, int]:
    """All after the checksum, the same for most entries, and what it and the checksum's 8 spaces add."""
    numbers = b"%07o\0%07o\0" % (os.major(device), os.minor(device))
    tail = b"%b%b%b%b%b" % (kind, link.ljust(100, b"\0"), _USTAR, numbers, prefix.ljust(167, b"\0"))
    total = (adler32(tail[:256]) & 0xFFFF) + (adler32(tail[256:]) & 0xFFFF)
    return tail, total + 8 * 0x20 - 3


def _attributes(xattrs: Mapping[str, bytes], pax: dict[bytes, bytes]) -> None:
    for name, value in xattrs.items():
        key = os.fsencode(name).replace(b"%", b"%25").replace(b"=", b"%3D")
        pax[b"SCHILY.xattr." + key] = value


def _pax_header(pax: dict[bytes, bytes]) -> bytes:
    """The blocks of a PAX header for the next entry; nothing if there is nothing to say."""
    if not pax:
        return b""
    if not all(_is_utf8(pax.get(key, b"")) for key in (b"path", b"linkpath")):
        pax[b"hdrcharset"] = b"BINARY"
    # The character set has to stand before what it describes.
    keys = sorted(pax, key=lambda key: (key != b"hdrcharset", key))
    records = b"".join([_pax_record(key, pax[key]) for key in keys])
    fields = _fields(0o644, 0, 0, len(records), 0)
    block = _ustar(b"././@PaxHeader", fields, _tail(b"x", b"", 0, b""))
    return block + records + _PADDING[len(records) % BLOCK]


def _pax_record(key: bytes, value: bytes) -> bytes:
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))  # the length counts its own digits, which may be one more now
    return b"%d %b=%b\n" % (length, key, value)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_small(host: str, size: int) -> bytes:
    fd = os.open(host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return read_exactly(fd, size, host)
    finally:
        os.close(fd)


def read_content(host: str, size: int) -> Iterator[bytes]:
    """Yield the first `size` bytes of the file in pieces. Raises FailedError if there are less."""
    fd = os.open(host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while size:
            data = os.read(fd, min(size, _CHUNK))
            if not data:
                raise changed(host)
            size -= len(data)
            yield data
    finally:
        os.close(fd)


class _ChunkStream(io.RawIOBase):
    """An iterator of chunks as a raw stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        if self.closed:
            raise OSError(errno.EBADF, "the stream is closed")
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        target = memoryview(buffer)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._rest = memoryview(b"")
            close = getattr(self._chunks, "close", None)
            if close is not None:
                close()
        super().close()
