"""What a build leaves: an image in the store, under the names that were asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.emit import manifest
from tiffin.oci import codec
from tiffin.oci.descriptor import MediaType
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import Digest


def store_image(engine: Engine, config: ImageConfig) -> tuple[Descriptor, Digest]:
    """Write config and manifest; return the manifest's descriptor and the image id."""
    described = engine.blobs.write(codec.encode(config), MediaType.OCI_CONFIG)
    layers = [layer_descriptor(engine.layers, diff_id) for diff_id in config.rootfs.diff_ids]
    written = engine.blobs.write(codec.encode(manifest(described, layers)), MediaType.OCI_MANIFEST)
    return written, described.digest
