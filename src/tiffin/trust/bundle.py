"""Sigstore bundles: a signature with all that it takes to check it, attached to an image. Pure.

Read are the versions 0.1 to 0.3 (cosign's BUNDLE_SPEC). A bundle signs either the bytes of the image's
manifest, or, as cosign 3 does, a statement about its digest in an envelope (DSSE, in-toto).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.errors import CorruptError
from tiffin.oci import codec
from tiffin.trust.log import Entry, Proof
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from tiffin.oci.digest import Digest

LARGEST: Final = 4 << 20
STATEMENT: Final = "application/vnd.in-toto+json"
SIGN: Final = "https://sigstore.dev/cosign/sign/v1"
_STATEMENTS: Final = ("https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1")
_TYPE: Final = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(\.v0\.3\+json|\+json;\s*version=0\.[123])", re.ASCII
)
_ENTRIES: Final = 8
_SUBJECTS: Final = 1024


class Envelope(NamedTuple):
    """A signed document of some type, as DSSE wraps it."""

    payload: bytes
    payload_type: str

    def signed(self) -> bytes:
        """What the signature covers (DSSE's "pre-authentication encoding")."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)


class Bundle(NamedTuple):
    """A signature as it was found; `leaf` and `chain` in DER, `sha256` what is signed without envelope."""

    signature: bytes
    envelope: Envelope | None
    sha256: bytes
    leaf: bytes
    chain: tuple[bytes, ...]
    entries: tuple[Entry, ...]
    stamps: tuple[bytes, ...] = ()


def is_bundle(artifact_type: str) -> bool:
    """Whether the type of an artifact says that it is a bundle."""
    return _TYPE.fullmatch(artifact_type) is not None


class _Raw(msgspec.Struct, rename="camel"):
    raw_bytes: bytes


class _Chain(msgspec.Struct):
    certificates: list[_Raw] = []


class _LogID(msgspec.Struct, rename="camel"):
    key_id: bytes


class _Promise(msgspec.Struct, rename="camel"):
    signed_entry_timestamp: bytes


class _Checkpoint(msgspec.Struct):
    envelope: str


# Numbers of 64 bits are texts in the JSON of protobuf.
class _Proof(msgspec.Struct, rename="camel"):
    root_hash: bytes
    tree_size: str | int
    hashes: list[bytes] = []
    log_index: str | int = 0
    checkpoint: _Checkpoint | None = None


class _Entry(msgspec.Struct, rename="camel"):
    log_id: _LogID
    canonicalized_body: bytes
    log_index: str | int = 0
    integrated_time: str | int = 0
    inclusion_promise: _Promise | None = None
    inclusion_proof: _Proof | None = None


class _Stamp(msgspec.Struct, rename="camel"):
    signed_timestamp: bytes


class _Stamps(msgspec.Struct):
    rfc3161_timestamps: list[_Stamp] = msgspec.field(default_factory=list, name="rfc3161Timestamps")


class _Material(msgspec.Struct, rename="camel"):
    certificate: _Raw | None = None
    x509_certificate_chain: _Chain | None = None
    tlog_entries: list[_Entry] = []
    timestamp_verification_data: _Stamps | None = None


class _Digest(msgspec.Struct):
    algorithm: str = ""
    digest: bytes = b""


class _Message(msgspec.Struct, rename="camel"):
    signature: bytes
    message_digest: _Digest


class _Signature(msgspec.Struct):
    sig: bytes


class _Envelope(msgspec.Struct, rename="camel"):
    payload: bytes
    payload_type: str
    signatures: list[_Signature]


class _Bundle(msgspec.Struct, rename="camel"):
    media_type: str
    verification_material: _Material
    message_signature: _Message | None = None
    dsse_envelope: _Envelope | None = None


def parse_bundle(data: bytes, what: str) -> Bundle:
    """The bundle. Raises CorruptError for what is malformed, DeniedError for what is not understood."""
    found = codec.decode(data, _Bundle, what, limit=LARGEST)
    if not is_bundle(found.media_type):
        raise refused(f"{what} is no bundle of a known version but {found.media_type[:80]!r}")
    material = found.verification_material
    stamps = material.timestamp_verification_data or _Stamps()
    if max(len(material.tlog_entries), len(stamps.rfc3161_timestamps)) > _ENTRIES:
        raise refused(f"{what} has more than {_ENTRIES} log entries or timestamps")
    stamped = tuple(each.signed_timestamp for each in stamps.rfc3161_timestamps)
    chain = material.x509_certificate_chain.certificates if material.x509_certificate_chain else []
    ders = [each.raw_bytes for each in ([material.certificate] if material.certificate else chain)]
    entries = tuple(_entry(each, what) for each in material.tlog_entries)
    leaf, rest = (ders[0], tuple(ders[1:])) if ders else (b"", ())
    message, wrapped = found.message_signature, found.dsse_envelope
    if (message is None) == (wrapped is None):
        raise CorruptError(f"{what} does not sign one thing", code="signatures")
    if message is not None:
        digest = message.message_digest
        if digest.algorithm != "SHA2_256" or len(digest.digest) != 32:
            raise refused(f"{what} signs by another hash than SHA-256")
        return Bundle(message.signature, None, digest.digest, leaf, rest, entries, stamped)
    assert wrapped is not None
    if len(wrapped.signatures) != 1:
        raise refused(f"{what} has {len(wrapped.signatures)} signatures, and one is understood")
    envelope = Envelope(wrapped.payload, wrapped.payload_type)
    return Bundle(wrapped.signatures[0].sig, envelope, b"", leaf, rest, entries, stamped)


def _entry(found: _Entry, what: str) -> Entry:
    proof = None
    if found.inclusion_proof is not None:
        raw = found.inclusion_proof
        checkpoint = raw.checkpoint.envelope if raw.checkpoint else ""
        index, size = _number(raw.log_index, what), _number(raw.tree_size, what)
        proof = Proof(index, size, raw.root_hash, tuple(raw.hashes), checkpoint)
    promise = found.inclusion_promise.signed_entry_timestamp if found.inclusion_promise else b""
    index, time = _number(found.log_index, what), _number(found.integrated_time, what)
    return Entry(found.canonicalized_body, found.log_id.key_id.hex(), index, time, promise, proof)


def _number(value: str | int, what: str) -> int:
    text = str(value)
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise CorruptError(f"{what} has the malformed number {text[:40]!r}", code="signatures")
    return int(text)


class _Subject(msgspec.Struct):
    digest: dict[str, str] = {}
    name: str = ""


class _Statement(msgspec.Struct, rename="camel"):
    type: str = msgspec.field(name="_type")
    subject: list[_Subject]
    predicate_type: str
    predicate: Any = None


def signed_name(envelope: Envelope, digest: Digest) -> str:
    """The name, perhaps empty, under which the statement in the envelope signs the image `digest`.

    Raises DeniedError for a statement about something else, and for one that is no signature: who states what
    an image is made of does not say that it may be used.
    """
    if envelope.payload_type != STATEMENT:
        raise refused(f"the envelope holds no statement but {envelope.payload_type[:80]!r}")
    found = codec.decode(envelope.payload, _Statement, "the signed statement", limit=LARGEST)
    if found.type not in _STATEMENTS or len(found.subject) > _SUBJECTS:
        raise refused("the signed statement is of a form that is not understood")
    if found.predicate_type != SIGN:
        raise refused(f"the statement is no signature but states {found.predicate_type[:80]!r}")
    for subject in found.subject:
        if subject.digest.get(digest.algorithm) == digest.encoded:
            return subject.name
    raise refused("the signed statement is about another image")
