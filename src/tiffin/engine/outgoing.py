"""The parts of a push: an image as it is sent, and a sender that sends again what was cut off."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from tiffin.engine.packing import Packer, known_blob
from tiffin.errors import TiffinError, UnavailableError
from tiffin.image.view import open_image
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference
    from tiffin.registry.client import Repository

_ATTEMPTS: Final = 4
_TAGS: Final = 64


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

    def __init__(self, source: Fetcher, repository: Repository) -> None:
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
    packer = Packer(engine, repository)
    layers = tuple(packer.pack(layer.descriptor, layer.diff_id) for layer in image.layers)
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
            known = known_blob(engine, layer.diff_id) if digest == layer.diff_id else None
            found.setdefault(known.digest if known else digest, tag.reference.repository)
    return found
