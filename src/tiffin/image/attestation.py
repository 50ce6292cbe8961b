"""Attestations beside an image: entries of its index, in the form that BuildKit gave them.

Such an entry points by annotation, and in its statements, to the manifest that it speaks of. When that
manifest is written anew, what speaks of it has to be as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from tiffin.content.verify import fetch_bytes, read_manifest
from tiffin.image.platforms import REFERENCE_DIGEST
from tiffin.oci.codec import decode, encode
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.content.protocol import Fetcher

_LIMIT: Final = 64 << 20


def follow(
    fetcher: Fetcher, entry: Descriptor, moved: Mapping[Digest, Descriptor]
) -> tuple[Descriptor, dict[Digest, bytes]]:
    """Return `entry` as it speaks of the manifest that took the place of its own, and its new documents.

    `moved` has the new descriptor of each manifest by the old digest. An entry that none of them
    concerns comes back as it is.
    """
    old = entry.annotations.get(REFERENCE_DIGEST, "")
    new = next((found for digest, found in moved.items() if digest == old), None)
    if new is None or new.digest == old:
        return entry, {}
    manifest = read_manifest(fetcher, entry)
    assert isinstance(manifest, Manifest)
    documents: dict[Digest, bytes] = {}

    def renamed(descriptor: Descriptor) -> Descriptor:
        data = fetch_bytes(fetcher, descriptor, _LIMIT)
        data = data.replace(Digest(old).encoded.encode(), new.digest.encoded.encode())
        return _point(descriptor, data, documents)

    layers = tuple(renamed(layer) for layer in manifest.layers)
    config = manifest.config
    if config.media_type in CONFIGS:
        config = _point(config, _config(fetcher, config, layers), documents)
    subject = manifest.subject
    if subject is not None and subject.digest == old:
        subject = new.bare()
    manifest = msgspec.structs.replace(manifest, config=config, layers=layers, subject=subject)
    entry = msgspec.structs.replace(
        entry, annotations={**entry.annotations, REFERENCE_DIGEST: str(new.digest)}
    )
    return _point(entry, encode(manifest), documents), documents


def _config(fetcher: Fetcher, descriptor: Descriptor, layers: tuple[Descriptor, ...]) -> bytes:
    """The config, which lists the statements as if they were layers."""
    config = decode(fetch_bytes(fetcher, descriptor), ImageConfig, f"the config {descriptor.digest}")
    diff_ids = tuple(DiffID(layer.digest) for layer in layers)
    return encode(msgspec.structs.replace(config, rootfs=RootFS(diff_ids)))


def _point(descriptor: Descriptor, data: bytes, documents: dict[Digest, bytes]) -> Descriptor:
    found = Descriptor.of(data, descriptor.media_type)
    documents[found.digest] = data
    return msgspec.structs.replace(descriptor, digest=found.digest, size=found.size, data=None)
