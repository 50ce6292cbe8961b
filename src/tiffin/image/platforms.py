"""The images of an index: one for each platform, and the attestations that speak of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.content.verify import read_manifest
from tiffin.errors import NotFoundError
from tiffin.image.view import open_image
from tiffin.linux.record import NamedTuple
from tiffin.oci.manifest import Index

if TYPE_CHECKING:
    from tiffin.content.protocol import Fetcher
    from tiffin.image.view import FetchedImage
    from tiffin.oci.descriptor import Descriptor

REFERENCE_TYPE: Final = "vnd.docker.reference.type"
REFERENCE_DIGEST: Final = "vnd.docker.reference.digest"
ATTESTATION: Final = "attestation-manifest"
UNKNOWN: Final = "unknown"


class PlatformImage(NamedTuple):
    """An image of an index, and the entry that points to it."""

    entry: Descriptor
    image: FetchedImage


class Platforms(NamedTuple):
    """What an index holds: images that the place has, entries that it has not, and attestations.

    Of the images manifest and config are there; whether the layers are is for the caller to see.
    """

    images: tuple[PlatformImage, ...]
    absent: tuple[Descriptor, ...]
    attestations: tuple[Descriptor, ...]


def open_platforms(fetcher: Fetcher, descriptor: Descriptor) -> Platforms:
    """Return what the index `descriptor` holds, as far as `fetcher` has it; a manifest is its one image."""
    document = read_manifest(fetcher, descriptor)
    if not isinstance(document, Index):
        return Platforms((PlatformImage(descriptor, open_image(fetcher, descriptor)),), (), ())
    images, absent, attestations = [], [], []
    for entry in document.manifests:
        if is_attestation(entry):
            attestations.append(entry)
            continue
        try:
            image = open_image(fetcher, entry.bare()) if entry.is_manifest else None
        except NotFoundError:
            image = None
        if image is None:
            absent.append(entry)
        else:
            images.append(PlatformImage(entry, image))
    return Platforms(tuple(images), tuple(absent), tuple(attestations))


def is_attestation(entry: Descriptor) -> bool:
    """Whether the entry of an index holds no image, but what somebody says of one."""
    unknown = entry.platform is not None and entry.platform.os == UNKNOWN
    return unknown or entry.annotations.get(REFERENCE_TYPE) == ATTESTATION
