"""Images in and out of archives: `save` and `load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Literal

from tiffin.engine.lookup import need_image
from tiffin.image.archive import open_archive
from tiffin.image.save import Saved, write_archive
from tiffin.image.view import open_image
from tiffin.snapshot.unpack import unpack_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.engine import Engine
    from tiffin.image.archive import Archive
    from tiffin.image.view import Image
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.reference import Reference


def save(
    engine: Engine, names: Sequence[str], out: BinaryIO, form: Literal["docker", "oci"] = "docker"
) -> None:
    """Write the images `names` to `out` as one tar; a name that is given is the name in the archive."""
    engine.enter()
    chosen: dict[Descriptor, list[Reference]] = {}
    for name in names:
        found = need_image(engine, name)
        own = chosen.setdefault(found.descriptor, [])
        if found.reference is not None:
            own.append(found.reference)
    saved = [
        Saved(open_image(engine.fetcher, descriptor, engine.platform), tuple(references))
        for descriptor, references in chosen.items()
    ]
    write_archive(out, saved, docker=form == "docker")


def load(engine: Engine, stream: BinaryIO) -> list[str]:
    """Take in all images of the archive that `stream` gives, and return their names, or ids without one.

    Nothing is named before all its layers are here and are what they claim to be.
    """
    engine.enter()
    loaded = []
    with engine.leases.hold("load") as lease, open_archive(stream) as archive:
        for entry in archive.images:
            image = open_image(archive, entry.descriptor, engine.platform)
            lease.add_all([("layer", diff_id) for diff_id in image.config.rootfs.diff_ids])
            lease.add_all([("blob", layer.digest) for layer in image.manifest.layers])
            descriptor = _store(engine, archive, image)
            for reference in entry.references:
                engine.tags.set(reference, descriptor)
            loaded += [reference.familiar for reference in entry.references] or [str(image.id)]
    return loaded


def _store(engine: Engine, archive: Archive, image: Image) -> Descriptor:
    """Unpack the layers, keep those blobs that cannot be made again, and store the documents."""
    unpack_image(archive, image.manifest, image.config, engine.layers)
    for layer in image.layers:
        if not (layer.descriptor.digest == layer.diff_id and engine.layers.is_canonical(layer.diff_id)):
            with layer.open() as stream:
                engine.blobs.push(layer.descriptor, stream)
    engine.blobs.write(image.raw_config, image.manifest.config.media_type)
    descriptor = engine.blobs.write(image.raw_manifest, image.descriptor.media_type)
    engine.images.add(descriptor, image.id)
    return descriptor
