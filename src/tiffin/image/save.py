"""Write images as one archive that old Docker, new Docker and every OCI tool can read.

It is a tar of an OCI layout that also has Docker's `manifest.json`, whose paths point into the layout.
The same images and names give the same bytes.
"""

from __future__ import annotations

import io
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import msgspec

from tiffin.content.verify import VerifyingReader
from tiffin.content.walk import walk
from tiffin.image.archive import DOCKER_MANIFEST, DockerItem
from tiffin.image.layout import INDEX, MARKER, MARKER_BYTES, blob_name
from tiffin.image.mediatypes import oci_manifest
from tiffin.image.naming import named
from tiffin.oci.codec import encode
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.content.protocol import Fetcher
    from tiffin.image.view import Image
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference

_CHUNK: Final = 1 << 20
_RECORD: Final = 10_240  # a tar ends at a multiple of this


class Saved(NamedTuple):
    """An image to write, and the names that it shall have in the archive."""

    image: Image
    references: tuple[Reference, ...] = ()


class SavedGraph(NamedTuple):
    """All that `entry` refers to, an index perhaps, to write as it is; and its names in the archive.

    `image` is what Docker's `manifest.json`, which knows no index, says of it.
    """

    fetcher: Fetcher
    entry: Descriptor
    references: tuple[Reference, ...] = ()
    image: Image | None = None


class _Blob(NamedTuple):
    size: int
    open: Callable[[], BinaryIO]


def write_archive(out: BinaryIO, saved: Sequence[Saved | SavedGraph], *, docker: bool = True) -> None:
    """Write the images to `out`, each layer once; `docker=False` leaves `manifest.json` away.

    Manifests of images in Docker's words are written in OCI's, for a layout that all tools can read; configs,
    and with them the image ids, stay as they are. The layers are verified on their way:
    when this raises, what has been written is no archive.
    """
    blobs: dict[Digest, _Blob] = {}
    entries: dict[Descriptor, None] = {}
    items: dict[Digest, DockerItem] = {}
    for each in saved:
        tagged = sorted((name.tagged() for name in each.references if name.digest is None), key=str)
        entry = _collect(each.image, blobs) if isinstance(each, Saved) else _collect_graph(each, blobs)
        entries |= dict.fromkeys([named(entry, name) for name in tagged] or [entry])
        if each.image is not None:
            _add_item(items, each.image, tagged)
    writer = _Writer(out)
    writer.file(MARKER, _in_memory(MARKER_BYTES))
    writer.file(INDEX, _in_memory(encode(Index(tuple(entries)))))
    if docker:
        writer.file(DOCKER_MANIFEST, _in_memory(encode(list(items.values()))))
    for directory in ["blobs", *sorted({f"blobs/{digest.algorithm}" for digest in blobs})]:
        writer.directory(directory)
    for digest, blob in sorted(blobs.items()):
        writer.file(blob_name(digest), blob)
    writer.end()


def _collect(image: Image, blobs: dict[Digest, _Blob]) -> Descriptor:
    """Note the image's blobs; the entry of the index that points to it."""
    raw = image.raw_manifest
    if image.descriptor.media_type != MediaType.OCI_MANIFEST:
        raw = encode(oci_manifest(image.manifest))
    entry = Descriptor.of(raw, MediaType.OCI_MANIFEST)
    blobs[entry.digest] = _in_memory(raw)
    blobs[image.manifest.config.digest] = _in_memory(image.raw_config)
    for layer in image.layers:
        blobs.setdefault(layer.descriptor.digest, _Blob(layer.descriptor.size, layer.open))
    return msgspec.structs.replace(entry, platform=image.config.platform.normalised())


def _collect_graph(graph: SavedGraph, blobs: dict[Digest, _Blob]) -> Descriptor:
    """Note all that the entry refers to; the entry."""
    for found in walk(graph.fetcher, graph.entry):
        blobs.setdefault(found.digest, _Blob(found.size, partial(_open_verified, graph.fetcher, found)))
    return graph.entry


def _open_verified(fetcher: Fetcher, descriptor: Descriptor) -> BinaryIO:
    return VerifyingReader(fetcher.open(descriptor), descriptor)


def _add_item(items: dict[Digest, DockerItem], image: Image, tagged: list[Reference]) -> None:
    """Note the image for `manifest.json`, where one config is one image with all its names."""
    config = image.manifest.config.digest
    earlier = items[config].repo_tags if config in items else ()
    items[config] = DockerItem(
        blob_name(config),
        tuple(sorted({*earlier, *(name.familiar for name in tagged)})),
        tuple(blob_name(layer.descriptor.digest) for layer in image.layers),
    )


def _in_memory(data: bytes) -> _Blob:
    return _Blob(len(data), lambda: io.BytesIO(data))


class _Writer:
    """A tar in which nothing depends on when, where and by whom it is written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._written = 0

    def directory(self, name: str) -> None:
        from tarfile import DIRTYPE

        self._header(name, 0, 0o755, DIRTYPE)

    def file(self, name: str, blob: _Blob) -> None:
        from tarfile import REGTYPE

        self._header(name, blob.size, 0o644, REGTYPE)
        with closing(blob.open()) as stream:
            while data := stream.read(_CHUNK):
                self._write(data)
        self._write(bytes(-blob.size % 512))

    def end(self) -> None:
        self._write(bytes(1024))
        self._write(bytes(-self._written % _RECORD))
        self._out.flush()

    def _header(self, name: str, size: int, mode: int, kind: bytes) -> None:
        from tarfile import GNU_FORMAT, TarInfo

        info = TarInfo(name)
        info.size, info.mode, info.type = size, mode, kind
        self._write(info.tobuf(GNU_FORMAT))

    def _write(self, data: bytes) -> None:
        self._out.write(data)
        self._written += len(data)
