"""Whether a signature counts: by whom, for which manifest, under which name. Pure, but for the ciphers.

Everything about a signature comes from whoever may write to the registry. It counts when the key or
certificate is one that the caller trusts, it covers the payload, the payload names this very digest, and the
log entry, where one is needed, is about this signature by this signer.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError
from tiffin.trust.bundle import signed_name
from tiffin.trust.certificates import check_chain, holder_of, load_certificate, load_certificates
from tiffin.trust.keys import verifying_key
from tiffin.trust.log import Made, check_body, check_entry, check_time, parse_attached
from tiffin.trust.payload import parse
from tiffin.trust.refusal import refused
from tiffin.trust.sct import check_timestamps
from tiffin.trust.timestamp import check_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.x509 import Certificate

    from tiffin.oci.digest import Digest
    from tiffin.trust.attached import Attached
    from tiffin.trust.bundle import Bundle
    from tiffin.trust.certificates import Authority, Holder
    from tiffin.trust.keys import VerifyingKey
    from tiffin.trust.log import Entry, Log


class ByKey(NamedTuple):
    """Trust in keys; with `logs` only in what these have entered."""

    keys: tuple[VerifyingKey, ...]
    logs: tuple[Log, ...] = ()


class ByCertificate(NamedTuple):
    """Trust in certificates of `authorities` for those whom `wanted` accepts, entered in `logs` while valid.

    With `certificate_logs` also the certificate has to be in one. Where a log does not say when, one of
    `stampers` has to.
    """

    authorities: tuple[Authority, ...]
    logs: tuple[Log, ...]
    wanted: Callable[[Holder], bool]
    certificate_logs: tuple[Log, ...] = ()
    stampers: tuple[Authority, ...] = ()


Signer = ByKey | ByCertificate


class Verified(NamedTuple):
    """A signature that counts: of what, for which name, by whom (a key's id or a person's name), and when."""

    digest: Digest
    reference: str
    signer: str
    issuer: str = ""
    time: int | None = None


class _Evidence(NamedTuple):
    """What there is to check: `holds` tries a key, and what is read late fails late."""

    holds: Callable[[VerifyingKey], bool]
    sha256: bytes
    signature: bytes
    leaf: Callable[[], Certificate]
    between: Callable[[], Sequence[Certificate]]
    entries: Callable[[], Sequence[Entry]]
    payload: bytes = b""
    stamps: tuple[bytes, ...] = ()


def verify_attached(found: Attached, signer: Signer, digest: Digest) -> Verified:
    """The signature beside an image, if it counts. Raises DeniedError, CorruptError, InvalidError."""
    evidence = _Evidence(
        lambda key: key.signed(found.signature, found.payload),
        hashlib.sha256(found.payload).digest(),
        found.signature,
        lambda: _one(found.certificate),
        lambda: load_certificates(found.chain, "the chain of the signer") if found.chain else (),
        lambda: (parse_attached(found.entry),) if found.entry else (),
    )
    who = _who(evidence, signer)
    payload = parse(found.payload)
    if payload.digest != digest:
        raise refused(f"the signature is for another image: {payload.digest}")
    return Verified(digest, payload.reference, *who)


def verify_bundle(found: Bundle, signer: Signer, digest: Digest) -> Verified:
    """The signature in a bundle, if it counts. Raises DeniedError, CorruptError, InvalidError."""
    envelope = found.envelope
    if envelope is None:
        hashed, inner = found.sha256, b""
        if digest.algorithm != "sha256" or hashed.hex() != digest.encoded:
            raise refused("the signature in the bundle is for another image")
    else:
        hashed = hashlib.sha256(envelope.signed()).digest()
        inner = hashlib.sha256(envelope.payload).digest()

    def holds(key: VerifyingKey) -> bool:
        if envelope is None:
            return key.signed_hash(found.signature, hashed)
        return key.signed(found.signature, envelope.signed())

    evidence = _Evidence(
        holds,
        hashed,
        found.signature,
        lambda: load_certificate(found.leaf, "the certificate of the signer"),
        lambda: [load_certificate(der, "the chain of the signer") for der in found.chain[:16]],
        lambda: found.entries,
        inner,
        found.stamps,
    )
    who = _who(evidence, signer)
    name = "" if envelope is None else signed_name(envelope, digest)
    return Verified(digest, name, *who)


def _who(evidence: _Evidence, signer: Signer) -> tuple[str, str, int | None]:
    """Who made the signature, by whose word, and when it was entered in a log."""
    if isinstance(signer, ByKey):
        for key in signer.keys:
            if evidence.holds(key):
                times = _entered(evidence, signer.logs, key.der) if signer.logs else []
                return f"sha256:{key.id}", "", next(iter(times), None)
        raise refused("the signature is not by a key that is trusted")
    leaf = evidence.leaf()
    key = verifying_key(leaf.public_key(), "the key of the signer")
    if not evidence.holds(key):
        raise refused("the signature is not by the key in its certificate")
    times = _entered(evidence, signer.logs, _der(leaf), signer.stampers)
    if not times:
        raise refused(
            "nobody who is trusted says when the signature was made, so no certificate can vouch for it"
        )
    for time in times:
        issuer = check_chain(leaf, evidence.between(), signer.authorities, time)
        if signer.certificate_logs:
            check_timestamps(leaf, issuer, signer.certificate_logs)
    holder = holder_of(leaf)
    if not signer.wanted(holder):
        raise refused(
            f"the signature is by {', '.join(holder.names)[:200]}, vouched for by {holder.issuer[:200]}"
        )
    return ", ".join(holder.names), holder.issuer, times[0]


def _entered(
    evidence: _Evidence, logs: Sequence[Log], signer: bytes, stampers: Sequence[Authority] = ()
) -> list[int]:
    """When one of `logs` entered the signature, and when `stampers` have seen it; every entry has to hold."""
    made = Made(evidence.sha256, evidence.signature, signer, evidence.payload)
    entered = []
    for entry in evidence.entries():
        check_body(entry, made)
        entered.append(check_entry(entry, logs))
    if not entered:
        raise refused("the signature is in no log")
    times = [time for _, time in entered if time is not None]
    if stampers:
        times += [check_timestamp(stamp, evidence.signature, stampers) for stamp in evidence.stamps]
    for log, _ in entered:
        for time in times:
            check_time(log, time)
    return times


def _one(text: bytes) -> Certificate:
    if not text:
        raise refused("the signature has no certificate")
    found = load_certificates(text, "the certificate of the signer")
    if len(found) != 1:
        raise refused("the signature has several certificates of its signer")
    return found[0]


def _der(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def by_name(
    name: str, issuer: str, *, pattern: bool = False, issuer_pattern: bool = False
) -> Callable[[Holder], bool]:
    """Who is wanted: by a name of the holder and the issuer, each a text, or an expression to be found in it.

    Raises InvalidError for an expression that is malformed.
    """
    named, vouched = _test(name, pattern), _test(issuer, issuer_pattern)
    return lambda holder: any(map(named, holder.names)) and vouched(holder.issuer)


def by_email(email: str, issuer: str) -> Callable[[Holder], bool]:
    """Who is wanted: the holder of this mail address, by the word of the issuer."""
    return lambda holder: email in holder.emails and holder.issuer == issuer


def _test(text: str, pattern: bool) -> Callable[[str], bool]:
    if not pattern:
        return lambda found: found == text
    try:
        compiled = re.compile(text)
    except re.error as error:
        raise InvalidError(f"{text[:200]!r} is no regular expression: {error}", code="usage") from None
    return lambda found: compiled.search(found) is not None
