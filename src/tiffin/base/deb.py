"""Binary packages (deb(5)): an ar archive with control.tar and data.tar in it, read as streams.

The file has been verified before it comes here; what is checked is only the form.
"""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, cast

from tiffin.errors import CorruptError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from tarfile import TarFile

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_LARGEST_CONTROL: Final = 64 << 20


class Part(NamedTuple):
    """A member of the ar archive: where it lies in the file."""

    name: str
    offset: int
    size: int


def read_parts(stream: BinaryIO, name: str) -> dict[str, Part]:
    """The members by name without the ending of a compression: `control.tar`, `data.tar`."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise CorruptError(f"{name} is not a package: it does not begin as an ar archive", code="deb")
    parts: dict[str, Part] = {}
    while header := stream.read(_HEADER):
        try:
            member, size = header[:16].decode("ascii").rstrip(" ").rstrip("/"), int(header[48:58])
        except ValueError as error:
            raise CorruptError(f"{name} has a broken ar header", code="deb") from error
        if len(header) != _HEADER or header[58:] != b"`\n" or size < 0:
            raise CorruptError(f"{name} has a broken ar header", code="deb")
        key = member.partition(".tar")[0] + ".tar" if ".tar" in member else member
        parts.setdefault(key, Part(member, stream.tell(), size))
        stream.seek(size + size % 2, io.SEEK_CUR)
    if "debian-binary" not in parts or "control.tar" not in parts or "data.tar" not in parts:
        raise CorruptError(f"{name} lacks one of debian-binary, control.tar and data.tar", code="deb")
    return parts


def read_control(path: Path, name: str) -> dict[str, bytes]:
    """The control files of the package: control, md5sums, conffiles, the maintainer scripts."""
    found: dict[str, bytes] = {}
    with open_tar(path, "control.tar", name) as archive:
        left = _LARGEST_CONTROL
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            left -= member.size
            if content is None or left < 0:
                continue
            found[member.name.removeprefix("./")] = content.read()
    if "control" not in found:
        raise CorruptError(f"{name} has no control file", code="deb")
    return found


@contextmanager
def open_tar(path: Path, part: str, name: str) -> Iterator[TarFile]:
    """The `control.tar` or `data.tar` of the package at `path`, to be read once from front to end."""
    import lzma
    import tarfile
    import zlib

    with path.open("rb") as stream:
        found = read_parts(stream, name)[part]
        try:
            with (
                _unpacked(cast("BinaryIO", _Slice(stream, found)), found.name, name) as plain,
                tarfile.open(fileobj=plain, mode="r|", bufsize=1 << 18, encoding="utf-8") as archive,
            ):
                yield archive
        except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError) as error:
            raise CorruptError(f"{name}: {found.name} cannot be read: {error}", code="deb") from error


def _unpacked(stream: BinaryIO, member: str, name: str) -> Any:
    match member.rpartition(".tar")[2]:
        case "":
            return io.BufferedReader(cast("io.RawIOBase", stream))
        case ".xz" | ".lzma":
            import lzma

            return lzma.LZMAFile(stream)
        case ".gz":
            import gzip

            return gzip.GzipFile(fileobj=stream)
        case ".zst":
            return _zstd_reader(stream)
        case other:
            raise UnsupportedError(
                f"{name} is packed with {other}, which is not known", code="deb-compression"
            )


def _zstd_reader(stream: BinaryIO) -> Any:
    import sys

    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile
    else:
        from backports.zstd import ZstdFile
    return ZstdFile(stream)


class _Slice(io.RawIOBase):
    """A part of a file as a stream of its own."""

    def __init__(self, stream: BinaryIO, part: Part) -> None:
        self._stream = stream
        self._left = part.size
        stream.seek(part.offset)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
