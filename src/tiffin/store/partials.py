"""Blobs on their way here: what has come of each is kept across processes, until all of it is there.

One file a blob, in `partial`: as long as the blob, with a table behind it that says how much of each piece
has come. Whoever holds the lock of the file fetches; others wait, and find the blob, or go on where that
process died. Nothing here is believed: the digest is taken over the whole before it counts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from tiffin.linux import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.store.home import Home

PIECE: Final = 8 << 20
STALE_SECONDS: Final = 24 * 3600
_COUNT: Final = struct.Struct("<Q")
_MARK: Final = b"tiffin partial 1"
_POLL: Final = 0.1


class Partial:
    """The blob `descriptor` as far as it is in the file `fd`, which is locked by who has it.

    Many threads may write, each piece one at a time.
    """

    def __init__(self, fd: int, descriptor: Descriptor) -> None:
        self.size = descriptor.size
        self.pieces = max(1, -(-descriptor.size // PIECE))
        self._fd = fd
        self.turn = 0
        """Which attempt counts: those who write for an earlier one are refused."""
        self._lock = threading.Lock()
        self._have = _table(fd, descriptor.size) or [0] * self.pieces
        self.received = sum(self._have)
        """How many bytes are here."""
        self.kept = self.received
        """How many were here at first."""

    @property
    def fd(self) -> int:
        """The open file."""
        return self._fd

    def start(self, piece: int) -> int:
        """Where the piece has to go on."""
        return piece * PIECE + self._have[piece]

    def stop(self, piece: int) -> int:
        """Where the piece ends."""
        return min((piece + 1) * PIECE, self.size)

    def frontier(self, piece: int) -> tuple[int, int]:
        """The first piece from this one on that is not whole, and up to where there are no gaps."""
        while piece < self.pieces and self.start(piece) == self.stop(piece):
            piece += 1
        return piece, self.size if piece == self.pieces else self.start(piece)

    def write(self, piece: int, data: bytes | memoryview, turn: int) -> None:
        """Append to what is here of the piece; OSError with EBADF once it was closed or cleared."""
        with self._lock:
            if self._fd < 0 or turn != self.turn:
                raise OSError(errno.EBADF, "the blob is not being fetched any more")
            self._write(data, self.start(piece))
            self._have[piece] += len(data)
            self.received += len(data)
            self._write(_COUNT.pack(self._have[piece]), self.size + len(_MARK) + piece * _COUNT.size)
            if self._have[piece] == PIECE:
                files.begin_writing(self._fd, piece * PIECE, PIECE)

    def read_into(self, view: memoryview, at: int) -> int:
        """Fill `view` with bytes from `at` on, which have to be here."""
        return os.preadv(self._fd, [view], at)

    def clear(self) -> None:
        """Forget all that has come."""
        with self._lock:
            os.ftruncate(self._fd, 0)
            self._have = [0] * self.pieces
            self.received = self.kept = 0
            self.turn += 1
            self._mark()

    def whole(self) -> None:
        """Make the file the blob and nothing else."""
        with self._lock:
            os.ftruncate(self._fd, self.size)

    def release(self) -> int:
        """Let nobody write any more; return the open file, whose lock is held until it is closed."""
        with self._lock:
            fd, self._fd = self._fd, -1
        return fd

    def prepare(self) -> None:
        """Make a new or unusable file one that can be gone on with."""
        if not self.kept:
            self.clear()

    def _mark(self) -> None:
        # Marked last: without the mark, the table is not believed.
        os.ftruncate(self._fd, self.size + len(_MARK) + self.pieces * _COUNT.size)
        self._write(_MARK, self.size)

    def _write(self, data: bytes | memoryview, at: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, at)
            view, at = view[count:], at + count


class Partials:
    """The partial blobs of a store."""

    def __init__(self, home: Home) -> None:
        self._folder = home.partial
        self._home = home

    @contextmanager
    def claim(self, descriptor: Descriptor, waiting: Callable[[int], None]) -> Iterator[Partial]:
        """Give the partial blob to this thread alone; `waiting` hears how far another has got meanwhile.

        What is not whole at the end stays for the next one, unless it is nothing.
        """
        path = self._path(descriptor.digest)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        partial = Partial(self._lock(path, descriptor, waiting), descriptor)
        try:
            if self._home.blob(descriptor.digest).exists():
                partial.clear()
            else:
                partial.prepare()
            yield partial
        finally:
            if not partial.received and _is(partial.fd, path):
                path.unlink(missing_ok=True)
            os.close(partial.release())

    def commit(self, partial: Partial, descriptor: Descriptor) -> None:
        """Make the blob, which was found to be right, one of the store; durably."""
        path = self._path(descriptor.digest)
        target = self._home.blob(descriptor.digest)
        os.fchmod(partial.fd, 0o644)
        os.fsync(partial.fd)  # with the table still: whoever dies in these long seconds loses nothing
        partial.whole()
        os.fsync(partial.fd)
        target.parent.mkdir(mode=0o700, exist_ok=True)
        path.replace(target)
        files.sync_directory(target.parent)

    def size(self, digest: Digest) -> int:
        """The bytes on the disk of what has come of the blob."""
        try:
            return self._path(digest).stat().st_blocks * 512
        except FileNotFoundError:
            return 0

    def sweep(self, seconds: float = STALE_SECONDS) -> list[int]:
        """Remove what nobody fetches and nobody went on with for so long; the bytes on the disk of each."""
        oldest = time.time() - seconds
        sizes = []
        for name in sorted(os.listdir(self._folder)) if self._folder.is_dir() else ():
            path = self._folder / name
            algorithm, _, encoded = name.partition("-")
            here = (self._home.blobs / algorithm / encoded).exists()
            with contextlib.suppress(FileNotFoundError, BlockingIOError), path.open("rb") as stream:
                status = os.fstat(stream.fileno())
                if here or status.st_mtime <= oldest:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _is(stream.fileno(), path):
                        path.unlink()
                        sizes.append(status.st_blocks * 512)
        return sizes

    def _path(self, digest: Digest) -> Path:
        return self._folder / f"{digest.algorithm}-{digest.encoded}"

    def _lock(self, path: os.PathLike[str], descriptor: Descriptor, waiting: Callable[[int], None]) -> int:
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                while not _try_lock(fd):
                    waiting(sum(_table(fd, descriptor.size) or ()))
                    time.sleep(_POLL)
                if _is(fd, path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # it became a blob, or was removed, while we waited: once more


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is(fd: int, path: os.PathLike[str]) -> bool:
    """Whether the path still names the open file."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    own = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


def _table(fd: int, size: int) -> list[int] | None:
    """How much of each piece there is, as the file says; None if it says nothing that can be."""
    pieces = max(1, -(-size // PIECE))
    if os.fstat(fd).st_size != size + len(_MARK) + pieces * _COUNT.size:
        return None
    data = os.pread(fd, len(_MARK) + pieces * _COUNT.size, size)
    if not data.startswith(_MARK) or len(data) != len(_MARK) + pieces * _COUNT.size:
        return None
    found = [_COUNT.unpack_from(data, len(_MARK) + piece * _COUNT.size)[0] for piece in range(pieces)]
    most = [min((piece + 1) * PIECE, size) - piece * PIECE for piece in range(pieces)]
    return found if all(have <= limit for have, limit in zip(found, most, strict=True)) else None
