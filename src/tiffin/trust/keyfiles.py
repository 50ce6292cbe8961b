"""Files of private keys: cosign's, sealed with a password, and plain ones in PKCS 8.

A sealed key is JSON in a PEM block (securesystemslib's `encrypted`): the key of a secret box by scrypt, and
in the box the PKCS 8 form. We write the words and numbers that all versions of cosign and skopeo read.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tiffin.errors import DeniedError, InvalidError, UnsupportedError
from tiffin.oci import codec
from tiffin.trust import pem
from tiffin.trust.keys import load_signing_key, new_signing_key
from tiffin.trust.refusal import missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.trust.keys import SigningKey

SEALED: Final = ("ENCRYPTED COSIGN PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY")
PLAIN: Final = ("PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
_COST: Final = 1 << 15  # the only one that readers before 2023 take
_MEMORY: Final = 512 << 20
_MOST_PARALLEL: Final = 16


class KeyPair(NamedTuple):
    """The texts of the two files."""

    private: bytes
    public: bytes


class _Cost(msgspec.Struct):
    n: int = msgspec.field(name="N")
    r: int
    p: int


class _Kdf(msgspec.Struct):
    name: str
    params: _Cost
    salt: bytes


class _Cipher(msgspec.Struct):
    name: str
    nonce: bytes


class _Sealed(msgspec.Struct):
    kdf: _Kdf
    cipher: _Cipher
    ciphertext: bytes


def new_key_pair(password: bytes) -> KeyPair:
    """Return a new key pair, whose private key opens with the password; an empty one is a password too."""
    pkcs8, public = new_signing_key()
    return KeyPair(pem.armoured(SEALED[0], _seal(pkcs8, password)), public)


def load_private_key(data: bytes, password: Callable[[], bytes], what: str) -> SigningKey:
    """Return the key in a file; `password` is asked for only if it is sealed.

    Raises InvalidError for what is no such file, DeniedError for the wrong password, UnsupportedError for a
    missing library and for an encryption that is none of cosign's.
    """
    found = pem.block(data, what)
    if found.label in PLAIN:
        return load_signing_key(found.data, what)
    if found.label not in SEALED:
        raise UnsupportedError(
            f"{what} is no private key that can sign here but {found.label!r}",
            code="unknown-key",
            hint="make a pair with 'tiffin trust key generate', or write the key as plain PKCS 8",
        )
    return load_signing_key(_open(found.data, password, what), what)


def _seal(secret: bytes, password: bytes) -> bytes:
    salt, nonce = os.urandom(32), os.urandom(24)
    cost = _Cost(_COST, 8, 1)
    key = _derive(password, salt, cost)
    box = _secret_box(key)
    sealed = _Sealed(
        _Kdf("scrypt", cost, salt), _Cipher("nacl/secretbox", nonce), box.encrypt(secret, nonce).ciphertext
    )
    return codec.encode(sealed)


def _open(data: bytes, password: Callable[[], bytes], what: str) -> bytes:
    sealed = codec.decode(data, _Sealed, what, fault=InvalidError, limit=pem.LARGEST)
    if (sealed.kdf.name, sealed.cipher.name) != ("scrypt", "nacl/secretbox"):
        raise UnsupportedError(
            f"{what} is sealed by {sealed.kdf.name[:40]} and {sealed.cipher.name[:40]}", code="unknown-key"
        )
    cost = sealed.kdf.params
    # A file that asks for more could keep us busy, or take all memory, before anything is known to be right.
    fair = 1 < cost.n < 1 << 24 and 0 < cost.r < 1 << 10 and 0 < cost.p <= _MOST_PARALLEL
    if not fair or cost.n & (cost.n - 1) or 128 * cost.n * cost.r > _MEMORY:
        raise InvalidError(f"{what} asks for a costly key: scrypt with {cost.n}, {cost.r}, {cost.p}")
    if len(sealed.cipher.nonce) != 24:
        raise InvalidError(f"{what} is damaged: its nonce has {len(sealed.cipher.nonce)} bytes")
    box = _secret_box(_derive(password(), sealed.kdf.salt, cost))
    from nacl.exceptions import CryptoError

    try:
        return bytes(box.decrypt(sealed.ciphertext, sealed.cipher.nonce))
    except (CryptoError, ValueError):
        raise DeniedError(
            f"{what} does not open: the password is wrong, or the file is damaged", code="wrong-password"
        ) from None


def _derive(password: bytes, salt: bytes, cost: _Cost) -> bytes:
    memory = 128 * cost.r * (cost.n + cost.p) + (1 << 20)
    return hashlib.scrypt(password, salt=salt, n=cost.n, r=cost.r, p=cost.p, maxmem=2 * memory, dklen=32)


if TYPE_CHECKING:
    from nacl.secret import SecretBox


def _secret_box(key: bytes) -> SecretBox:
    try:
        from nacl.secret import SecretBox
    except ImportError:
        raise missing("PyNaCl") from None
    return SecretBox(key)
