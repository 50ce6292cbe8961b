"""Timestamps of a signature by an authority for time (RFC 3161), where the log gives none.

A timestamp is a signed message (CMS, RFC 5652) about a hash. Who signs it is one whom a trusted root vouches
for, made for nothing but timestamps; the message names that certificate, the hash of the signature, and when
it was seen.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import DeniedError, InvalidError
from tiffin.trust import der
from tiffin.trust.certificates import TIMESTAMPS, check_leaf, issuer_of, load_certificate
from tiffin.trust.keys import verifying_key
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cryptography.x509 import Certificate

    from tiffin.trust.certificates import Authority
    from tiffin.trust.der import Node

LARGEST: Final = 64 << 10
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_STAMP: Final = "1.2.840.113549.1.9.16.1.4"
_STAMP_BODY: Final = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNER: Final = "1.2.840.113549.1.9.16.2.47"
_HASHES: Final = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_SIGNATURES: Final = {
    "1.2.840.10045.4.3.2": "sha256",
    "1.2.840.10045.4.3.3": "sha384",
    "1.2.840.10045.4.3.4": "sha512",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}
_EXPLICIT: Final = 0xA0
_CERTIFICATES: Final = 4


class _Token(NamedTuple):
    """The parts of a timestamp: what is stamped, certificates that came with it, and who signed how."""

    content: bytes
    certificates: tuple[bytes, ...]
    serial: int
    hash: str
    attributes: Node
    signed_hash: str
    signature: bytes


def check_timestamp(data: bytes, signature: bytes, authorities: Sequence[Authority]) -> int:
    """When one of `authorities` has seen the signature, in seconds. Raises DeniedError, InvalidError."""
    if len(data) > LARGEST:
        raise der.malformed()
    try:
        token = _parse(data)
        stamped = der.read(token.content).parts(der.INTEGER, der.OID, der.SEQUENCE, der.INTEGER, der.TIME)
        at = _time(stamped[4])
        algorithm, hashed = stamped[2].parts(der.SEQUENCE, der.OCTETS)[:2]
    except (IndexError, ValueError):
        raise der.malformed() from None
    if not hmac.compare_digest(_hash(algorithm, signature), hashed.body):
        raise refused("the timestamp is of another signature")
    for authority in authorities:
        if not authority.start <= at <= authority.end:
            continue
        for signer in _signers(token, authority):
            if _vouches(token, signer, authority, at):
                return at
    raise refused("the timestamp of the signature is by nobody who is trusted for it")


def _parse(data: bytes) -> _Token:
    whole = der.read(data)
    if whole.tag != der.SEQUENCE:
        raise der.malformed()
    status, content = whole.parts(der.SEQUENCE, der.SEQUENCE)[:2]
    if status.parts(der.INTEGER)[0].number not in (0, 1):
        raise refused("the timestamp of the signature was not granted")
    kind, wrapped = content.parts(der.OID, _EXPLICIT)[:2]
    if kind.oid != _SIGNED_DATA:
        raise der.malformed()
    _, _, inner, *rest = wrapped.only(der.SEQUENCE).parts(der.INTEGER, der.SET, der.SEQUENCE)
    kind, content = inner.parts(der.OID, _EXPLICIT)[:2]
    if kind.oid != _STAMP or rest[-1].tag != der.SET:
        raise der.malformed()
    certificates = rest[0].inside() if rest[0].tag == _EXPLICIT else []
    _, who, algorithm, attributes, method, signature, *_ = (
        rest[-1]
        .only(der.SEQUENCE)
        .parts(der.INTEGER, der.SEQUENCE, der.SEQUENCE, _EXPLICIT, der.SEQUENCE, der.OCTETS)
    )
    return _Token(
        content.only(der.OCTETS).body,
        tuple(each.raw for each in certificates[:_CERTIFICATES]),
        who.parts(der.SEQUENCE, der.INTEGER)[1].number,
        _HASHES.get(algorithm.parts(der.OID)[0].oid, ""),
        attributes,
        _SIGNATURES.get(method.parts(der.OID)[0].oid, ""),
        signature.body,
    )


def _signers(token: _Token, authority: Authority) -> list[Certificate]:
    """Who may have signed it: certificates that the root has or that came along, with the serial number."""
    found = [*authority.between, *authority.anchors]
    for raw in token.certificates:
        try:
            found.append(load_certificate(raw, "the certificate of the timestamp"))
        except InvalidError:
            continue
    return [each for each in found if each.serial_number == token.serial]


def _vouches(token: _Token, signer: Certificate, authority: Authority, at: int) -> bool:
    from cryptography.hazmat.primitives.serialization import Encoding

    if token.hash == "" or token.signed_hash == "":
        return False
    if issuer_of(signer, authority, authority.between, at, TIMESTAMPS) is None:
        return False
    try:
        check_leaf(signer, at, TIMESTAMPS)
        key = verifying_key(signer.public_key(), "the key of the timestamp")
    except (InvalidError, DeniedError):
        return False
    # What is signed is the set of attributes, with the tag of a set.
    signed = bytes([der.SET]) + token.attributes.raw[1:]
    if not key.signed_by(token.signature, hashlib.new(token.signed_hash, signed).digest()):
        return False
    found = _attributes(token.attributes)
    return (
        found.get(_CONTENT_TYPE) == _STAMP_BODY
        and found.get(_MESSAGE_DIGEST) == hashlib.new(token.hash, token.content).digest()
        and hashlib.sha256(signer.public_bytes(Encoding.DER)).digest() == _named(found)
    )


def _attributes(node: Node) -> Mapping[str, bytes]:
    """The bodies of the attributes that have one plain value."""
    found: dict[str, bytes] = {}
    for each in node.inside():
        kind, values = each.parts(der.OID, der.SET)[:2]
        first = values.inside()
        if kind.oid in found or len(first) != 1:
            raise der.malformed()
        found[kind.oid] = first[0].body
    return found


def _named(attributes: Mapping[str, bytes]) -> bytes:
    """The SHA-256 of the certificate that the signer names as its own (RFC 5816)."""
    body = attributes.get(_SIGNER)
    if body is None:
        raise refused("the timestamp of the signature does not name its signer")
    listed = der.Node(der.SEQUENCE, body, body).parts(der.SEQUENCE)[0]
    first = listed.parts(der.SEQUENCE)[0].inside()
    if not first:
        raise der.malformed()
    if first[0].tag == der.SEQUENCE:  # another hash than SHA-256
        raise refused("the timestamp of the signature names its signer by another hash than SHA-256")
    return first[0].body


def _hash(algorithm: Node, data: bytes) -> bytes:
    name = _HASHES.get(algorithm.parts(der.OID)[0].oid)
    if name is None:
        raise refused("the timestamp of the signature is by a hash that is not known")
    return hashlib.new(name, data).digest()


def _time(node: Node) -> int:
    text = node.body.decode("ascii")
    if not text.endswith("Z"):
        raise der.malformed()
    whole = text.removesuffix("Z").partition(".")[0]
    return int(datetime.strptime(whole, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp())
