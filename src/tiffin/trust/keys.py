"""Keys that sign and verify: ECDSA, Ed25519 and RSA, as cosign uses them, by the library `cryptography`.

The library is an extra (`tiffin[trust]`): it is imported by the functions here and in no module's head.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.errors import InvalidError
from tiffin.trust import pem
from tiffin.trust.refusal import missing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

_LEAST_RSA: Final = 2048
_CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")


def need_library() -> None:
    """Raise UnsupportedError, which says what to install, where `cryptography` is not there."""
    try:
        import cryptography.hazmat.primitives  # noqa: F401 - whether it can be imported is the question
    except ImportError:
        raise missing("cryptography") from None


class VerifyingKey(NamedTuple):
    """A public key, and its DER form (SubjectPublicKeyInfo), by which keys are compared."""

    key: PublicKeyTypes
    der: bytes

    @property
    def id(self) -> str:
        """The SHA-256 of the DER form, in hex: how logs name their keys."""
        return hashlib.sha256(self.der).hexdigest()

    def signed(self, signature: bytes, data: bytes) -> bool:
        """Whether it is this key's signature of `data`."""
        from cryptography.hazmat.primitives.asymmetric import ed25519

        if isinstance(self.key, ed25519.Ed25519PublicKey):
            return _holds(self.key.verify, signature, data)
        return self.signed_hash(signature, hashlib.sha256(data).digest()) or self._signed_wide(
            signature, data
        )

    def signed_hash(self, signature: bytes, sha256: bytes) -> bool:
        """Whether it is this key's signature of what has this hash; never with Ed25519."""
        return self.signed_by(signature, sha256)

    def _signed_wide(self, signature: bytes, data: bytes) -> bool:
        """The same with the hash of the curve's size, which newer signers take for P-384 and P-521."""
        wide = {"secp384r1": "sha384", "secp521r1": "sha512"}
        name = wide.get(getattr(getattr(self.key, "curve", None), "name", ""))
        return name is not None and self.signed_by(signature, hashlib.new(name, data).digest())

    def signed_by(self, signature: bytes, hashed: bytes) -> bool:
        """The same with a hash of 32, 48 or 64 bytes, of the SHA-2 family."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

        algorithms = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())
        algorithm = next(each for each in algorithms if each.digest_size == len(hashed))
        if isinstance(self.key, ec.EllipticCurvePublicKey):
            return _holds(self.key.verify, signature, hashed, ec.ECDSA(Prehashed(algorithm)))
        if isinstance(self.key, rsa.RSAPublicKey):
            return _holds(self.key.verify, signature, hashed, padding.PKCS1v15(), Prehashed(algorithm))
        return False


class SigningKey(NamedTuple):
    """A private key."""

    key: PrivateKeyTypes

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`: with SHA-256 as cosign does, whatever the size of the key."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            return self.key.sign(data, ec.ECDSA(hashes.SHA256()))
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        assert isinstance(self.key, ed25519.Ed25519PrivateKey)
        return self.key.sign(data)

    @property
    def public(self) -> VerifyingKey:
        """The key that verifies what this one signs."""
        return verifying_key(self.key.public_key(), "the key")


def verifying_key(key: Any, what: str) -> VerifyingKey:
    """The key, if it is of a kind that signs images. Raises InvalidError for others, and for weak ones."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _LEAST_RSA:
        raise InvalidError(f"{what} is an RSA key of {key.key_size} bits, which is too weak", code="weak-key")
    curve = isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
    if not (curve or isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey)):
        raise InvalidError(
            f"{what} is of a kind that signs no images", code="unknown-key", hint="use ECDSA, Ed25519 or RSA"
        )
    return VerifyingKey(key, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def load_public_key(data: bytes, what: str) -> VerifyingKey:
    """The public key in a PEM file. Raises InvalidError, UnsupportedError without the library."""
    need_library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    found = pem.block(data, what)
    if "PRIVATE" in found.label:
        raise InvalidError(
            f"{what} is a private key",
            code="private-key",
            hint="give the public one, cosign.pub, and keep that to you",
        )
    if found.label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise InvalidError(f"{what} is no public key but {found.label!r}", code="not-a-key")
    try:
        key = load_der_public_key(found.data)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidError(f"{what} is no readable public key: {_line(error)}", code="not-a-key") from None
    return verifying_key(key, what)


def load_public_der(data: bytes, what: str) -> VerifyingKey:
    """The public key in DER, as logs have it. Raises InvalidError, UnsupportedError without the library."""
    return load_public_key(pem.armoured("PUBLIC KEY", data), what)


def load_signing_key(pkcs8: bytes, what: str) -> SigningKey:
    """The private key in DER (PKCS 8, or the older forms of RSA and EC). Raises InvalidError."""
    need_library()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_private_key

    try:
        key = load_der_private_key(pkcs8, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidError(f"{what} is no readable private key: {_line(error)}", code="not-a-key") from None
    verifying_key(key.public_key(), what)
    return SigningKey(key)


def new_signing_key() -> tuple[bytes, bytes]:
    """Return a new ECDSA key on P-256 in its PKCS 8 form, and the PEM text of its public half."""
    need_library()
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return pkcs8, pem.armoured("PUBLIC KEY", SigningKey(key).public.der)


def _holds(verify: Any, *arguments: Any) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        verify(*arguments)
    except (InvalidSignature, ValueError):
        return False
    return True


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
