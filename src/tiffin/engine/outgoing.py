"""An image as it leaves the store, for an archive or a registry: its documents in the form that is wanted."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from tiffin.content.verify import read_manifest
from tiffin.engine.annotations import check_annotations, chosen
from tiffin.engine.packing import Compression, Form, Packer
from tiffin.image.attestation import follow
from tiffin.image.mediatypes import docker_manifest, oci_manifest
from tiffin.image.platforms import is_attestation, open_platforms
from tiffin.image.view import open_image
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeVar

    from tiffin.content.protocol import Fetcher, Pusher
    from tiffin.engine.ahead import Ahead
    from tiffin.engine.engine import Engine
    from tiffin.engine.splitting import Splitter
    from tiffin.image.view import FetchedImage
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.manifest import Manifest

    _Annotable = TypeVar("_Annotable", Descriptor, Manifest, Index)

GZIP: Final = Form(Compression())
"""What a registry gets, unless something else is asked for."""


class Outgoing:
    """A Fetcher of an image as it leaves: what `fetcher` gives, and the documents that were made anew.

    `descriptor` is the manifest, or the index; with annotations, if some were asked for.
    """

    def __init__(self, fetcher: Fetcher, documents: Mapping[Digest, bytes], descriptor: Descriptor) -> None:
        self.descriptor = descriptor
        self.documents = documents
        self._fetcher = fetcher

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        made = self.documents.get(descriptor.digest)
        return self._fetcher.open(descriptor) if made is None else io.BytesIO(made)


def prepare(
    engine: Engine,
    root: Descriptor,
    form: Form,
    sink: Pusher | None = None,
    splitter: Splitter | None = None,
) -> Outgoing:
    """Return the image, or the index of images, in `form`; byte for byte as it is, if that changes nothing.

    What `sink` has is not packed for it again; with `splitter` big layers become several.
    Raises InvalidError for annotations that have no place in it.
    """
    with _ahead(engine, sink) as ahead:
        shaper = _Shaper(engine, form, sink, splitter, ahead)
        if root.is_index:
            descriptor = shaper.index(root)
        else:
            image = open_image(engine.fetcher, root)
            check_annotations(form.annotations, [image.config.platform], index=False)
            descriptor = shaper.image(root.bare(), image)
    return Outgoing(engine.fetcher, shaper.documents, descriptor)


@contextlib.contextmanager
def _ahead(engine: Engine, sink: Pusher | None) -> Iterator[Ahead | None]:
    """What sends layers while they are compressed, if a registry is to have them."""
    if sink is None:
        yield None
        return
    from tiffin.engine.ahead import Ahead
    from tiffin.registry.client import Repository

    if not isinstance(sink, Repository):
        yield None
        return
    ahead = Ahead(sink, engine.emit)
    try:
        yield ahead
    except BaseException:
        ahead.close(whole=False)
        raise
    ahead.close()


class _Shaper:
    """Documents in another form, and what they are now."""

    def __init__(
        self,
        engine: Engine,
        form: Form,
        sink: Pusher | None,
        splitter: Splitter | None,
        ahead: Ahead | None,
    ) -> None:
        self._engine = engine
        self._form = form
        self._splitter = splitter
        packing = form.compression
        self._packer = None if packing is None else Packer(engine, sink or engine.blobs, packing, ahead)
        self.documents: dict[Digest, bytes] = {}

    def image(self, entry: Descriptor, image: FetchedImage) -> Descriptor:
        """Return `entry`, which points to the manifest of `image`, as one that points to the new one."""
        form, platform = self._form, image.config.platform.normalised()
        manifest, diff_ids = self._split(image)
        if self._packer is not None:
            layers = tuple(map(self._packer.pack, manifest.layers, diff_ids))
            manifest = msgspec.structs.replace(manifest, layers=layers)
        manifest = _annotated(manifest, chosen(form.annotations, "manifest", platform))
        if form.docker:
            manifest = docker_manifest(manifest)
        elif form.annotations or (form.compression and form.compression.kind == "zstd"):
            manifest = oci_manifest(manifest)  # Docker's words have neither
        if manifest != image.manifest:
            entry = self._point(entry, codec.encode(manifest), manifest.media_type)
        return _annotated(entry, chosen(form.annotations, "manifest-descriptor", platform))

    def _split(self, image: FetchedImage) -> tuple[Manifest, tuple[DiffID, ...]]:
        """The manifest, and the layers that it has once big ones are split."""
        whole = image.config.rootfs.diff_ids
        if self._splitter is None or (config := self._splitter.split(image.config)) == image.config:
            return image.manifest, whole
        data, known = codec.encode(config), dict(zip(whole, image.manifest.layers, strict=True))
        described = Descriptor.of(data, image.manifest.config.media_type)
        self.documents[described.digest] = data
        diff_ids = config.rootfs.diff_ids
        layers = tuple(known.get(each) or layer_descriptor(self._engine.layers, each) for each in diff_ids)
        return oci_manifest(
            msgspec.structs.replace(image.manifest, config=described, layers=layers)
        ), diff_ids

    def index(self, root: Descriptor) -> Descriptor:
        """The same of an index, with all images that it holds."""
        index = read_manifest(self._engine.fetcher, root)
        assert isinstance(index, Index)
        found = open_platforms(self._engine.fetcher, root)
        images = {entry.digest: image for entry, image in found.images}
        annotations = self._form.annotations
        check_annotations(annotations, [each.config.platform for each in images.values()], index=True)
        entries = [
            self.image(entry, images[entry.digest]) if entry.digest in images else entry
            for entry in index.manifests
        ]
        moved = {
            old.digest: new for old, new in zip(index.manifests, entries, strict=True) if old.digest in images
        }
        made = msgspec.structs.replace(index, manifests=tuple(self._follow(each, moved) for each in entries))
        if self._form.docker:
            made = msgspec.structs.replace(made, media_type=MediaType.DOCKER_INDEX)
        made = _annotated(made, chosen(annotations, "index"))
        if made != index:
            root = self._point(root.bare(), codec.encode(made), made.media_type)
        return _annotated(root, chosen(annotations, "index-descriptor"))

    def _follow(self, entry: Descriptor, moved: Mapping[Digest, Descriptor]) -> Descriptor:
        """Return an entry with attestations as it speaks of the new manifest."""
        if not is_attestation(entry):
            return entry
        entry, documents = follow(self._engine.fetcher, entry, moved)
        self.documents |= documents
        return entry

    def _point(self, entry: Descriptor, data: bytes, media_type: str) -> Descriptor:
        found = Descriptor.of(data, media_type)
        self.documents[found.digest] = data
        return msgspec.structs.replace(
            entry, media_type=media_type, digest=found.digest, size=found.size, data=None
        )


def _annotated(value: _Annotable, annotations: Mapping[str, str]) -> _Annotable:
    """The document or descriptor with more annotations."""
    if not annotations:
        return value
    return msgspec.structs.replace(value, annotations={**value.annotations, **annotations})
