"""In-toto statements about an image, and the manifest that holds them beside it. Pure.

The form is BuildKit's (docs/attestations/attestation-storage.md), which registries and scanners know: in the
index stands an entry for no platform, whose annotations name the image's manifest; it points to
a manifest with one statement for each layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.image.platforms import ATTESTATION, REFERENCE_DIGEST, REFERENCE_TYPE, UNKNOWN
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest
from tiffin.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.oci.digest import Digest

STATEMENT: Final = "https://in-toto.io/Statement/v0.1"
MEDIA_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE: Final = "in-toto.io/predicate-type"
SPDX: Final = "https://spdx.dev/Document"
SLSA_02: Final = "https://slsa.dev/provenance/v0.2"
SLSA_1: Final = "https://slsa.dev/provenance/v1"
_UNNAMED: Final = "_"  # what BuildKit calls an image that gets no name


class Predicate(NamedTuple):
    """What is said of an image, and the type of that."""

    type: str
    content: dict[str, Any]


class Attached(NamedTuple):
    """The entry for the index, and the documents below it with their media types."""

    entry: Descriptor
    documents: tuple[tuple[bytes, str], ...]


def attach(image: Descriptor, names: Sequence[str], predicates: Sequence[Predicate]) -> Attached:
    """Return what is put beside `image`, a manifest, which is called `names` (as package URLs)."""
    statements = [codec.encode(statement(image.digest, names, each)) for each in predicates]
    layers = tuple(
        msgspec.structs.replace(Descriptor.of(data, MEDIA_TYPE), annotations={PREDICATE: each.type})
        for data, each in zip(statements, predicates, strict=True)
    )
    config = codec.encode(
        {
            "architecture": UNKNOWN,
            "os": UNKNOWN,
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]},
        }
    )
    manifest = codec.encode(Manifest(Descriptor.of(config, MediaType.OCI_CONFIG), layers))
    entry = msgspec.structs.replace(
        Descriptor.of(manifest, MediaType.OCI_MANIFEST),
        annotations={REFERENCE_DIGEST: str(image.digest), REFERENCE_TYPE: ATTESTATION},
        platform=Platform(UNKNOWN, UNKNOWN),
    )
    documents = (
        *((data, MEDIA_TYPE) for data in statements),
        (config, MediaType.OCI_CONFIG),
        (manifest, MediaType.OCI_MANIFEST),
    )
    return Attached(entry, documents)


def statement(digest: Digest, names: Sequence[str], predicate: Predicate) -> dict[str, Any]:
    """Return the statement that says `predicate` of the manifest `digest`."""
    return {
        "_type": STATEMENT,
        "predicateType": predicate.type,
        "subject": [
            {"name": name, "digest": {digest.algorithm: digest.encoded}} for name in names or [_UNNAMED]
        ],
        "predicate": predicate.content,
    }
