"""A folder that the files of an artifact come into: each is there wholly or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from tiffin.content.verify import VerifyingReader
from tiffin.engine.arriving import Arrival
from tiffin.errors import CorruptError, InvalidError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.linux.files import open_in_root
from tiffin.oci.digest import Digest
from tiffin.store.partials import Partial

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.image.artifact import Part
    from tiffin.oci.descriptor import Descriptor
    from tiffin.registry.client import Repository

__all__ = ["ArtifactFolder"]

_CHUNK: Final = 1 << 20
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class ArtifactFolder:
    """A folder that files of an artifact come into, by any number of threads."""

    def __init__(self, engine: Engine, folder: Path, repository: Repository) -> None:
        self._engine = engine
        self._folder = folder
        self._repository = repository
        self._root = os.open(folder, _DIRECTORY)
        self._unpacking = threading.Lock()  # what unpacks counts on being alone in the folder

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._root)

    def take(self, part: Part) -> None:
        """Fetch one file, or unpack one archive, unless it is there."""
        step, begun = str(part.descriptor.digest), time.monotonic()
        self._engine.emit(StepStarted(step, part.path))
        try:
            fetched = self._unpack(part) if part.is_archive else self._fetch(part)
        except BaseException:
            self._engine.emit(StepDone(step, "failed", time.monotonic() - begun))
            raise
        self._engine.emit(StepDone(step, "done" if fetched else "cached", time.monotonic() - begun))

    def _unpack(self, part: Part) -> bool:
        """Unpack an archive, once all of it is here and is what its digest says."""
        from tiffin.layer.compress import decompress
        from tiffin.layer.existing import apply_to_existing
        from tiffin.layer.owners import NoOwners

        draft, before = _draft("", part), os.fstat(self._root)
        fd = _lock_draft(self._root, draft)
        try:
            self._fill(fd, part)
            os.lseek(fd, 0, os.SEEK_SET)
            with open(fd, "rb", closefd=False) as stored, self._unpacking, decompress(stored) as plain:
                apply_to_existing(plain, self._folder, NoOwners())
            os.unlink(draft, dir_fd=self._root)
            os.utime(self._root, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if it had never been there
        except CorruptError:
            os.unlink(draft, dir_fd=self._root)
            raise
        finally:
            os.close(fd)
        return True

    def _fetch(self, part: Part) -> bool:
        folder, _, name = part.path.rpartition("/")
        parent = self._open_folder(folder)
        try:
            if _has(parent, name, part.descriptor):
                return False
            draft = _draft(name, part)
            fd = _lock_draft(parent, draft)
            try:
                if _has(parent, name, part.descriptor):  # another process was faster
                    os.unlink(draft, dir_fd=parent)
                    return False
                self._fill(fd, part)
                os.fsync(fd)
                os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
                os.fsync(parent)
            except CorruptError:
                os.unlink(draft, dir_fd=parent)
                raise
            finally:
                os.close(fd)
        finally:
            os.close(parent)
        return True

    def _fill(self, fd: int, part: Part) -> None:
        """Fetch what the draft lacks; all of it has to be what its digest says.

        After a power cut a draft may have holes where it was not on the disk yet: then all of it comes anew.
        """
        partial = Partial(fd, part.descriptor)
        try:
            partial.prepare()
            try:
                self._complete(partial, part.descriptor)
            except CorruptError:
                if not partial.kept:
                    raise
                partial.clear()
                self._complete(partial, part.descriptor)
            partial.whole()
        except CorruptError as error:
            raise CorruptError(
                f"{part.path} is not what its digest says: {error.message}",
                code="blob-digest",
                hint="fetch it again; if that does not help, it was damaged where it was made",
            ) from error
        finally:
            partial.release()

    def _complete(self, partial: Partial, descriptor: Descriptor) -> None:
        step = str(descriptor.digest)

        def told(received: int) -> None:
            self._engine.emit(StepProgress(step, received, descriptor.size))

        with (
            Arrival(self._repository, descriptor, partial, told) as arrival,
            VerifyingReader(arrival.stream(), descriptor) as stream,
        ):
            while stream.read(_CHUNK):
                pass

    def _open_folder(self, path: str) -> int:
        """Open, and make, the folder; no link on the way is followed."""
        at = os.dup(self._root)
        for name in filter(None, path.split("/")):
            try:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=at)
                inner = open_in_root(at, name, _DIRECTORY, links=False)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                raise InvalidError(
                    f"{self._folder} has something at {path} that is no folder", code="output-in-the-way"
                ) from error
            finally:
                os.close(at)
            at = inner
        return at


def _draft(name: str, part: Part) -> str:
    """What a file is called until all of it is here."""
    return f".tiffin-{Digest.of(os.fsencode(name)).short}-{part.descriptor.digest.encoded[:32]}"


def _lock_draft(parent: int, draft: str) -> int:
    """Open the draft, made if need be, as the only one; it may hold the beginning that a process left."""
    while True:
        fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.fstat(fd).st_ino == os.stat(draft, dir_fd=parent, follow_symlinks=False).st_ino:
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # it got its name while we waited


def _has(parent: int, name: str, descriptor: Descriptor) -> bool:
    """Whether the file is there and is the right one."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            return False  # a link is replaced, and not followed
        raise
    with os.fdopen(fd, "rb") as stream:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size != descriptor.size:
            return False
        return Digest.from_hash(hashlib.file_digest(stream, descriptor.digest.hasher)) == descriptor.digest
