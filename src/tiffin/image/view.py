"""Images and layers as immutable views, over any place that can give content.

The bytes of manifest and config travel beside the parsed values: no digest is ever taken
of a document that was written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from tiffin.content.verify import VerifyingReader, fetch_bytes
from tiffin.errors import CorruptError, InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.record import NamedTuple
from tiffin.oci.codec import decode
from tiffin.oci.config import ImageConfig
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.manifest import Index, Manifest, parse_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.content.protocol import Fetcher
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.platform import Platform

_DEPTH: Final = 4
_UNKNOWN: Final = "unknown"


class Layer(Protocol):
    """One layer as it is stored, compressed or not."""

    @property
    def descriptor(self) -> Descriptor:
        """The stored form."""
        ...

    @property
    def diff_id(self) -> DiffID:
        """The digest of its uncompressed tar."""
        ...

    def open(self) -> BinaryIO:
        """The stored bytes, verified while they are read; the caller closes the stream."""
        ...


class Image(Protocol):
    """One image for one platform."""

    @property
    def descriptor(self) -> Descriptor:
        """Of the manifest."""
        ...

    @property
    def raw_manifest(self) -> bytes:
        """The manifest as stored."""
        ...

    @property
    def manifest(self) -> Manifest:
        """The manifest, parsed."""
        ...

    @property
    def raw_config(self) -> bytes:
        """The config as stored."""
        ...

    @property
    def config(self) -> ImageConfig:
        """The config, parsed."""
        ...

    @property
    def id(self) -> Digest:
        """The image id: the digest of the config."""
        ...

    @property
    def layers(self) -> Sequence[Layer]:
        """The layers, the lowest first."""
        ...


class FetchedLayer(NamedTuple):
    """A `Layer` in a place."""

    fetcher: Fetcher
    descriptor: Descriptor
    diff_id: DiffID

    def open(self) -> BinaryIO:
        """The stored bytes, verified while they are read."""
        return VerifyingReader(self.fetcher.open(self.descriptor), self.descriptor)


class FetchedImage(NamedTuple):
    """An `Image` in a place; its documents are read and verified, its layers not yet."""

    fetcher: Fetcher
    descriptor: Descriptor
    raw_manifest: bytes
    manifest: Manifest
    raw_config: bytes
    config: ImageConfig

    @property
    def id(self) -> Digest:
        """The image id: the digest of the config."""
        return self.manifest.config.digest

    @property
    def layers(self) -> tuple[FetchedLayer, ...]:
        """The layers, the lowest first."""
        pairs = zip(self.manifest.layers, self.config.rootfs.diff_ids, strict=True)
        return tuple(FetchedLayer(self.fetcher, descriptor, diff_id) for descriptor, diff_id in pairs)


def open_image(
    fetcher: Fetcher, descriptor: Descriptor, platform: Platform | None = None, *, what: str = ""
) -> FetchedImage:
    """The image that `descriptor` points to; of an index, the one that runs best on `platform`.

    A manifest is taken as it is, whatever its platform: the caller compares. Without a
    platform an index must hold exactly one image. `what` is the image's name in errors.
    """
    what = what or f"image {descriptor.digest.short}"
    for _ in range(_DEPTH):
        data = fetch_bytes(fetcher, descriptor)
        document = parse_manifest(data, descriptor.media_type, f"the manifest of {what}")
        if isinstance(document, Manifest):
            return _open_manifest(fetcher, descriptor, data, document, what)
        descriptor = _select(fetcher, document, platform, what)
    raise CorruptError(f"{what} is an index of indexes, nested more than {_DEPTH} deep")


def _open_manifest(
    fetcher: Fetcher, descriptor: Descriptor, data: bytes, manifest: Manifest, what: str
) -> FetchedImage:
    odd = [
        part.media_type
        for part, fits in [
            (manifest.config, manifest.config.media_type in CONFIGS),
            *((layer, layer.is_layer) for layer in manifest.layers),
        ]
        if not fits
    ]
    if odd:
        raise UnsupportedError(
            f"{what} is not a container image: it holds {manifest.artifact_type or odd[0]}",
            code="not-an-image",
        )
    raw_config = fetch_bytes(fetcher, manifest.config)
    config = decode(raw_config, ImageConfig, f"the config of {what}")
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise CorruptError(
            f"{what} contradicts itself: its manifest has {len(manifest.layers)} layers,"
            f" its config {len(config.rootfs.diff_ids)}"
        )
    return FetchedImage(fetcher, descriptor, data, manifest, raw_config, config)


def _select(fetcher: Fetcher, index: Index, platform: Platform | None, what: str) -> Descriptor:
    images = [
        entry
        for entry in index.manifests
        if (entry.is_manifest or entry.is_index)
        and not (entry.platform is not None and entry.platform.os == _UNKNOWN)
    ]
    if platform is None:
        if len({entry.digest for entry in images}) != 1:
            raise InvalidError(
                f"{what} holds {len(images)} images, so a platform or a name has to be chosen",
                code="ambiguous-image",
            )
        return images[0]
    # An entry that names no platform is looked into, unless another fits.
    if platform.choose([entry.platform for entry in images if entry.platform is not None]) is None:
        silent = [entry for entry in images if entry.platform is None and entry.is_manifest]
        for entry in silent if len(silent) > 1 else ():
            if _runs(fetcher, entry, platform, what):
                return entry
    return index.select(platform, what)


def _runs(fetcher: Fetcher, entry: Descriptor, platform: Platform, what: str) -> bool:
    try:
        return platform.rank(open_image(fetcher, entry, what=what).config.platform) is not None
    except (NotFoundError, UnsupportedError):
        return False
