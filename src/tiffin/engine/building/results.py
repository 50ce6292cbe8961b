"""What a build leaves: images in the store, under the names that were asked for, or what else was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tiffin.build.emit import manifest
from tiffin.engine.building.request import BuildResult
from tiffin.image.mediatypes import oci_descriptor
from tiffin.oci import codec
from tiffin.oci.descriptor import MediaType
from tiffin.oci.manifest import Index
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.engine.building.outputspec import Output
    from tiffin.engine.building.request import BuildRequest, BuiltImage
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest
    from tiffin.oci.reference import Reference
    from tiffin.store.leases import Lease


def store_image(engine: Engine, config: ImageConfig) -> tuple[Descriptor, Digest]:
    """Write config and manifest; return the manifest's descriptor and the image id."""
    described = engine.blobs.write(codec.encode(config), MediaType.OCI_CONFIG)
    layers = [oci_descriptor(layer_descriptor(engine.layers, each)) for each in config.rootfs.diff_ids]
    written = engine.blobs.write(codec.encode(manifest(described, layers)), MediaType.OCI_MANIFEST)
    return written, described.digest


def store_result(
    engine: Engine,
    images: Sequence[BuiltImage],
    tags: tuple[Reference, ...],
    attested: Sequence[Descriptor] = (),
    *,
    index: bool,
) -> BuildResult:
    """Write an index of all images, if `index` or if something is `attested`; nobody keeps it yet."""
    descriptor, image_id = images[0].descriptor, images[0].image_id
    if index or attested:
        entries = [msgspec.structs.replace(image.descriptor, platform=image.platform) for image in images]
        written = codec.encode(Index((*entries, *attested)))
        descriptor = engine.blobs.write(written, MediaType.OCI_INDEX)
        image_id = descriptor.digest
    return BuildResult(image_id, descriptor, tags, tuple(images))


def wanted_outputs(request: BuildRequest, tags: tuple[Reference, ...]) -> tuple[Output, ...]:
    """Return what is to be put out; none if the image only goes into the store, as it usually does.

    Raises InvalidError or UnsupportedError for what cannot be, before anything is built.
    """
    if not (request.outputs or request.annotations or request.push):
        return ()
    from tiffin.engine.building.outputcheck import Asked, read_outputs

    return read_outputs(Asked(request.outputs, request.annotations, tags, request.push, request.load))


def deliver(engine: Engine, lease: Lease, outputs: tuple[Output, ...], built: BuildResult) -> BuildResult:
    """Keep what was built under its names, or put it out as `outputs` want; return what came of it."""
    own_id = _own(engine, built.images).image_id
    if not outputs:
        engine.layers.settle()
        engine.keep(built.descriptor, own_id, built.tags)
        _tell(engine, built)
        return built
    from tiffin.engine.building.exports import Exportable, export

    descriptor, tags = export(engine, lease, outputs, Exportable(built.descriptor, own_id, built.tags))
    if descriptor is None:
        return built._replace(tags=(), kept=False)
    image_id = descriptor.digest if descriptor.is_index else built.image_id
    kept = built._replace(image_id=image_id, descriptor=descriptor, tags=tags)
    _tell(engine, kept)
    return kept


def _tell(engine: Engine, built: BuildResult) -> None:
    names = [tag.familiar for tag in built.tags]
    engine.happened("image", "create", str(built.image_id), name=str(built.image_id))
    for name in names:
        engine.happened("image", "tag", str(built.image_id), name=name)


def _own(engine: Engine, images: Sequence[BuiltImage]) -> BuiltImage:
    """The image that runs best here, else the first."""
    at = engine.platform.choose([image.platform for image in images])
    return images[at or 0]


def metadata(result: BuildResult) -> dict[str, Any]:
    """Return the document of `--metadata-file`, with buildx's keys; empty where only files came out."""
    if not result.kept:
        return {}
    document = {
        "containerimage.descriptor": msgspec.json.decode(codec.encode(result.descriptor)),
        "containerimage.digest": str(result.descriptor.digest),
    }
    if not result.descriptor.is_index:
        document["containerimage.config.digest"] = str(result.image_id)
    if result.tags:
        document["image.name"] = ",".join(str(reference) for reference in result.tags)
    return document
