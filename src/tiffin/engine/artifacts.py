"""Artifacts of a registry that are no images, models above all: send files, fetch them, list them."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from tiffin.content.verify import read_manifest
from tiffin.engine.artifactfolder import ArtifactFolder
from tiffin.engine.policyfile import admit
from tiffin.engine.room import check_room
from tiffin.errors import InvalidError, NotFoundError
from tiffin.image.artifact import MODEL, Artifact, Part, check_paths, compose, described, parts_of
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import Index
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tiffin.engine.engine import Engine
    from tiffin.registry.client import Repository

_THREADS: Final = 4
_LEFT_OUT: Final = (".git", ".cache", "__pycache__")


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
        with ArtifactFolder(engine, folder, repository) as target, ThreadPoolExecutor(_THREADS) as pool:
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
            f"{reference.familiar} is a container image",
            code="not-an-artifact",
            hint="use 'tiffin pull', or 'tiffin artifact referrers' for what is about it",
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
