"""What a build leaves: images in the store, under the names that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tiffin.build.emit import manifest
from tiffin.engine.buildrequest import BuildResult
from tiffin.oci import codec
from tiffin.oci.descriptor import MediaType
from tiffin.oci.manifest import Index
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.buildrequest import BuiltImage
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference


def store_image(engine: Engine, config: ImageConfig) -> tuple[Descriptor, Digest]:
    """Write config and manifest; return the manifest's descriptor and the image id."""
    described = engine.blobs.write(codec.encode(config), MediaType.OCI_CONFIG)
    layers = [layer_descriptor(engine.layers, diff_id) for diff_id in config.rootfs.diff_ids]
    written = engine.blobs.write(codec.encode(manifest(described, layers)), MediaType.OCI_MANIFEST)
    return written, described.digest


def name_result(
    engine: Engine, images: Sequence[BuiltImage], tags: Sequence[Reference], *, index: bool
) -> BuildResult:
    """Keep what was built, an index of all images if `index`, and give it its names."""
    image_id = _own(engine, images).image_id
    descriptor = _store_index(engine, images) if index else images[0].descriptor
    engine.layers.settle()
    engine.images.add(descriptor, image_id)
    for tag in tags:
        engine.tags.set(tag, descriptor)
    return BuildResult(descriptor.digest if index else image_id, descriptor, tuple(tags), tuple(images))


def _store_index(engine: Engine, images: Sequence[BuiltImage]) -> Descriptor:
    entries = [msgspec.structs.replace(image.descriptor, platform=image.platform) for image in images]
    return engine.blobs.write(codec.encode(Index(tuple(entries))), MediaType.OCI_INDEX)


def _own(engine: Engine, images: Sequence[BuiltImage]) -> BuiltImage:
    """The image that runs best here, else the first."""
    at = engine.platform.choose([image.platform for image in images])
    return images[at or 0]
