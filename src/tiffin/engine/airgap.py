"""All images of a store in one archive, with what bases were made from, for machines without a network.

The archive is an OCI layout as a tar, which every tool can read; the packages of bases stand in it as
artifacts beside the images. `load` takes all of it in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from tiffin.engine import archives
from tiffin.engine.collection import BASE_LOCK, locked
from tiffin.engine.images import open_whole
from tiffin.engine.lookup import need_image
from tiffin.engine.outgoing import Outgoing
from tiffin.image.save import Saved, SavedGraph, write_archive
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference

_ANY: Final = "application/octet-stream"


def export_all(engine: Engine, names: Sequence[str], out: BinaryIO) -> int:
    """Write the images, all if none is named, and the packages of bases among them; return how many images.

    Raises NotFoundError for a name that does not exist. What is damaged is left out of all, as of lists.
    """
    engine.enter()
    chosen: dict[Descriptor, list[Reference]] = {}
    if names:
        for name in names:
            found = need_image(engine, name)
            chosen.setdefault(found.descriptor, []).extend([found.reference] if found.reference else [])
    else:
        chosen = {image.descriptor: [] for image in engine.images.all() if open_whole(engine, image)}
        for tag in engine.tags.all():
            if tag.descriptor in chosen:
                chosen[tag.descriptor].append(tag.reference)
    images = [
        archives.saved(engine, descriptor, tuple(references)) for descriptor, references in chosen.items()
    ]
    packages = {made.entry.digest: made for each in images if (made := _packages(engine, each))}
    write_archive(out, [*images, *packages.values()], docker=False)
    return len(images)


def _packages(engine: Engine, saved: Saved | SavedGraph) -> SavedGraph | None:
    """What the base in question was made from, as an artifact; None for all other images."""
    if saved.image is None:
        return None
    label = saved.image.config.config.labels.get(BASE_LOCK, "")
    parts = [_described(engine, digest) for digest in locked(engine, label)]
    layers = tuple(part for part in parts if part is not None)
    if not layers:
        return None
    config = Descriptor.of(b"{}", MediaType.OCI_EMPTY)
    data = codec.encode(Manifest(config, layers, artifact_type=archives.PACKAGES))
    entry = msgspec.structs.replace(
        Descriptor.of(data, MediaType.OCI_MANIFEST), artifact_type=archives.PACKAGES
    )
    return SavedGraph(Outgoing(engine.fetcher, {config.digest: b"{}", entry.digest: data}, entry), entry)


def _described(engine: Engine, digest: Digest) -> Descriptor | None:
    size = engine.blobs.size(digest)
    return None if size is None else Descriptor(_ANY, digest, size)
