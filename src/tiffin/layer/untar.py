"""A tar stream → its members, for tars from anywhere: ustar, PAX, GNU and the sparse forms of both.

Nothing in a header is believed before it is checked: sums, signs, sizes,
lengths of names. What breaks the format is `CorruptError` with the offset;
memory stays bounded whatever a header claims. Knows nothing of file systems.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol
from zlib import adler32

from tiffin.errors import CorruptError
from tiffin.layer import pax
from tiffin.layer.sparse import Segment, check_map, old_map, read_map

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_EXTENSION_LIMIT: Final = 1 << 20  # of a PAX header or a GNU long name: the same as Go's reader has
_HEADER_ONLY: Final = frozenset(b"123456")  # links, nodes and directories have no content, whatever size says
_ZERO: Final = bytes(BLOCK)


class Readable(Protocol):
    """What gives bytes, as any stream does."""

    def read(self, size: int = ..., /) -> bytes:
        """At most so many of the next bytes, none at the end."""


class Member(NamedTuple):
    """One member: header fields as they stand, names as bytes. `size` is that of the whole file."""

    name: bytes
    type: str
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    major: int
    minor: int
    xattrs: dict[str, bytes]
    sparse: tuple[Segment, ...] | None


class TarReader:
    """Reads members one after the other; the content of each before the next.

    Every byte of the stream, to its very end, is also given to `seen`.
    """

    def __init__(self, stream: Readable, seen: Callable[[bytes], object] = lambda _data: None) -> None:
        self._stream = stream
        self._seen = seen
        self._buffer = b""
        self._at = 0
        self._offset = 0
        self._left = 0  # of the content of the current member
        self._pad = 0
        self._map: tuple[Segment, ...] | None = None

    def members(self) -> Iterator[Member]:
        """Yield the members; what was not read of one is skipped."""
        while True:
            self._skip()
            member = self._next()
            if member is None:
                break
            yield member
        while self._fill():
            pass

    def content(self) -> Iterator[tuple[int, memoryview]]:
        """Yield the content of the current member as (offset in the file, bytes); holes are left out."""
        segments = (Segment(0, self._left),) if self._map is None else self._map
        for segment in segments:
            position = segment.offset
            for data in self._pieces(segment.size):
                yield position, data
                position += len(data)

    def _next(self) -> Member | None:
        extended: dict[str, bytes] = {}
        records: list[tuple[str, bytes]] = []
        while True:
            block = self._header_block()
            if block is None:
                if extended or records:
                    raise self._broken("it ends after an extended header")
                return None
            kind = chr(block[156])
            if kind in "xgLK":
                size = self._number(block, 124, 12, "size")
                data = self._extension(size)
                if kind == "x":
                    records = pax.parse(data, self._offset)
                elif kind in "LK":
                    extended["path" if kind == "L" else "linkpath"] = data.split(b"\0", 1)[0]
                continue
            # An empty value takes an earlier one back; an attribute may well be empty.
            extended.update((key, value) for key, value in records if value or key.startswith(pax.XATTR))
            return self._member(block, kind, extended, records)

    def _member(
        self, block: bytes, kind: str, extended: dict[str, bytes], records: list[tuple[str, bytes]]
    ) -> Member:
        name = extended.get("path")
        if name is None:
            name = _text(block[0:100])
            if block[257:263] == b"ustar\0" and block[345]:
                # The star format had less room here, and says so at the end.
                prefix = block[345:476] if block[508:512] == b"tar\0" else block[345:500]
                name = _text(prefix) + b"/" + name
        if kind in "\x007":
            kind = "0"
        if kind == "0" and name.endswith(b"/"):
            kind = "5"  # how directories were written before there was a type for them
        stored = self._field(block, extended, "size", 124, 12)
        if ord(kind) in _HEADER_ONLY:
            stored = 0
        self._left, self._pad = stored, -stored % BLOCK
        name, size = self._sparse(block, kind, name, extended, records)
        if kind == "S":
            kind = "0"
        if "mtime" in extended:
            mtime_ns = pax.time_ns(extended["mtime"])
        else:
            mtime_ns = self._number(block, 136, 12, "mtime", negative=True) * 1_000_000_000
            if not -(1 << 63) <= mtime_ns < 1 << 63:
                raise self._broken("the field mtime is out of range")
        return Member(
            name,
            kind,
            self._number(block, 100, 8, "mode") & 0o7777,
            self._field(block, extended, "uid", 108, 8),
            self._field(block, extended, "gid", 116, 8),
            stored if size is None else size,
            mtime_ns,
            extended.get("linkpath", _text(block[157:257])),
            self._number(block, 329, 8, "device") if kind in "34" else 0,
            self._number(block, 337, 8, "device") if kind in "34" else 0,
            pax.xattrs(extended) if extended else {},
            self._map,
        )

    def _sparse(
        self,
        block: bytes,
        kind: str,
        name: bytes,
        extended: dict[str, bytes],
        records: list[tuple[str, bytes]],
    ) -> tuple[bytes, int | None]:
        """Read the map of a sparse file; return its name, and its size if it is one."""
        self._map = None
        if kind == "S":
            segments = old_map(block, self._number, lambda: self._take(BLOCK))
            size = self._number(block, 483, 12, "size")
        elif kind == "0" and pax.is_sparse(extended):
            name = extended.get("GNU.sparse.name", name)
            size = pax.number(extended, "GNU.sparse.realsize", "GNU.sparse.size")
            if extended.get("GNU.sparse.major") == b"1":
                segments, used = read_map(self._line_source())
                self._left -= used
            else:
                segments = pax.sparse_map(extended, records)
        else:
            return name, None
        self._map = check_map(segments, size, self._left)
        return name, size

    def _line_source(self) -> Callable[[], bytes]:
        """Blocks of the content, for a map that stands at its beginning."""
        left = self._left

        def block() -> bytes:
            nonlocal left
            left -= BLOCK
            if left < 0:
                raise self._broken("the map of a sparse file is longer than the file")
            return self._take(BLOCK)

        return block

    def _field(self, block: bytes, extended: dict[str, bytes], key: str, start: int, length: int) -> int:
        if key in extended:
            return pax.number(extended, key)
        return self._number(block, start, length, key)

    def _number(self, block: bytes, start: int, length: int, what: str, *, negative: bool = False) -> int:
        field = block[start : start + length]
        value = _parse_number(field)
        if value is None:
            raise self._broken(f"the field {what} reads {field!r}, which is no number")
        if value >= 1 << 63 or (value < 0 and not negative):
            raise self._broken(f"the field {what} is {value}")
        return value

    def _header_block(self) -> bytes | None:
        """The next header, its sum checked; None at the end of the archive."""
        if not self._available():
            return None
        block = self._take(BLOCK)
        if block == _ZERO:
            if self._available() and self._take(BLOCK) != _ZERO:
                raise self._broken("a zero block is followed by something else")
            return None
        text = _text(block[148:156]).strip()
        stated = int(text, 8) if text and not text.strip(b"01234567") else -1
        head, tail = block[:148], block[156:]
        total = 8 * 0x20 - 3 + sum(adler32(part) & 0xFFFF for part in (head, tail[:200], tail[200:]))
        if stated != total:
            # Some old writers added signed bytes.
            signed = total - 256 * sum(byte >= 0x80 for byte in head + tail)
            if stated != signed:
                raise self._broken(
                    "the checksum of a header does not match: this is no tar, or a damaged one"
                )
        return block

    def _extension(self, size: int) -> bytes:
        if size > _EXTENSION_LIMIT:
            raise self._broken(
                f"an extended header claims {size} bytes, and {_EXTENSION_LIMIT} are the limit"
            )
        data = self._take(size)
        self._take(-size % BLOCK)
        return data

    def _take(self, size: int) -> bytes:
        """Exactly the next `size` bytes; few, for they are held in memory."""
        end = self._at + size
        if end <= len(self._buffer):
            data = self._buffer[self._at : end]
            self._at = end
            self._offset += size
            return data
        parts: list[bytes | memoryview] = [bytes(data) for data in self._raw(size)]
        return b"".join(parts)

    def _pieces(self, size: int) -> Iterator[memoryview]:
        for data in self._raw(size):
            self._left -= len(data)
            yield data

    def _raw(self, size: int) -> Iterator[memoryview]:
        while size:
            if not self._available():
                raise self._broken(f"it ends, and {size} more bytes should follow")
            end = min(len(self._buffer), self._at + size)
            data = memoryview(self._buffer)[self._at : end]
            self._at = end
            self._offset += len(data)
            size -= len(data)
            yield data

    def _skip(self) -> None:
        at = self._at + self._left + self._pad
        if at <= len(self._buffer):
            self._offset += at - self._at
            self._at = at
            self._left = self._pad = 0
            return
        for _ in self._raw(self._left + self._pad):
            pass
        self._left = self._pad = 0

    def _available(self) -> bool:
        return self._at < len(self._buffer) or self._fill()

    def _fill(self) -> bool:
        self._buffer = self._stream.read(_CHUNK) or b""
        self._at = 0
        if self._buffer:
            self._seen(self._buffer)
        return bool(self._buffer)

    def _broken(self, why: str) -> CorruptError:
        return CorruptError(
            f"the tar is broken at byte {self._offset}: {why}",
            code="tar-broken",
            hint="it was cut off or altered on the way; get it again",
        )


@functools.lru_cache(maxsize=4096)
def _parse_number(field: bytes) -> int | None:
    """A number field: octal text, or, with the first bit set, a signed number of base 256."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    text = field.replace(b"\0", b" ").strip()
    if text.strip(b"01234567"):
        return None
    return int(text or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]
