"""Manifests and indexes, and how to tell them apart. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from tiffin.errors import CorruptError, NotFoundError, UnsupportedError
from tiffin.oci.codec import decode
from tiffin.oci.descriptor import INDEXES, MANIFESTS, Descriptor, MediaType

if TYPE_CHECKING:
    from tiffin.oci.platform import Platform

LIMIT: Final = 4 << 20  # what registries accept (distribution-spec, "Pushing Manifests")

Version = Annotated[Literal[2], "the only version of these documents"]


def _version() -> Literal[2]:
    return 2


def _nothing() -> tuple[Descriptor, ...]:
    return ()


# A default that comes from a factory is always written out; other defaults are left out.
class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image for one platform: its config and its layers, the lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...] = msgspec.field(default_factory=_nothing)
    annotations: dict[str, str] = {}
    subject: Descriptor | None = None
    artifact_type: str = ""
    media_type: str = msgspec.field(default_factory=lambda: MediaType.OCI_MANIFEST)
    schema_version: Version = msgspec.field(default_factory=_version)


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Several manifests: one image for many platforms, or the entries of a layout."""

    manifests: tuple[Descriptor, ...] = msgspec.field(default_factory=_nothing)
    annotations: dict[str, str] = {}
    subject: Descriptor | None = None
    artifact_type: str = ""
    media_type: str = msgspec.field(default_factory=lambda: MediaType.OCI_INDEX)
    schema_version: Version = msgspec.field(default_factory=_version)

    def select(self, platform: Platform, what: str = "the image") -> Descriptor:
        """The entry that a machine of `platform` runs best; `NotFoundError` lists what there is instead."""
        images = [entry for entry in self.manifests if entry.media_type in MANIFESTS | INDEXES]
        at = platform.choose([entry.platform for entry in images])
        if at is None:
            offered = sorted(
                {str(entry.platform) for entry in images if entry.platform is not None} - {_UNKNOWN}
            )
            raise NotFoundError(
                f"{what} is not made for {platform}",
                code="no-such-platform",
                hint=f"it is made for {', '.join(offered)}" if offered else "it holds no image at all",
            )
        return images[at]


_UNKNOWN: Final = "unknown/unknown"  # entries that hold attestations, not images


class _Shape(msgspec.Struct, rename="camel"):
    media_type: str = ""
    schema_version: int = 2
    layers: Any = None
    manifests: Any = None
    fs_layers: Any = None


def parse_manifest(data: bytes, media_type: str, what: str) -> Manifest | Index:
    """The manifest or index in `data`, which the descriptor says is of `media_type`.

    A document that could be read as both, or that contradicts its descriptor, is refused: two
    readers would see two images under one digest. An empty `media_type` lets the document speak.
    """
    shape = decode(data, _Shape, what, limit=LIMIT)
    if shape.schema_version == 1 or shape.fs_layers is not None:
        raise UnsupportedError(
            f"{what} is in Docker's old image format (schema 1)",
            code="manifest-schema-1",
            hint="build or push the image again with a current tool",
        )
    if shape.layers is not None and shape.manifests is not None:
        raise CorruptError(f"{what} has both layers and manifests, so it could be read as two things")
    if media_type and shape.media_type and shape.media_type != media_type:
        raise CorruptError(f"{what} calls itself {shape.media_type}, but its descriptor says {media_type}")
    kind = media_type or shape.media_type
    if not kind:
        kind = MediaType.OCI_MANIFEST if shape.manifests is None else MediaType.OCI_INDEX
    if (shape.layers if kind in INDEXES else shape.manifests) is not None:
        raise CorruptError(f"{what} is of type {kind}, but it holds what the other kind of document holds")
    if kind in INDEXES:
        return decode(data, Index, what, limit=LIMIT)
    if kind in MANIFESTS:
        return decode(data, Manifest, what, limit=LIMIT)
    raise UnsupportedError(f"{what} is of type {kind}, which is neither a manifest nor an index")
