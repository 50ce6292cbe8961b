"""Signatures beside an image: the manifest under the tag `sha256-HEX.sig` (cosign's SIGNATURE_SPEC). Pure."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tiffin.errors import CorruptError
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index, Manifest
from tiffin.trust.payload import LARGEST, SIMPLE_SIGNING
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.oci.digest import Digest

SIGNATURE: Final = "dev.cosignproject.cosign/signature"
CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
CHAIN: Final = "dev.sigstore.cosign/chain"
ENTRY: Final = "dev.sigstore.cosign/bundle"
ATTACHED: Final = "application/vnd.dev.cosign.artifact.sig.v1+json"
"""The type of such a manifest where it refers to the image, in the place of having that tag."""
TOO_MANY: Final = "too-many-signatures"
MOST: Final = 256
"""How many signatures of one image are looked at: whoever may write there could add any number."""


class Attached(NamedTuple):
    """A signature as it was found, of which nothing is known to be true yet."""

    payload: bytes
    signature: bytes
    certificate: bytes = b""
    chain: bytes = b""
    entry: bytes = b""


class Documents(NamedTuple):
    """A manifest of signatures with its config, as they are pushed."""

    config: bytes
    manifest: bytes
    descriptor: Descriptor
    config_descriptor: Descriptor


class _RootFS(msgspec.Struct):
    type: str
    diff_ids: list[str]


class _Config(msgspec.Struct):
    architecture: str
    config: dict[str, str]
    os: str
    rootfs: _RootFS


def tag_of(digest: Digest) -> str:
    """The tag under which the signatures of the manifest `digest` are."""
    return f"{digest.algorithm}-{digest.encoded}.sig"


def signature_layers(document: Manifest | Index, what: str) -> list[Descriptor]:
    """The signatures in the manifest. Raises CorruptError if it is none, or holds more than we look at."""
    if isinstance(document, Index):
        raise CorruptError(f"{what} is an index, and no manifest of signatures", code="signatures")
    found = [layer for layer in document.layers if layer.media_type == SIMPLE_SIGNING]
    if len(found) > MOST:
        raise CorruptError(
            f"{what} holds {len(found)} signatures, and more than {MOST} are not looked at",
            code=TOO_MANY,
        )
    for layer in found:
        if layer.size > LARGEST:
            raise CorruptError(f"{what} holds a signed payload of {layer.size} bytes", code="signatures")
    return found


def attached(layer: Descriptor, payload: bytes) -> Attached:
    """The signature that the layer describes. Raises DeniedError if there is none, or it is not base64."""
    texts = layer.annotations
    text = texts.get(SIGNATURE, "")
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        signature = b""
    if not signature:
        raise refused(f"the signed payload {layer.digest.short} has no signature beside it")
    certificate, chain, entry = (texts.get(name, "").encode() for name in (CERTIFICATE, CHAIN, ENTRY))
    return Attached(payload, signature, certificate, chain, entry)


def layer_of(found: Attached) -> Descriptor:
    """The layer that describes a signature by a key."""
    text = base64.b64encode(found.signature).decode()
    return msgspec.structs.replace(
        Descriptor.of(found.payload, SIMPLE_SIGNING), annotations={SIGNATURE: text}
    )


def compose(layers: Sequence[Descriptor]) -> Documents:
    """The manifest with these layers, in the form of an image as registries without artifacts want it."""
    config = codec.encode(_Config("", {}, "", _RootFS("layers", [layer.digest for layer in layers])))
    config_descriptor = Descriptor.of(config, MediaType.OCI_CONFIG)
    manifest = codec.encode(Manifest(config_descriptor, tuple(layers)))
    return Documents(config, manifest, Descriptor.of(manifest, MediaType.OCI_MANIFEST), config_descriptor)
