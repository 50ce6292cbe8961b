"""The members of an archive, by name, without unpacking it: sizes and places in one seekable file.

Archives come from anywhere, so every field is checked, and the memory that they
take is bounded by a limit on their number and on the length of their names.
"""

from __future__ import annotations

import io
import os
import posixpath
from typing import Any, BinaryIO, Final, Literal, NamedTuple

from tiffin.errors import CorruptError

_BLOCK: Final = 512
_MOST: Final = 65_536  # members; an image has at most a few hundred
_RECORD: Final = 1 << 20  # bytes of an extended header
_NAME: Final = 1024
_HOPS: Final = 16
_HEEDED: Final = frozenset({b"path", b"linkpath", b"size"})
_SPARSE: Final = b"GNU.sparse."
_ZERO: Final = bytes(_BLOCK)

Kind = Literal["file", "directory", "symlink", "hardlink", "other"]
_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "other",
    b"4": "other",
    b"5": "directory",
    b"6": "other",
}
_WITHOUT_DATA: Final = frozenset(b"123456")


class Member(NamedTuple):
    """One member: what it is, where its bytes are, what it links to."""

    kind: Kind
    offset: int
    size: int
    target: str


class Members:
    """The members of the tar in `file`, a real file that can be read at any offset, from several threads."""

    def __init__(self, file: BinaryIO, what: str) -> None:
        """Read all headers; `CorruptError` when something is not as a tar must be."""
        self._file = file
        self.what = what
        self._size = os.fstat(file.fileno()).st_size
        self._members: dict[str, Member] = {}
        self._scan()

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def find(self, name: str) -> Member:
        """The file of that name, links followed within the archive; `CorruptError` when there is none."""
        seen = name = self._inside(name)
        for _ in range(_HOPS):
            member = self._members.get(name)
            if member is None:
                raise CorruptError(f"{self.what} has no file {seen!r}, which it refers to")
            if member.kind == "symlink":
                name = self._inside(posixpath.join(posixpath.dirname(name), member.target), links=True)
            elif member.kind == "hardlink":
                name = self._inside(member.target)
            elif member.kind == "file":
                return member
            else:
                raise CorruptError(f"{self.what}: {seen!r} is not a plain file")
        raise CorruptError(f"{self.what}: {seen!r} is a link that never ends")

    def open(self, member: Member) -> BinaryIO:
        """A stream of a member's bytes, good as long as the file is open."""
        return io.BufferedReader(_Section(self._file, member.offset, member.size), 1 << 20)

    def read(self, name: str, limit: int) -> bytes:
        """The whole content of a small file."""
        member = self.find(name)
        if member.size > limit:
            raise CorruptError(f"{self.what}: {name!r} has {member.size} bytes; {limit} are allowed")
        return self._at(member.offset, member.size)

    def _scan(self) -> None:
        offset = 0
        extended: dict[str, str] = {}
        while offset < self._size:
            header = self._at(offset, _BLOCK)
            if header == _ZERO:
                break
            self._check(header, offset)
            kind, size = header[156:157], self._number(header[124:136])
            if kind in b"xgLK":
                if size > _RECORD:
                    raise CorruptError(f"{self.what} has an extended header of {size} bytes")
                record = self._at(offset + _BLOCK, size)
                extended |= self._extended(kind, record)
                offset += _BLOCK + _padded(size)
                continue
            if kind in b"0\x007" and "size" in extended:
                size = self._decimal(extended["size"])
            offset += _BLOCK
            self._add(header, extended, offset, size)
            offset += 0 if kind[0] in _WITHOUT_DATA else _padded(size)
            extended = {}

    def _add(self, header: bytes, extended: dict[str, str], offset: int, size: int) -> None:
        name = extended.get("path") or _name(header)
        kind = _KINDS.get(header[156:157], "other")
        if kind == "file" and name.endswith("/"):
            kind = "directory"  # as archives from before POSIX have it
        if _SPARSE.decode() in extended:
            kind = "other"
        if kind == "file" and offset + size > self._size:
            raise CorruptError(
                f"{self.what}: {name[:200]!r} should have {size} bytes, but the archive ends after"
                f" {self._size - offset}"
            )
        clean = self._inside(name)
        target = extended.get("linkpath") or _text(header[157:257])
        if len(name) > _NAME or len(target) > _NAME:
            raise CorruptError(f"{self.what} has a name of more than {_NAME} characters")
        if len(self._members) >= _MOST:
            raise CorruptError(f"{self.what} has more than {_MOST} members, so it is no image")
        if clean:
            self._members[clean] = Member(kind, offset, size, target)

    def _inside(self, name: str, *, links: bool = False) -> str:
        """The name from the archive's root; `CorruptError` when it leads out of it."""
        parts: list[str] = []
        for part in name.split("/"):
            if part == ".." and links and parts:
                parts.pop()
            elif part == ".." or "\0" in part:
                raise CorruptError(f"{self.what}: the name {name[:200]!r} leads out of the archive")
            elif part not in {"", "."}:
                parts.append(part)
        if name.startswith("/"):
            raise CorruptError(f"{self.what}: the name {name[:200]!r} is absolute")
        return "/".join(parts)

    def _extended(self, kind: bytes, record: bytes) -> dict[str, str]:
        if kind == b"g":
            return {}
        if kind in b"LK":
            return {"path" if kind == b"L" else "linkpath": _text(record)}
        values: dict[str, str] = {}
        at, end = 0, len(record.rstrip(b"\0"))
        while at < end:
            space = record.find(b" ", at, at + 8)
            digits = record[at:space] if space > 0 else b""
            stop = at + int(digits) if digits.isdigit() else 0
            key, equals, value = record[space + 1 : stop - 1].partition(b"=")
            if not equals or stop > end or record[stop - 1 : stop] != b"\n":
                raise CorruptError(f"{self.what} has a malformed extended header")
            if key in _HEEDED or key.startswith(_SPARSE):
                values[_SPARSE.decode() if key.startswith(_SPARSE) else _decode(key)] = _decode(value)
            at = stop
        return values

    def _check(self, header: bytes, offset: int) -> None:
        field = header[148:156]
        digits = field.strip(b" \0")
        found = sum(header) - sum(field) + 8 * 0x20  # as if the field held blanks
        if not digits.isdigit() or digits.strip(b"01234567") or int(digits, 8) != found:
            where = "is not a tar archive" if offset == 0 else f"is broken at byte {offset}"
            raise CorruptError(f"{self.what} {where}", hint="was it copied or downloaded completely?")

    def _number(self, field: bytes) -> int:
        """A number of a header: octal digits, or binary where those do not suffice."""
        if field[0] == 0x80:
            return int.from_bytes(field[1:], "big")
        digits = field.strip(b" \0") or b"0"
        if digits.strip(b"01234567"):
            raise CorruptError(f"{self.what} has a malformed number in a header")
        return int(digits, 8)

    def _decimal(self, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise CorruptError(f"{self.what} has a malformed number in an extended header")
        return int(text)

    def _at(self, offset: int, size: int) -> bytes:
        data = os.pread(self._file.fileno(), size, offset)
        if len(data) != size:
            raise CorruptError(f"{self.what} ends in the middle, at byte {offset + len(data)}")
        return data


class _Section(io.RawIOBase):
    def __init__(self, file: BinaryIO, offset: int, size: int) -> None:
        super().__init__()
        self._file = file
        self._offset = offset
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: self._left]
        count = os.preadv(self._file.fileno(), [view], self._offset) if len(view) else 0
        self._offset += count
        self._left -= count
        return count


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _name(header: bytes) -> str:
    prefix = _text(header[345:500]) if header[257:262] == b"ustar" and header[257:265] != b"ustar  \0" else ""
    name = _text(header[:100])
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return _decode(field.partition(b"\0")[0])


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
