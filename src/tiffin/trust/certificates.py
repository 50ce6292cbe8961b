"""Certificates of people and jobs: issued by an authority (Fulcio) minutes before they sign.

A chain is checked at the time at which a log entered the signature. Everything is strict: an extension that
is critical and unknown, a certificate that may not issue others, a name that is not there, each ends it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import InvalidError
from tiffin.trust import pem
from tiffin.trust.keys import need_library
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate

_DEEPEST: Final = 5
_MOST: Final = 16
_LARGEST: Final = 64 << 10
_ISSUER: Final = "1.3.6.1.4.1.57264.1.1"
_ISSUER_TEXT: Final = "1.3.6.1.4.1.57264.1.8"
_OTHER_NAME: Final = "1.3.6.1.4.1.57264.1.7"
_UTF8: Final = 0x0C
CODE: Final = "1.3.6.1.5.5.7.3.3"
TIMESTAMPS: Final = "1.3.6.1.5.5.7.3.8"
"""What certificates are made for: to sign code, or timestamps."""
_ANYTHING: Final = "2.5.29.37.0"


class Authority(NamedTuple):
    """What issues certificates: trusted roots, and what may stand between; from `start` to `end`."""

    anchors: tuple[Certificate, ...]
    between: tuple[Certificate, ...] = ()
    start: float = 0.0
    end: float = float("inf")


class Holder(NamedTuple):
    """Whom a certificate is for: all names, those among them that are mail addresses, and who vouched."""

    names: tuple[str, ...]
    emails: tuple[str, ...]
    issuer: str


def load_certificates(data: bytes, what: str) -> list[Certificate]:
    """The certificates in a PEM text. Raises InvalidError for anything else, and for too many."""
    found = pem.blocks(data, what)
    if len(found) > _MOST or any(block.label != "CERTIFICATE" for block in found):
        raise InvalidError(f"{what} is no list of at most {_MOST} certificates", code="not-certificates")
    return [load_certificate(block.data, what) for block in found]


def load_certificate(der: bytes, what: str) -> Certificate:
    """The certificate in DER. Raises InvalidError, UnsupportedError without the library."""
    need_library()
    import warnings

    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    if len(der) > _LARGEST:
        raise InvalidError(f"{what}: no certificate has {len(der)} bytes", code="not-certificates")
    bad = (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )
    try:
        with warnings.catch_warnings():  # what the library only warns of is refused
            warnings.simplefilter("error")
            found = x509.load_der_x509_certificate(der)
            # Read now what is read late, so that what is malformed is found here.
            _ = found.extensions, found.not_valid_before_utc, found.not_valid_after_utc, found.subject
            _ = found.issuer, found.public_key(), found.serial_number
            # How many bits of its end the signature goes without is signed by nobody: it has to be none.
            if not der.endswith(b"\0" + found.signature):
                raise ValueError("its signature is not of whole bytes")
    except (*bad, Warning) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidError(f"{what}: no readable certificate: {reason}", code="not-certificates") from None
    return found


def check_chain(
    leaf: Certificate, between: Sequence[Certificate], authorities: Sequence[Authority], at: int
) -> Certificate:
    """See that an authority vouches for `leaf`, which signs code, at the time `at`; return who issued it.

    `between` are certificates that came with it, and prove nothing by themselves. Raises DeniedError.
    """
    check_leaf(leaf, at, CODE)
    reason = "no trusted authority has issued the certificate of the signer"
    for authority in authorities:
        if not authority.start <= at <= authority.end:
            reason = "the authority of the certificate does not count for the time of the signature"
            continue
        issuer = issuer_of(leaf, authority, [*authority.between, *between[:_MOST]], at)
        if issuer is not None:
            return issuer
    raise refused(reason)


def issuer_of(
    leaf: Certificate,
    authority: Authority,
    between: Sequence[Certificate],
    at: int,
    purpose: str = CODE,
) -> Certificate | None:
    """The issuer of `leaf`, if a way leads from it to a root of the authority; all are made for `purpose`.

    Level by level, and each certificate once: certificates that vouch for each other in all ways would keep
    a search of all ways busy for hours.
    """
    left = list(between)
    level: list[tuple[Certificate, Certificate | None]] = [(leaf, None)]
    for depth in range(_DEEPEST):
        above: list[tuple[Certificate, Certificate | None]] = []
        for certificate, first in level:
            for anchor in authority.anchors:
                if _issues(anchor, certificate, at, depth, purpose):
                    return first or anchor
            found = [each for each in left if _issues(each, certificate, at, depth, purpose)]
            left = [each for each in left if each not in found]
            above += [(each, first or each) for each in found]
        level = above
    return None


def _issues(issuer: Certificate, certificate: Certificate, at: int, depth: int, purpose: str) -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    if (
        issuer.subject != certificate.issuer
        or not _valid(issuer, at)
        or not _may_issue(issuer, depth, purpose)
    ):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def _may_issue(certificate: Certificate, depth: int, purpose: str) -> bool:
    from cryptography import x509

    basic = usage = extended = None
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            basic = value
        elif isinstance(value, x509.KeyUsage):
            usage = value
        elif isinstance(value, x509.ExtendedKeyUsage):
            extended = value
        elif extension.critical:
            return False
    if basic is None or not basic.ca or (basic.path_length is not None and basic.path_length < depth):
        return False
    made_for = None if extended is None else {each.dotted_string for each in extended}
    return (usage is None or usage.key_cert_sign) and (
        made_for is None or bool(made_for & {purpose, _ANYTHING})
    )


def check_leaf(leaf: Certificate, at: int, purpose: str) -> None:
    """See that the certificate is valid then, made for `purpose`, and no authority's. Raises DeniedError."""
    from cryptography import x509

    if not _valid(leaf, at):
        raise refused(
            f"the certificate of the signer was valid from {leaf.not_valid_before_utc:%Y-%m-%d %H:%M:%S} to "
            f"{leaf.not_valid_after_utc:%Y-%m-%d %H:%M:%S}, and the signature is of {shown_time(at)}"
        )

    signs = False
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.ExtendedKeyUsage):
            signs = purpose in {each.dotted_string for each in value}
        elif isinstance(value, x509.KeyUsage):
            if not value.digital_signature:
                raise refused("the certificate of the signer may not sign")
        elif isinstance(value, x509.BasicConstraints):
            if value.ca:
                raise refused("the certificate of the signer is one of an authority")
        elif extension.critical and not isinstance(value, x509.SubjectAlternativeName):
            raise refused(f"the certificate of the signer has the unknown rule {extension.oid.dotted_string}")
    if not signs:
        raise refused("the certificate of the signer is not made to sign this")


def _valid(certificate: Certificate, at: int) -> bool:
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError):
        return False
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def shown_time(at: int) -> str:
    """A time in seconds as people read it."""
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"second {at}"


def holder_of(leaf: Certificate) -> Holder:
    """Whom the certificate is for. Raises DeniedError if it does not say so, or says two things."""
    from cryptography import x509

    names: list[str] = []
    emails: list[str] = []
    issuers = set()
    for extension in leaf.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            emails += value.get_values_for_type(x509.RFC822Name)
            names += [*emails, *value.get_values_for_type(x509.UniformResourceIdentifier)]
            for other in value.get_values_for_type(x509.OtherName):
                if other.type_id.dotted_string == _OTHER_NAME:
                    names.append(_text(other.value))
        elif isinstance(value, x509.UnrecognizedExtension):
            if extension.oid.dotted_string == _ISSUER:
                issuers.add(_utf8(value.value))
            elif extension.oid.dotted_string == _ISSUER_TEXT:
                issuers.add(_text(value.value))
    if len(issuers) != 1 or not names:
        raise refused("the certificate of the signer does not say for whom it is, and by whose word")
    return Holder(tuple(names), tuple(emails), issuers.pop())


def _text(der: bytes) -> str:
    """The text in a DER UTF8String, short as all of these are."""
    if len(der) < 2 or der[0] != _UTF8:
        raise refused("the certificate of the signer has a name that is no text")
    size, start = der[1], 2
    if size & 0x80:
        count = size & 0x7F
        size, start = int.from_bytes(der[2 : 2 + count]), 2 + count
    if len(der) - start != size:
        raise refused("the certificate of the signer has a name that is no text")
    return _utf8(der[start:])


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise refused("the certificate of the signer has a name that is not UTF-8") from None
