"""The OCI image layout in a folder, as a place: fetcher, pusher, resolver and tagger."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final, Self

import msgspec

from tiffin.content.verify import VerifyingReader
from tiffin.content.walk import walk
from tiffin.errors import CorruptError, NotFoundError, TiffinError, UnsupportedError
from tiffin.image.naming import find, name_of, named, unnamed
from tiffin.linux.files import lock, sync_directory
from tiffin.oci.codec import decode, encode
from tiffin.oci.descriptor import Annotation
from tiffin.oci.manifest import LIMIT, Index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference

MARKER: Final = "oci-layout"
INDEX: Final = "index.json"
VERSION: Final = "1.0.0"
MARKER_BYTES: Final = b'{"imageLayoutVersion":"1.0.0"}'
_CHUNK: Final = 1 << 20


class _Marker(msgspec.Struct, rename="camel"):
    image_layout_version: str


def check_marker(data: bytes, where: str) -> None:
    """Refuse a layout of a version that is not ours."""
    version = decode(data, _Marker, f"{MARKER} of {where}", limit=LIMIT).image_layout_version
    if version != VERSION:
        raise UnsupportedError(f"{where} is an OCI layout of version {version[:40]!r}; known is {VERSION}")


def blob_name(digest: Digest) -> str:
    """Where the content lies in a layout."""
    return f"blobs/{digest.algorithm}/{digest.encoded}"


class Layout:
    """A folder with `oci-layout`, `index.json` and `blobs/`; several processes may write to it at once."""

    def __init__(self, path: Path) -> None:
        """Open an existing layout; `NotFoundError` when there is none, `CorruptError` when it is broken."""
        self.path = path
        self._lock = threading.Lock()
        try:
            check_marker(_read_small(path / MARKER), str(path))
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(
                f"{path} is not an OCI layout: it has no file {MARKER}", code="layout-not-found"
            ) from None

    @classmethod
    def create(cls, path: Path) -> Self:
        """The layout at `path`, made there if there is none yet."""
        (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        if not (path / INDEX).exists():
            _replace(path / INDEX, encode(Index()))
        if not (path / MARKER).exists():
            _replace(path / MARKER, MARKER_BYTES)
        return cls(path)

    def writing(self) -> lock:
        """A lock for who pushes content and names it: no `replace` of others deletes it in between."""
        return lock(self.path / MARKER)

    def entries(self) -> tuple[Descriptor, ...]:
        """What `index.json` lists."""
        try:
            data = _read_small(self.path / INDEX)
        except FileNotFoundError:
            raise CorruptError(f"the OCI layout {self.path} has no {INDEX}") from None
        return decode(data, Index, f"{INDEX} of {self.path}", limit=LIMIT).manifests

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        try:
            return self._blob(descriptor).open("rb")
        except FileNotFoundError:
            raise NotFoundError(f"the OCI layout {self.path} has no content {descriptor.digest}") from None

    def has(self, descriptor: Descriptor) -> bool:
        """The content is present, as `Pusher` says."""
        return self._blob(descriptor).is_file()

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Take the content, as `Pusher` says."""
        target = self._blob(descriptor)
        if target.is_file():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(self.path / f".blob-{descriptor.digest.short}", target) as out:
            shutil.copyfileobj(VerifyingReader(stream, descriptor, owns=False), out, _CHUNK)

    def resolve(self, reference: Reference) -> Descriptor:
        """What the name stands for, as `Resolver` says."""
        return find(self.entries(), reference, f"the OCI layout {self.path}")

    def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Name the content in `index.json`, as `Tagger` says."""
        with self._locked():
            wanted = reference.tagged()
            kept = [entry for entry in self.entries() if name_of(entry) != wanted]
            _replace(self.path / INDEX, encode(Index((*kept, named(descriptor, wanted)))))

    def find(self, tag: str, digest: Digest | None = None) -> Descriptor:
        """What a tag alone stands for, whatever stands before it; what has the digest, if there is one."""
        for entry in self.entries():
            if entry.digest == digest or (digest is None and _tag_of(entry) == tag):
                return unnamed(entry)
        raise NotFoundError(f"the OCI layout {self.path} has nothing with the name {digest or tag}")

    def replace(self, tag: str, descriptor: Descriptor) -> None:
        """Let the tag alone stand for `descriptor`, and delete what only its last holder needed.

        Nobody may push to the layout meanwhile: hold `writing` from the first push on.
        """
        with self._locked():
            before = self.entries()
            entry = msgspec.structs.replace(unnamed(descriptor), annotations={Annotation.REF_NAME: tag})
            kept = [each for each in before if _tag_of(each) != tag]
            _replace(self.path / INDEX, encode(Index((*kept, entry))))
            left = [each for each in before if _tag_of(each) == tag]
            with suppress(TiffinError, OSError):  # a damaged layout keeps all that it has
                needed = {blob.digest for each in (*kept, entry) for blob in walk(self, each)}
                for blob in [blob for each in left for blob in walk(self, each)]:
                    if blob.digest not in needed:
                        self._blob(blob).unlink(missing_ok=True)

    def enter(self, descriptor: Descriptor) -> None:
        """List the content in `index.json` without a name, unless it is there already, with one or not."""
        with self._locked():
            entries = self.entries()
            if all(entry.digest != descriptor.digest for entry in entries):
                _replace(self.path / INDEX, encode(Index((*entries, unnamed(descriptor)))))

    def _blob(self, descriptor: Descriptor) -> Path:
        return self.path / blob_name(descriptor.digest)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of `index.json` at a time, of all threads and processes."""
        with self._lock:
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)


def _tag_of(entry: Descriptor) -> str:
    return entry.annotations.get(Annotation.REF_NAME, "")


def _read_small(path: Path) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(LIMIT + 1)
    if len(data) > LIMIT:
        raise CorruptError(f"{path} has more than {LIMIT} bytes")
    return data


def _replace(target: Path, data: bytes) -> None:
    with _replacing(target.with_name(f".{target.name}"), target) as out:
        out.write(data)


@contextmanager
def _replacing(beside: Path, target: Path) -> Iterator[BinaryIO]:
    """A file that becomes `target` when all went well, and nothing otherwise."""
    draft = beside.with_name(f"{beside.name}.{os.urandom(6).hex()}")
    try:
        with draft.open("xb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
        sync_directory(target.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
