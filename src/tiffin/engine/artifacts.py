"""Artifacts of a registry that are no images, models above all: send files, fetch them, list them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import stat
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple, Self

from tiffin.content.verify import read_manifest
from tiffin.engine.policyfile import admit
from tiffin.engine.room import check_room
from tiffin.errors import CorruptError, InvalidError, NotFoundError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.image.artifact import MODEL, Artifact, Part, check_paths, compose, described, parts_of
from tiffin.linux.files import open_in_root, write_all
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import Index
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.engine.engine import Engine
    from tiffin.registry.client import Repository

_THREADS: Final = 4
_CHUNK: Final = 1 << 20
_LEFT_OUT: Final = (".git", ".cache", "__pycache__")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Listed(NamedTuple):
    """What an artifact is: its manifest, its type, and its files."""

    descriptor: Descriptor
    artifact_type: str
    parts: tuple[Part, ...]


def push_artifact(
    engine: Engine,
    name: str,
    paths: Sequence[Path],
    *,
    artifact_type: str = MODEL,
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Send the files, and all files of the folders, under `name`; return the descriptor of the manifest.

    Nothing is packed: each file is one layer, and what the registry has is not sent again.
    Raises NotFoundError, InvalidError for two files of one name, and what registries raise.
    """
    reference = _tagged(name)
    with engine.registries() as registries:
        repository = registries.to_push(reference)
        sent = send_files(engine, repository, paths, artifact_type, annotations or {})
        repository.tag(reference, sent)
    return sent


def send_files(
    engine: Engine,
    repository: Repository,
    paths: Sequence[Path],
    artifact_type: str,
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
) -> Descriptor:
    """Send the files as an artifact without a tag, about `subject` if there is one; return its descriptor."""
    from tiffin.engine.sending import deliver

    files = list(_gathered(paths))
    if not files:
        raise NotFoundError("there are no files to send", code="no-such-file")
    check_paths([path for path, _ in files])
    layers = _hashed(files, artifact_type)
    artifact = compose(layers, repository.name.rpartition("/")[2], artifact_type, annotations, subject)
    places = {layer.digest: place for layer, (_, place) in zip(layers, files, strict=True)}
    deliver(engine, _Files(places, artifact), artifact.descriptor, repository)
    return artifact.descriptor


def list_artifact(engine: Engine, name: str) -> Listed:
    """Return what the artifact `name` holds. Raises NotFoundError, and InvalidError for an image."""
    reference = _tagged(name)
    with engine.registries() as registries:
        return _listed(registries.to_pull(reference), reference)


def pull_artifact(engine: Engine, name: str, folder: Path) -> Listed:
    """Fetch the files of the artifact into the folder; each is there wholly or not at all, but archives.

    What is there already is not fetched again, and what a killed process had fetched goes on. Raises
    NotFoundError, DeniedError where the policy does not let it in, InvalidError for an image and for paths
    that lead elsewhere, CorruptError for content that is not what it is called, FailedError where the disk
    has no room.
    """
    from concurrent.futures import ThreadPoolExecutor

    reference = _tagged(name)
    with engine.registries() as registries:
        repository = registries.to_pull(reference)
        listed = _listed(repository, reference)
        admit(engine, reference, [listed.descriptor.digest], registries)
        folder.mkdir(parents=True, exist_ok=True)
        _check_room(folder, listed.parts)
        with _Target(engine, folder, repository) as target, ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(target.take, listed.parts):
                pass
    return listed


def _tagged(name: str) -> Reference:
    return Reference.parse(name).tagged()


def _listed(repository: Repository, reference: Reference) -> Listed:
    root = repository.resolve(reference)
    manifest = read_manifest(repository, root)
    if isinstance(manifest, Index) or manifest.config.media_type in CONFIGS:
        raise InvalidError(
            f"{reference.familiar} is a container image", code="not-an-artifact", hint="use 'tiffin pull'"
        )
    kind = manifest.artifact_type or manifest.config.media_type
    return Listed(root, kind, parts_of(manifest))


def _gathered(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The files by their paths in the artifact: the own name, or the path below a folder that was given."""
    for path in paths:
        if path.is_dir():
            for place, folders, names in os.walk(path):
                folders[:] = sorted(set(folders) - set(_LEFT_OUT))
                for name in sorted(names):
                    file = Path(place) / name
                    if not stat.S_ISREG(file.stat().st_mode):
                        raise InvalidError(f"{file} is no file", hint="leave it out of the folder")
                    yield file.relative_to(path).as_posix(), file
        elif path.is_file():
            yield path.name, path
        else:
            raise NotFoundError(f"there is no file {path}", code="no-such-file")


def _hashed(files: Sequence[tuple[str, Path]], artifact_type: str) -> list[Descriptor]:
    from concurrent.futures import ThreadPoolExecutor

    def describe(item: tuple[str, Path]) -> Descriptor:
        with item[1].open("rb") as stream:
            digest = Digest.from_hash(hashlib.file_digest(stream, "sha256"))
            return described(item[0], digest, stream.tell(), artifact_type)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(describe, files))


class _Files:
    """A Fetcher of files where they lie, and of the documents about them."""

    def __init__(self, files: Mapping[Digest, Path], artifact: Artifact) -> None:
        self._files = files
        self._documents = {
            artifact.config_descriptor.digest: artifact.config,
            artifact.descriptor.digest: artifact.manifest,
        }

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        document = self._documents.get(descriptor.digest)
        return self._files[descriptor.digest].open("rb") if document is None else io.BytesIO(document)


def _check_room(folder: Path, parts: Sequence[Part]) -> None:
    wanted = sum(part.descriptor.size for part in parts)
    here = sum((folder / part.path).stat().st_size for part in parts if (folder / part.path).is_file())
    check_room(folder, wanted - here, "the artifact", "make room, or choose another folder with -o")


class _Target:
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
        from tiffin.content.verify import VerifyingReader
        from tiffin.layer.compress import decompress
        from tiffin.layer.existing import apply_to_existing
        from tiffin.layer.owners import NoOwners

        with VerifyingReader(self._repository.open(part.descriptor), part.descriptor) as stored:
            with self._unpacking, decompress(stored) as plain:
                apply_to_existing(plain, self._folder, NoOwners())
            while stored.read(_CHUNK):
                pass
        return True

    def _fetch(self, part: Part) -> bool:
        folder, _, name = part.path.rpartition("/")
        parent = self._open_folder(folder)
        try:
            if _has(parent, name, part.descriptor):
                return False
            draft = f".tiffin-{Digest.of(os.fsencode(name)).short}-{part.descriptor.digest.encoded[:32]}"
            fd = _lock_draft(parent, draft)
            try:
                if _has(parent, name, part.descriptor):  # another process was faster
                    os.unlink(draft, dir_fd=parent)
                    return False
                self._fill(fd, part)
                os.fsync(fd)
                os.rename(draft, name, src_dir_fd=parent, dst_dir_fd=parent)
            except CorruptError:
                os.unlink(draft, dir_fd=parent)
                raise
            finally:
                os.close(fd)
        finally:
            os.close(parent)
        return True

    def _fill(self, fd: int, part: Part) -> None:
        """Fetch what the draft lacks; all of it has to be what its digest says."""
        descriptor = part.descriptor
        state, at = descriptor.digest.hasher(), 0
        while data := os.read(fd, _CHUNK):
            state.update(data)
            at += len(data)
        if at < descriptor.size:
            with self._repository.open_at(descriptor, at) as stream:
                while at <= descriptor.size and (data := stream.read(_CHUNK)):
                    state.update(data)
                    write_all(fd, data)
                    at += len(data)
                    self._engine.emit(StepProgress(str(descriptor.digest), at, descriptor.size))
        if at != descriptor.size or Digest.from_hash(state) != descriptor.digest:
            raise CorruptError(
                f"{part.path} is not what its digest says: it has {at} bytes of {descriptor.size}, or others",
                code="blob-digest",
                hint="fetch it again; if that does not help, it was damaged where it was made",
            )

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
