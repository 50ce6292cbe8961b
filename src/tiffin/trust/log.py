"""Entries of a transparency log (Rekor): that the log made them, when, and that they are about one signature.

A log signs its entries in two ways: each by itself as a promise, with the time (the "signed entry
timestamp"), and the root of its tree, to which a proof leads. What is there has to hold; only a promise
vouches for the time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from tiffin.errors import InvalidError
from tiffin.oci import codec
from tiffin.trust import pem
from tiffin.trust.merkle import leaf_hash, root_of
from tiffin.trust.refusal import refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeVar

    from tiffin.trust.keys import VerifyingKey

    _Spec = TypeVar("_Spec")

LARGEST: Final = 1 << 20
_NOTE: Final = re.compile(r"\u2014 ([^\s]+) ([A-Za-z0-9+/=]+)\n")
_NOTES: Final = 32


class Log(NamedTuple):
    """A log by its key, `id` in hex; it counts for entries from `start` to `end`, in seconds."""

    key: VerifyingKey
    id: str
    start: float = 0.0
    end: float = float("inf")


class Proof(NamedTuple):
    """The way from an entry to the root of the tree, and the note in which the log signs that root."""

    at: int
    size: int
    root: bytes
    path: tuple[bytes, ...]
    checkpoint: str


class Entry(NamedTuple):
    """An entry, unchecked: the one `at` a place, `time` in seconds, `promise` the log's signature of it."""

    body: bytes
    log_id: str
    at: int
    time: int
    promise: bytes = b""
    proof: Proof | None = None


class _Payload(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    # In the order in which the log signs them: that of their names.
    body: bytes
    integrated_time: int
    log_id: str = msgspec.field(name="logID")
    log_index: int


class _Attached(msgspec.Struct, forbid_unknown_fields=True):
    promise: bytes = msgspec.field(name="SignedEntryTimestamp")
    payload: _Payload = msgspec.field(name="Payload")


def parse_attached(data: bytes) -> Entry:
    """The entry as cosign puts it beside a signature. Raises CorruptError."""
    found = codec.decode(data, _Attached, "the log entry of the signature", limit=LARGEST)
    payload = found.payload
    return Entry(payload.body, payload.log_id, payload.log_index, payload.integrated_time, found.promise)


def check_entry(entry: Entry, logs: Sequence[Log]) -> tuple[Log, int | None]:
    """See that one of `logs` has made the entry; return which, and when, None if it has not said so.

    Raises DeniedError if none has, or if any part that is there does not hold.
    """
    log = next((log for log in logs if log.id == entry.log_id), None)
    if log is None:
        raise refused(f"the signature is entered in a log that is not trusted: {entry.log_id[:64]}")
    if not entry.promise and entry.proof is None:
        raise refused("the log entry of the signature has neither a promise nor a proof of the log")
    if entry.proof is not None:
        _check_proof(entry, entry.proof, log)
    if not entry.promise:
        return log, None
    signed = _Payload(entry.body, entry.time, entry.log_id, entry.at)
    if not log.key.signed(entry.promise, codec.encode(signed)):
        raise refused("the log entry of the signature is forged: the log has not signed it")
    return log, entry.time


def check_time(log: Log, at: int) -> None:
    """See that the log's key counts for that time. Raises DeniedError if it does not."""
    if not log.start <= at <= log.end:
        raise refused("the log entry of the signature is of a time for which the log's key does not count")


def _check_proof(entry: Entry, proof: Proof, log: Log) -> None:
    root = root_of(leaf_hash(entry.body), proof.at, proof.size, proof.path)
    if not hmac.compare_digest(root, proof.root):
        raise refused("the proof of the log does not lead to its root: the log does not hold this entry")
    if not proof.checkpoint and entry.promise:  # as in bundles of version 0.1: the promise alone vouches
        return
    text, _, notes = proof.checkpoint.partition("\n\n")
    lines = text.split("\n")
    if len(lines) < 3 or lines[1] != str(proof.size) or lines[2] != base64.b64encode(root).decode():
        raise refused("the proof of the log is for another state of it than the one that it has signed")
    hint = bytes.fromhex(log.id)[:4]
    for _, encoded in _NOTE.findall(notes)[:_NOTES]:
        note = _base64(encoded)
        if note[:4] == hint and log.key.signed(note[4:], f"{text}\n".encode()):
            return
    raise refused("the log has not signed the state of it that the proof is for")


class Made(NamedTuple):
    """The signature that an entry has to be about: by the key or certificate `signer` (DER), and of what.

    `sha256` is the hash of what is signed; `payload` that of what is in the envelope, if there is one.
    """

    sha256: bytes
    signature: bytes
    signer: bytes
    payload: bytes = b""


def check_body(entry: Entry, made: Made) -> None:
    """See that the entry is about this very signature. Raises DeniedError, CorruptError.

    Without this, any old entry of the log would vouch for a signature that was never entered.
    """
    record = codec.decode(entry.body, _Record, "the body of the log entry", limit=LARGEST)
    kind = f"{record.kind} {record.version}"
    if record.version == "0.0.2" and record.kind in ("hashedrekord", "dsse"):
        _check_second(record, made)
        return
    if kind == "hashedrekord 0.0.1":
        spec = _convert(record.spec, _Hashed)
        expected = made.sha256
        found = (spec.data.hash, spec.signature.content, spec.signature.key.content)
    elif kind == "dsse 0.0.1" and made.payload:
        wrapped = _convert(record.spec, _Wrapped)
        if len(wrapped.signatures) != 1:
            raise refused("the log entry is about several signatures")
        expected = made.payload
        found = (wrapped.hash, wrapped.signatures[0].content, wrapped.signatures[0].verifier)
    else:
        raise refused(
            f"the log entry is of a kind that is not understood here: {kind[:80]!r}",
            "sign with cosign's usual kinds of entries: hashedrekord, or dsse for envelopes",
        )
    hashed, signature, signer = found
    if hashed.algorithm != "sha256" or hashed.value != expected.hex():
        raise refused(_ELSE)
    _check_signed(signature, _der(signer), made)


def _check_signed(signature: bytes, signer: bytes, made: Made) -> None:
    if signature != made.signature:
        raise refused("the log entry is about another signature")
    if signer != made.signer:
        raise refused("the log entry is about a signature by somebody else")


def _check_second(record: _Record, made: Made) -> None:
    """The same of the entries of Rekor 2."""
    found = _convert(record.spec, _Second)
    if record.kind == "hashedrekord" and found.hashed is not None:
        hashed, signed, expected = found.hashed.data, found.hashed.signature, made.sha256
    elif record.kind == "dsse" and found.wrapped is not None and made.payload:
        if len(found.wrapped.signatures) != 1:
            raise refused("the log entry is about several signatures")
        hashed, signed, expected = found.wrapped.hash, found.wrapped.signatures[0], made.payload
    else:
        raise refused("the log entry is about something of another kind")
    if hashed.algorithm != "SHA2_256" or hashed.digest != expected:
        raise refused(_ELSE)
    verifier = signed.verifier
    raw = verifier.certificate or verifier.key
    _check_signed(signed.content, raw.raw_bytes if raw else b"", made)


_ELSE: Final = "the log entry is about something else than what was signed"


class _Record(msgspec.Struct, rename="camel"):
    kind: str
    version: str = msgspec.field(name="apiVersion")
    spec: Any


class _Hash(msgspec.Struct):
    algorithm: str
    value: str


class _Data(msgspec.Struct):
    hash: _Hash


class _Key(msgspec.Struct):
    content: bytes


class _Signature(msgspec.Struct):
    content: bytes
    key: _Key = msgspec.field(name="publicKey")


class _Hashed(msgspec.Struct):
    data: _Data
    signature: _Signature


class _Verified(msgspec.Struct):
    content: bytes = msgspec.field(name="signature")
    verifier: bytes


class _Wrapped(msgspec.Struct):
    hash: _Hash = msgspec.field(name="payloadHash")
    signatures: list[_Verified]


class _Raw(msgspec.Struct, rename="camel"):
    raw_bytes: bytes


class _Verifier(msgspec.Struct):
    certificate: _Raw | None = msgspec.field(default=None, name="x509Certificate")
    key: _Raw | None = msgspec.field(default=None, name="publicKey")


class _SecondHash(msgspec.Struct):
    algorithm: str
    digest: bytes


class _SecondSignature(msgspec.Struct):
    content: bytes
    verifier: _Verifier


class _SecondHashed(msgspec.Struct):
    data: _SecondHash
    signature: _SecondSignature


class _SecondWrapped(msgspec.Struct):
    hash: _SecondHash = msgspec.field(name="payloadHash")
    signatures: list[_SecondSignature]


class _Second(msgspec.Struct):
    hashed: _SecondHashed | None = msgspec.field(default=None, name="hashedRekordV002")
    wrapped: _SecondWrapped | None = msgspec.field(default=None, name="dsseV002")


def _convert(spec: Any, kind: type[_Spec]) -> _Spec:
    try:
        return msgspec.convert(spec, kind)
    except msgspec.ValidationError as error:
        raise refused(f"the log entry is malformed: {error}") from None


def _der(text: bytes) -> bytes:
    try:
        return pem.block(text, "the key in the log entry").data
    except InvalidError as error:
        raise refused(error.message) from None


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
