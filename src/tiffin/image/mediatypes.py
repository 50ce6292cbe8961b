"""Images in Docker's words and in OCI's: the same bytes under other media types. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tiffin.oci.descriptor import MediaType
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from tiffin.oci.descriptor import Descriptor

_OCI_NAMES: Final = {
    MediaType.DOCKER_MANIFEST: MediaType.OCI_MANIFEST,
    MediaType.DOCKER_CONFIG: MediaType.OCI_CONFIG,
    MediaType.DOCKER_LAYER: MediaType.OCI_LAYER,
    MediaType.DOCKER_LAYER_GZIP: MediaType.OCI_LAYER_GZIP,
    MediaType.DOCKER_LAYER_ZSTD: MediaType.OCI_LAYER_ZSTD,
    MediaType.DOCKER_FOREIGN_LAYER: MediaType.OCI_FOREIGN_LAYER,
    MediaType.DOCKER_FOREIGN_LAYER_GZIP: MediaType.OCI_FOREIGN_LAYER_GZIP,
}

_DOCKER_NAMES: Final = {oci: docker for docker, oci in _OCI_NAMES.items()}


def oci_descriptor(descriptor: Descriptor) -> Descriptor:
    """The same content under OCI's media type, where Docker has one of its own."""
    return msgspec.structs.replace(
        descriptor, media_type=_OCI_NAMES.get(descriptor.media_type, descriptor.media_type)
    )


def oci_manifest(manifest: Manifest) -> Manifest:
    """The same image in OCI's words; an OCI manifest comes back as it is."""
    return msgspec.structs.replace(
        manifest,
        media_type=_OCI_NAMES.get(manifest.media_type, manifest.media_type),
        config=oci_descriptor(manifest.config),
        layers=tuple(oci_descriptor(layer) for layer in manifest.layers),
    )


def docker_manifest(manifest: Manifest) -> Manifest:
    """The same image in Docker's words, which know no annotations: they are left away."""

    def renamed(descriptor: Descriptor) -> Descriptor:
        media_type = _DOCKER_NAMES.get(descriptor.media_type, descriptor.media_type)
        return msgspec.structs.replace(descriptor, media_type=media_type, annotations={})

    return Manifest(
        config=renamed(manifest.config),
        layers=tuple(renamed(layer) for layer in manifest.layers),
        media_type=_DOCKER_NAMES.get(manifest.media_type, manifest.media_type),
    )
