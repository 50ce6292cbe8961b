"""The parts of a push: layers built here become compressed blobs, once; what was cut off is sent again."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from tiffin.errors import CorruptError, NotFoundError, TiffinError, UnavailableError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.image.view import open_image
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.reference import Reference
    from tiffin.registry.client import Repository

_ATTEMPTS: Final = 4
_TAGS: Final = 64
_GZIP: Final = {
    MediaType.OCI_LAYER: MediaType.OCI_LAYER_GZIP,
    MediaType.DOCKER_LAYER: MediaType.DOCKER_LAYER_GZIP,
}


class Outgoing:
    """A Fetcher of the image as it is sent: the store's content, and a manifest that was made for sending."""

    def __init__(self, engine: Engine, manifest: bytes, descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self._engine = engine
        self._manifest = manifest

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        if descriptor.digest == self.descriptor.digest:
            return io.BytesIO(self._manifest)
        return self._engine.fetcher.open(descriptor)


class Persistent:
    """A Pusher to a registry that sends a blob again when the connection was cut off."""

    def __init__(self, source: Outgoing, repository: Repository) -> None:
        self._source = source
        self._repository = repository

    def has(self, descriptor: Descriptor) -> bool:
        """The registry has the content."""
        return self._repository.has(descriptor)

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Send the content: first from `stream`, and from its source for another attempt."""
        for attempt in range(_ATTEMPTS):
            try:
                if attempt == 0:
                    self._repository.push(descriptor, stream)
                else:
                    with self._source.open(descriptor) as again:
                        self._repository.push(descriptor, again)
            except UnavailableError as error:
                if attempt == _ATTEMPTS - 1 or error.code not in ("cut-off", "registry-status", "in-pieces"):
                    raise
                if error.code != "in-pieces":
                    self._repository.pause(attempt)
            else:
                return


def prepare(engine: Engine, image: FetchedImage, repository: Repository) -> Outgoing:
    """The image with every plain layer compressed; byte for byte as it is, if there is none.

    A layer that was compressed before is not compressed again while the store or the registry has it.
    """
    layers = tuple(_compressed(engine, layer.descriptor, layer.diff_id, repository) for layer in image.layers)
    if layers == image.manifest.layers:
        return Outgoing(engine, image.raw_manifest, image.descriptor.bare())
    manifest = msgspec.structs.replace(image.manifest, layers=layers)
    data = codec.encode(manifest)
    return Outgoing(engine, data, Descriptor.of(data, manifest.media_type))


def mounts(engine: Engine, reference: Reference) -> dict[Digest, str]:
    """Blobs that other repositories of the same registry may have, going by the names in the store."""
    found: dict[Digest, str] = {}
    others = [
        tag
        for tag in engine.tags.all()
        if tag.reference.registry == reference.registry and tag.reference.repository != reference.repository
    ]
    for tag in others[:_TAGS]:
        try:
            image = open_image(engine.fetcher, tag.descriptor, engine.platform)
        except TiffinError:
            continue
        for layer in image.layers:
            digest = layer.descriptor.digest
            known = _known(engine, layer.diff_id) if digest == layer.diff_id else None
            found.setdefault(known.digest if known else digest, tag.reference.repository)
    return found


def _compressed(
    engine: Engine, descriptor: Descriptor, diff_id: DiffID, repository: Repository
) -> Descriptor:
    media_type = _GZIP.get(descriptor.media_type)
    if media_type is None:
        return descriptor
    known = _known(engine, diff_id)
    if known is not None:
        known = Descriptor(media_type, known.digest, known.size)
        if engine.blobs.has(known) or repository.has(known):
            return known
    return _compress(engine, descriptor, media_type, diff_id)


def _known(engine: Engine, diff_id: DiffID) -> Descriptor | None:
    """A gzip blob that unpacks to the layer, if one was recorded."""
    try:
        found = engine.layers.blob_of(diff_id)
    except NotFoundError:
        return None
    return found if found.media_type in _GZIP.values() else None


def _compress(engine: Engine, descriptor: Descriptor, media_type: str, diff_id: DiffID) -> Descriptor:
    from tiffin.layer.compress import compress

    begun, step = time.monotonic(), f"compress {descriptor.digest}"
    engine.emit(StepStarted(step, f"compress {descriptor.digest.short}"))
    try:
        with engine.fetcher.open(descriptor) as plain, compress(plain, "gzip") as packed:
            stored = engine.blobs.ingest(io.BufferedReader(packed, 1 << 20))
            _compare(diff_id, packed.diff_id)
    except BaseException:
        engine.emit(StepDone(step, "failed", time.monotonic() - begun))
        raise
    engine.emit(StepProgress(step, descriptor.size, descriptor.size))
    engine.emit(StepDone(step, "done", time.monotonic() - begun))
    found = Descriptor(media_type, stored.digest, stored.size)
    engine.layers.record_blob(found, diff_id)
    return found


def _compare(wanted: DiffID, found: DiffID) -> None:
    if found != wanted:
        raise CorruptError(
            f"the layer {wanted.short} was changed on disk: its tar is {found.short} now",
            code="layer-changed",
            hint="build the image again with --no-cache",
        )
