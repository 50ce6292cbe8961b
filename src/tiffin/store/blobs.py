"""The content store: bytes by digest, checked on the way in, there wholly or not at all.

Any number of processes may write the same blob at once; a process that is
killed leaves a nameless remainder in the work directory, which gc removes.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tiffin.errors import CorruptError, NotFoundError
from tiffin.linux import files
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import HEX_LENGTHS, Digest

if TYPE_CHECKING:
    import hashlib
    from collections.abc import Iterator
    from pathlib import Path

    from tiffin.store.growing import Growing
    from tiffin.store.home import Home

INGEST_PREFIX = "ingest-"
_CHUNK = 1 << 20
_MUCH = 32 << 20  # bytes that the disk is given to write while more of them come
_ANY = "application/octet-stream"


class Readable(Protocol):
    """What can be read piece by piece: nothing is the end, None a mistake."""

    def read(self, size: int, /) -> bytes | None:
        """The next bytes."""
        ...


class BlobStore:
    """The blobs of `home`. Implements the protocols Fetcher and Pusher.

    What no tag, container or lease reaches may be collected at any time: take a
    lease, add the digest to it, then look whether the blob is here.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def path(self, digest: Digest) -> Path:
        """Where the blob lies, if it is here."""
        return self._home.blob(digest)

    def has(self, descriptor: Descriptor) -> bool:
        """Whether the content is here, in the size that the descriptor says."""
        return self.size(descriptor.digest) == descriptor.size

    def size(self, digest: Digest) -> int | None:
        """The size of the blob, or None if it is not here."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError:
            return None

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the blob; `NotFoundError`, or `CorruptError` if its size is not the descriptor's."""
        path = self.path(descriptor.digest)
        try:
            stream = path.open("rb", buffering=0)
        except FileNotFoundError:
            raise NotFoundError(
                f"the store has no content {descriptor.digest} ({descriptor.media_type})",
                code="blob-not-found",
                hint="pull, load or build the image again",
            ) from None
        size = os.fstat(stream.fileno()).st_size
        if size != descriptor.size:
            stream.close()
            raise CorruptError(
                f"the blob {path} has {size} bytes, and {descriptor.size} were expected",
                code="blob-size",
                hint="remove that file, then pull, load or build the image again",
            )
        return stream

    def read(self, descriptor: Descriptor) -> bytes:
        """The whole blob in memory, its digest checked: for manifests and configs."""
        with self.open(descriptor) as stream:
            data = b"".join(iter(lambda: stream.read(_CHUNK), b""))
        _check(descriptor, len(data), _digest_like(descriptor, data))
        return data

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Put content here; the stream is not read if it is here already."""
        if not self.has(descriptor):
            self.ingest(stream, descriptor)

    def ingest(
        self, stream: Readable, expected: Descriptor | None = None, growing: Growing | None = None
    ) -> Descriptor:
        """Store what `stream` gives, durably, and return its descriptor.

        With `expected` the content must have its size and digest (`CorruptError`, and
        nothing stays); reading stops at the first byte too much. Who reads `growing` has it meanwhile.
        """
        fd, path = self._begin()
        try:
            if growing is not None:
                growing.begin(fd)
            state = expected.digest.hasher() if expected else Digest.new_hash()
            limit = expected.size if expected else None
            size = _pour(stream, fd, state, limit, growing)
            digest = Digest.from_hash(state)
            if expected is not None:
                _check(expected, size, digest)
            if growing is not None:
                growing.whole()
            self._commit(fd, path, digest)
        except BaseException:
            if growing is not None:
                growing.give_up()
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return Descriptor(expected.media_type if expected else _ANY, digest, size)

    def write(self, data: bytes, media_type: str) -> Descriptor:
        """Store `data`, durably, and return its descriptor."""
        descriptor = Descriptor.of(data, media_type)
        if not self.has(descriptor):
            self.ingest(io.BytesIO(data), descriptor)
        return descriptor

    def verify(self, digest: Digest) -> None:
        """Read the whole blob, if it is here. Raises CorruptError if it is not what it is called."""
        state = digest.hasher()
        try:
            with self.path(digest).open("rb", buffering=0) as stream:
                while data := stream.read(_CHUNK):
                    state.update(data)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in files.DAMAGE:
                raise
            raise CorruptError(
                f"the blob {digest} cannot be read: {error.strerror}", code="blob-unreadable"
            ) from error
        if (found := Digest.from_hash(state)) != digest:
            raise CorruptError(
                f"the blob {digest} was changed on disk: its digest is {found.short} now", code="blob-digest"
            )

    def delete(self, digest: Digest) -> bool:
        """Delete the blob; whether it was here. Streams that are open go on reading."""
        try:
            self.path(digest).unlink()
        except FileNotFoundError:
            return False
        return True

    def all(self) -> Iterator[Digest]:
        """The digest of every blob, in no order."""
        for algorithm, length in HEX_LENGTHS.items():
            try:
                entries = os.scandir(self._home.blobs / algorithm)
            except FileNotFoundError:
                continue
            with entries:
                for entry in entries:
                    if len(entry.name) == length:
                        yield Digest(f"{algorithm}:{entry.name}")

    def _begin(self) -> tuple[int, Path]:
        """A new locked file in the work directory: as long as we live, gc lets it be."""
        while True:
            path = self._home.work / f"{INGEST_PREFIX}{os.urandom(8).hex()}"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.fstat(fd).st_nlink:
                    return fd, path
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # collected between open and lock: once more

    def _commit(self, fd: int, path: Path, digest: Digest) -> None:
        os.fchmod(fd, 0o644)
        os.fsync(fd)
        target = self.path(digest)
        try:
            path.replace(target)
        except FileNotFoundError:
            target.parent.mkdir(mode=0o700, exist_ok=True)
            path.replace(target)
        files.sync_directory(target.parent)


def _pour(stream: Readable, fd: int, state: hashlib._Hash, limit: int | None, growing: Growing | None) -> int:
    """Copy to the end of the stream, or to just beyond `limit`, and return the count."""
    size = begun = 0
    while limit is None or size <= limit:
        data = stream.read(_CHUNK)
        if data is None:
            raise BlockingIOError(errno.EAGAIN, "the stream to store does not block")
        if not data:
            break
        state.update(data)
        files.write_all(fd, data)
        size += len(data)
        if size - begun >= _MUCH:
            files.begin_writing(fd, begun, size - begun)
            begun = size
        if growing is not None:
            growing.grown(size)
    return size


def _digest_like(descriptor: Descriptor, data: bytes) -> Digest:
    state = descriptor.digest.hasher()
    state.update(data)
    return Digest.from_hash(state)


def _check(expected: Descriptor, size: int, digest: Digest) -> None:
    if size != expected.size:
        more = "more" if size > expected.size else f"only {size}"
        raise CorruptError(
            f"content {expected.digest} should have {expected.size} bytes and has {more}",
            code="blob-size",
            hint="it was cut off or altered on the way; get it again",
        )
    if digest != expected.digest:
        raise CorruptError(
            f"content {expected.digest} has in truth the digest {digest}",
            code="blob-digest",
            hint="it was altered on the way or at its source; get it again, and do not use this copy",
        )
