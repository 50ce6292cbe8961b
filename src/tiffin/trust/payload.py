"""What a signature says: the document of "simple signing" (containers-signature(5)). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.oci import codec
from tiffin.oci.digest import Digest
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Mapping

SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
TYPE: Final = "cosign container image signature"
LARGEST: Final = 1 << 20


class Payload(NamedTuple):
    """That the manifest `digest` is the image that `reference` names, and what the signer added."""

    digest: Digest
    reference: str
    optional: Mapping[str, Any]


# Fields that we do not know would be claims that we do not check: they are refused, as containers/image does.
class _Image(msgspec.Struct, forbid_unknown_fields=True):
    digest: Digest = msgspec.field(name="docker-manifest-digest")


class _Identity(msgspec.Struct, forbid_unknown_fields=True):
    reference: str = msgspec.field(name="docker-reference")


class _Critical(msgspec.Struct, forbid_unknown_fields=True):
    identity: _Identity
    image: _Image
    type: str


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    critical: _Critical
    optional: dict[str, Any] = {}


def compose(payload: Payload) -> bytes:
    """The document as it is signed; the same payload gives the same bytes."""
    critical = _Critical(_Identity(payload.reference), _Image(payload.digest), TYPE)
    return codec.encode(_Document(critical, dict(payload.optional)))


def parse(data: bytes) -> Payload:
    """What the document says. Raises CorruptError for one that is malformed, DeniedError for another kind."""
    document = codec.decode(data, _Document, "the signed payload", limit=LARGEST)
    critical = document.critical
    if critical.type != TYPE:
        raise refused(f"the signed payload is no signature of an image but {critical.type[:80]!r}")
    return Payload(critical.image.digest, critical.identity.reference, document.optional)
