"""Images in and out of archives: `save` and `load`."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

from tiffin.content.verify import fetch_bytes
from tiffin.content.walk import walk
from tiffin.engine.lookup import is_whole, need_image, of_platform, open_best
from tiffin.engine.policyfile import admit_file
from tiffin.engine.room import foresee
from tiffin.errors import NotFoundError
from tiffin.image.archive import open_archive
from tiffin.image.platforms import open_platforms
from tiffin.image.save import Saved, SavedGraph, write_archive
from tiffin.image.view import open_image
from tiffin.snapshot.unpack import unpack_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine
    from tiffin.image.archive import Archive
    from tiffin.image.view import Image
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.platform import Platform
    from tiffin.oci.reference import Reference
    from tiffin.store.leases import Lease


PACKAGES: Final = "application/vnd.tiffin.base.packages.v1"
"""The type of the artifact that stands for the packages of a base in an archive."""


def save(
    engine: Engine,
    names: Sequence[str],
    out: BinaryIO,
    form: Literal["docker", "oci"] = "docker",
    platform: Platform | None = None,
) -> None:
    """Write the images `names` to `out` as one tar; a name that is given is the name in the archive.

    An index is written whole if all of it is here, else the image of it for this machine; or the image
    for `platform` alone.
    """
    engine.enter()
    chosen: dict[Descriptor, list[Reference]] = {}
    told = []
    for name in names:
        found = need_image(engine, name)
        told.append((found.image_id, name))
        root = found.descriptor if platform is None else of_platform(engine, found, platform)
        own = chosen.setdefault(root, [])
        if found.reference is not None:
            own.append(found.reference)
    images = [saved(engine, descriptor, tuple(references)) for descriptor, references in chosen.items()]
    _foresee(engine, out, images)
    write_archive(out, images, docker=form == "docker")
    for image_id, name in told:
        engine.happened("image", "save", image_id, name=name)


def load(engine: Engine, stream: BinaryIO) -> list[str]:
    """Take in all images of the archive that `stream` gives, and return their names, or ids without one.

    Nothing is named before all its layers are here and are what they claim to be. Raises DeniedError where
    the policy lets in nothing from archives.
    """
    engine.enter()
    admit_file(engine, "docker-archive", "")
    loaded = []
    with engine.leases.hold("load") as lease, open_archive(stream) as archive:
        for entry in archive.images:
            loading = _Loading(engine, lease, archive)
            if entry.descriptor.artifact_type == PACKAGES:
                loading.take_packages(entry.descriptor)
                continue
            descriptor, image_id = loading.take(entry.descriptor)
            engine.keep(descriptor, image_id, entry.references)
            names = [reference.familiar for reference in entry.references] or [str(image_id)]
            for name in names:
                engine.happened("image", "load", image_id, name=name)
            loaded += names
    return loaded


def saved(engine: Engine, descriptor: Descriptor, references: tuple[Reference, ...]) -> Saved | SavedGraph:
    """What an archive gets of an image: all of an index if all is here, else the one for this machine."""
    image = open_best(engine, descriptor)
    if descriptor.is_index and is_whole(engine, descriptor):
        return SavedGraph(engine.fetcher, descriptor.bare(), references, image)
    return Saved(image, references)


def _foresee(engine: Engine, out: BinaryIO, images: Sequence[Saved | SavedGraph]) -> None:
    """Look whether the disk has room for an archive that goes into a file."""
    place = getattr(out, "name", None)
    if isinstance(place, Path | str) and Path(place).is_file():
        layers = [layer.descriptor for each in images if each.image for layer in each.image.layers]
        sizes = {layer.digest: layer.size for layer in layers}
        foresee(engine, Path(place).absolute().parent, sum(sizes.values()), "the archive")


class _Loading:
    """An archive on its way into the store."""

    def __init__(self, engine: Engine, lease: Lease, archive: Archive) -> None:
        self._engine = engine
        self._lease = lease
        self._archive = archive

    def take(self, root: Descriptor) -> tuple[Descriptor, Digest]:
        """Store the image, or the index if the archive has all of it; how to find it, and the image id."""
        engine, archive = self._engine, self._archive
        try:
            found = open_platforms(archive, root) if root.is_index else None
            parts = [part for entry in found.attestations for part in walk(archive, entry)] if found else []
        except NotFoundError:  # Docker leaves out what it does not have itself
            found, parts = None, []
        if found is None or found.absent or not found.images:
            image = open_image(archive, root, engine.platform)
            return self._store(image), image.id
        for _, image in found.images:
            self._store(image)
        for part in parts:
            with closing(archive.open(part)) as stream:
                engine.blobs.push(part, stream)
        data = fetch_bytes(archive, root)
        own = engine.platform.choose([image.config.platform for _, image in found.images])
        return engine.blobs.write(data, root.media_type), found.images[own or 0].image.id

    def take_packages(self, root: Descriptor) -> None:
        """Store what a base was made from; its image keeps it."""
        for part in walk(self._archive, root):
            self._lease.add("blob", part.digest)
            with closing(self._archive.open(part)) as stream:
                self._engine.blobs.push(part, stream)

    def _store(self, image: Image) -> Descriptor:
        """Unpack the layers, keep those blobs that cannot be made again, and store the documents."""
        self._lease.add_all([("layer", diff_id) for diff_id in image.config.rootfs.diff_ids])
        self._lease.add_all([("blob", layer.digest) for layer in image.manifest.layers])
        engine, archive = self._engine, self._archive
        unpack_image(archive, image.manifest, image.config, engine.layers)
        for layer in image.layers:
            if not (layer.descriptor.digest == layer.diff_id and engine.layers.is_canonical(layer.diff_id)):
                with layer.open() as stream:
                    engine.blobs.push(layer.descriptor, stream)
        engine.blobs.write(image.raw_config, image.manifest.config.media_type)
        return engine.blobs.write(image.raw_manifest, image.descriptor.media_type)
