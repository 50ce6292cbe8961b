"""Descriptors: what points to content, and the media types it may have. Pure."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from tiffin.oci.digest import Digest
from tiffin.oci.platform import Platform

Size = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class MediaType:
    """The media types of OCI images and of Docker's schema 2."""

    OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
    OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
    OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
    OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
    OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
    OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
    OCI_FOREIGN_LAYER: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    OCI_FOREIGN_LAYER_GZIP: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    OCI_FOREIGN_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
    OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"
    DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
    DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
    DOCKER_MANIFEST_V1: Final = "application/vnd.docker.distribution.manifest.v1+json"
    DOCKER_MANIFEST_V1_SIGNED: Final = "application/vnd.docker.distribution.manifest.v1+prettyjws"
    DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
    DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
    DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    DOCKER_LAYER_ZSTD: Final = "application/vnd.docker.image.rootfs.diff.tar.zstd"
    DOCKER_FOREIGN_LAYER: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"
    DOCKER_FOREIGN_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


INDEXES: Final = frozenset({MediaType.OCI_INDEX, MediaType.DOCKER_INDEX})
MANIFESTS: Final = frozenset({MediaType.OCI_MANIFEST, MediaType.DOCKER_MANIFEST})
CONFIGS: Final = frozenset({MediaType.OCI_CONFIG, MediaType.DOCKER_CONFIG})
FOREIGN_LAYERS: Final = frozenset(
    {
        MediaType.OCI_FOREIGN_LAYER,
        MediaType.OCI_FOREIGN_LAYER_GZIP,
        MediaType.OCI_FOREIGN_LAYER_ZSTD,
        MediaType.DOCKER_FOREIGN_LAYER,
        MediaType.DOCKER_FOREIGN_LAYER_GZIP,
    }
)
LAYERS: Final = FOREIGN_LAYERS | {
    MediaType.OCI_LAYER,
    MediaType.OCI_LAYER_GZIP,
    MediaType.OCI_LAYER_ZSTD,
    MediaType.DOCKER_LAYER,
    MediaType.DOCKER_LAYER_GZIP,
    MediaType.DOCKER_LAYER_ZSTD,
}


class Annotation:
    """Annotation keys with a meaning that several tools share."""

    REF_NAME: Final = "org.opencontainers.image.ref.name"
    CREATED: Final = "org.opencontainers.image.created"
    BASE_NAME: Final = "org.opencontainers.image.base.name"
    BASE_DIGEST: Final = "org.opencontainers.image.base.digest"
    IMAGE_NAME: Final = "io.containerd.image.name"


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Media type, digest and size of some content, and what else is known about it."""

    media_type: str
    digest: Digest
    size: Size
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    artifact_type: str = ""
    urls: tuple[str, ...] = ()
    data: bytes | None = None

    def __hash__(self) -> int:
        """By what identifies the content: the rest may hold maps, which have no hash."""
        return hash((self.media_type, self.digest, self.size))

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Descriptor:
        """The descriptor of `data`."""
        return cls(media_type, Digest.of(data), len(data))

    def bare(self) -> Descriptor:
        """Only media type, digest and size: what identifies the content."""
        return Descriptor(self.media_type, self.digest, self.size)

    @property
    def is_index(self) -> bool:
        """It points to an index of images."""
        return self.media_type in INDEXES

    @property
    def is_manifest(self) -> bool:
        """It points to the manifest of one image."""
        return self.media_type in MANIFESTS

    @property
    def is_layer(self) -> bool:
        """It points to a layer's tar, compressed or not."""
        return self.media_type in LAYERS
