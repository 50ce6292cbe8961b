"""Signed certificate timestamps: that a certificate was made public when it was issued (RFC 6962)."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, Final

from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.x509 import Certificate
    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

    from tiffin.trust.log import Log

_MOST: Final = 16
_PRECERTIFICATE: Final = 1


def check_timestamps(leaf: Certificate, issuer: Certificate, logs: Sequence[Log]) -> None:
    """See that one of `logs` has signed that it entered the certificate. Raises DeniedError."""
    from cryptography import x509

    for extension in leaf.extensions:
        if isinstance(extension.value, x509.PrecertificateSignedCertificateTimestamps):
            for stamp in list(extension.value)[:_MOST]:
                if _holds(stamp, leaf, issuer, logs):
                    return
    raise refused("no trusted log has entered the certificate of the signer when it was issued")


def _holds(
    stamp: SignedCertificateTimestamp, leaf: Certificate, issuer: Certificate, logs: Sequence[Log]
) -> bool:
    seconds = stamp.timestamp.timestamp() if stamp.timestamp.tzinfo else _seconds(stamp)
    for log in logs:
        if log.id == stamp.log_id.hex() and log.start <= seconds <= log.end:
            return log.key.signed(stamp.signature, _signed(stamp, leaf, issuer, round(seconds * 1000)))
    return False


def _seconds(stamp: SignedCertificateTimestamp) -> float:
    from datetime import UTC

    return stamp.timestamp.replace(tzinfo=UTC).timestamp()


def _signed(
    stamp: SignedCertificateTimestamp, leaf: Certificate, issuer: Certificate, milliseconds: int
) -> bytes:
    """What the log signs (RFC 6962, 3.2): the certificate as it was before the timestamp went into it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = leaf.tbs_precertificate_bytes
    head = struct.pack("!BBQH", 0, 0, milliseconds, _PRECERTIFICATE)
    rest = struct.pack("!H", len(stamp.extension_bytes)) + stamp.extension_bytes
    return head + hashlib.sha256(key).digest() + len(body).to_bytes(3) + body + rest
