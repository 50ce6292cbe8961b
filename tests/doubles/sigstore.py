"""A sigstore of the tests' own: an authority, a log of signatures, a log of certificates, and what they sign.

Written from the specifications alone, without the code that it tests. Any part can be made wrong.
"""

import base64
import hashlib
import json
import struct
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = 1_700_000_000
ISSUER = "https://accounts.example.org"
EMAIL = "anna@example.org"
SCT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_TEXT_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def b64(data):
    return base64.b64encode(data).decode()


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def der_of(key):
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def pem_of(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(key, data):
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def when(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def der(tag, *parts):
    """A value in DER."""
    data = b"".join(parts)
    length = bytes([len(data)]) if len(data) < 128 else b"\x82" + len(data).to_bytes(2)
    return bytes([tag]) + length + data


def der_octets(data):
    return der(4, data)


SHA256 = der(0x30, bytes.fromhex("0609608648016503040201"))
ECDSA_SHA256 = der(0x30, bytes.fromhex("06082a8648ce3d040302"))
TST_INFO = bytes.fromhex("060b2a864886f70d0109100104")


def tree_hash(leaves):
    """MTH of RFC 6962, 2.1."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:k]) + tree_hash(leaves[k:])).digest()


def tree_path(index, leaves):
    """PATH of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if index < k:
        return [*tree_path(index, leaves[:k]), tree_hash(leaves[k:])]
    return [*tree_path(index - k, leaves[k:]), tree_hash(leaves[:k])]


class Sigstore:
    """Keys and certificates of one world; another one is not trusted by who trusts this one."""

    def __init__(self) -> None:
        self.root_key, self.middle_key, self.log_key, self.ct_key = (new_key() for _ in range(4))
        self.root = self._authority("root", self.root_key, "root", self.root_key, 1)
        self.middle = self._authority("middle", self.middle_key, "root", self.root_key, 0)
        self.log_id = hashlib.sha256(der_of(self.log_key)).digest()
        self.second_key = ed25519.Ed25519PrivateKey.generate()
        self.time_root_key, self.time_key = new_key(), new_key()
        self.time_root = self._authority("time root", self.time_root_key, "time root", self.time_root_key, 0)
        self.time = self.timer()
        self.leaves = [b"something", b"else", b"before"]

    def _authority(self, subject, key, issuer, issuer_key, path_length):
        built = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(when(NOW - 10_000_000))
            .not_valid_after(when(NOW + 10_000_000))
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        )
        return built.sign(issuer_key, hashes.SHA256())

    def certificate(
        self, key, *, email=EMAIL, issuer=ISSUER, at=NOW, san=None, sct=True, extra=(), usage=None
    ):
        """A certificate of ten minutes from `at` on, as Fulcio issues it."""
        names = san or x509.SubjectAlternativeName([x509.RFC822Name(email)])
        text = issuer.encode()
        built = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(name("middle"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(when(at))
            .not_valid_after(when(at) + timedelta(minutes=10))
            .add_extension(x509.ExtendedKeyUsage([usage or ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(names, critical=True)
            .add_extension(x509.UnrecognizedExtension(ISSUER_OID, text), critical=False)
            .add_extension(
                x509.UnrecognizedExtension(ISSUER_TEXT_OID, b"\x0c" + bytes([len(text)]) + text),
                critical=False,
            )
        )
        for extension, critical in extra:
            built = built.add_extension(extension, critical=critical)
        if not sct:
            return built.sign(self.middle_key, hashes.SHA256())
        draft = self._with_sct(built, b"\x30\x06\x02\x01\x01\x02\x01\x01", at)
        return self._with_sct(
            built, sign(self.ct_key, self._sct_body(draft.tbs_precertificate_bytes, at)), at
        )

    def _sct_body(self, tbs, at):
        issuer = hashlib.sha256(der_of(self.middle_key)).digest()
        return struct.pack("!BBQH", 0, 0, at * 1000, 1) + issuer + len(tbs).to_bytes(3) + tbs + b"\0\0"

    def _with_sct(self, built, signature, at):
        log_id = hashlib.sha256(der_of(self.ct_key)).digest()
        sct = (
            b"\0"
            + log_id
            + struct.pack("!QH", at * 1000, 0)
            + b"\x04\x03"
            + struct.pack("!H", len(signature))
        )
        sct += signature
        listed = struct.pack("!H", len(sct)) + sct
        value = der_octets(struct.pack("!H", len(listed)) + listed)
        return built.add_extension(x509.UnrecognizedExtension(SCT_OID, value), critical=False).sign(
            self.middle_key, hashes.SHA256()
        )

    def timer(self, usage=ExtendedKeyUsageOID.TIME_STAMPING, at=NOW - 1000):
        """A certificate for timestamps, of an hour."""
        built = (
            x509.CertificateBuilder()
            .subject_name(name("time"))
            .issuer_name(name("time root"))
            .public_key(self.time_key.public_key())
            .serial_number(4711)
            .not_valid_before(when(at))
            .not_valid_after(when(at + 3600))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        )
        return built.sign(self.time_root_key, hashes.SHA256())

    def stamp(self, signature, at=NOW + 60, *, certificate=None, by=None, named=None, naming=None):
        """A timestamp of a signature (RFC 3161)."""
        certificate = certificate or self.time
        imprint = der(0x30, SHA256, der_octets(hashlib.sha256(signature).digest()))
        moment = der(0x18, f"{when(at):%Y%m%d%H%M%SZ}".encode())
        content = der(0x30, b"\x02\x01\x01", b"\x06\x01\x2a", imprint, b"\x02\x01\x07", moment)
        named = named or hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
        signer = naming or der(0x30, der(0x30, der(0x30, der_octets(named))))
        attributes = b"".join(
            der(0x30, bytes.fromhex(oid), der(0x31, value))
            for oid, value in (
                ("06092a864886f70d010903", TST_INFO),
                ("06092a864886f70d010904", der_octets(hashlib.sha256(content).digest())),
                ("060b2a864886f70d010910022f", signer),
            )
        )
        signed = sign(by or self.time_key, der(0x31, attributes))
        number = certificate.serial_number.to_bytes(2)
        who = der(0x30, certificate.issuer.public_bytes(), der(2, number))
        info = der(
            0x30, b"\x02\x01\x01", who, SHA256, der(0xA0, attributes), ECDSA_SHA256, der_octets(signed)
        )
        inner = der(0x30, TST_INFO, der(0xA0, der_octets(content)))
        along = der(0xA0, certificate.public_bytes(Encoding.DER))
        data = der(0x30, b"\x02\x01\x03", der(0x31, SHA256), inner, along, der(0x31, info))
        token = der(0x30, bytes.fromhex("06092a864886f70d010702"), der(0xA0, data))
        return der(0x30, der(0x30, b"\x02\x01\x00"), token)

    def second_record(self, kind, sha256, signature, certificate):
        """The body of an entry in the second version of the log."""
        signed = {
            "content": b64(signature),
            "verifier": {"x509Certificate": {"rawBytes": b64(certificate.public_bytes(Encoding.DER))}},
        }
        hashed = {"algorithm": "SHA2_256", "digest": b64(sha256)}
        spec = {
            "hashedrekord": {"hashedRekordV002": {"data": hashed, "signature": signed}},
            "dsse": {"dsseV002": {"payloadHash": hashed, "signatures": [signed]}},
        }
        return json.dumps({"apiVersion": "0.0.2", "kind": kind, "spec": spec[kind]}).encode()

    def second_entry(self, body):
        """An entry of that log: a proof, and no time."""
        log_id = hashlib.sha256(der_of(self.second_key)).digest()
        return self.entry(body, 0, promise=False, log_id=log_id, sign_note=self.second_key.sign)

    def trusted_root(self):
        """trusted_root.json."""
        start = {"start": "2020-01-01T00:00:00Z"}

        def log(key):
            return {
                "baseUrl": "https://log.example.org",
                "hashAlgorithm": "SHA2_256",
                "publicKey": {
                    "rawBytes": b64(der_of(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": start,
                },
                "logId": {"keyId": b64(hashlib.sha256(der_of(key)).digest())},
            }  # fmt: skip

        chain = [{"rawBytes": b64(each.public_bytes(Encoding.DER))} for each in (self.middle, self.root)]
        return json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
                "tlogs": [log(self.log_key), log(self.second_key)],
                "certificateAuthorities": [{"certChain": {"certificates": chain}, "validFor": start}],
                "ctlogs": [log(self.ct_key)],
                "timestampAuthorities": [
                    {
                        "certChain": {
                            "certificates": [
                                {"rawBytes": b64(each.public_bytes(Encoding.DER))}
                                for each in (self.time, self.time_root)
                            ]
                        },
                        "validFor": start,
                    }
                ],
            }
        ).encode()

    def hashed_record(self, sha256, signature, signer_pem):
        """The body of an entry for a signature: a hashedrekord."""
        return json.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "hashedrekord",
                "spec": {
                    "data": {"hash": {"algorithm": "sha256", "value": sha256.hex()}},
                    "signature": {"content": b64(signature), "publicKey": {"content": b64(signer_pem)}},
                },
            },
            separators=(",", ":"),
        ).encode()

    def dsse_record(self, payload, signature, signer_pem):
        """The body of an entry for an envelope."""
        return json.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": {"algorithm": "sha256", "value": "00" * 32},
                    "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
                    "signatures": [{"signature": b64(signature), "verifier": b64(signer_pem)}],
                },
            },
            separators=(",", ":"),
        ).encode()

    def promise(self, body, at=NOW + 60, index=7):
        """The log's signed entry timestamp, and what it signs."""
        payload = {"body": b64(body), "integratedTime": at, "logID": self.log_id.hex(), "logIndex": index}
        signed = json.dumps(payload, separators=(",", ":"), sort_keys=True).encode()
        return {"SignedEntryTimestamp": b64(sign(self.log_key, signed)), "Payload": payload}

    def entry(self, body, at=NOW + 60, *, promise=True, proof=True, log_id=None, sign_note=None):
        """An entry as bundles have it, in a log of four entries."""
        log_id = log_id or self.log_id
        sign_note = sign_note or (lambda data: sign(self.log_key, data))
        leaves = [*self.leaves, body]
        root = tree_hash(leaves)
        note = f"log.example.org - 1\n{len(leaves)}\n{b64(root)}\n"
        signature = b64(log_id[:4] + sign_note(note.encode()))
        found = {
            "logIndex": "7",
            "logId": {"keyId": b64(log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(at),
            "canonicalizedBody": b64(body),
        }
        if promise:
            found["inclusionPromise"] = {
                "signedEntryTimestamp": self.promise(body, at)["SignedEntryTimestamp"]
            }
        if proof:
            found["inclusionProof"] = {
                "logIndex": "3",
                "rootHash": b64(root),
                "treeSize": str(len(leaves)),
                "hashes": [b64(each) for each in tree_path(3, leaves)],
                "checkpoint": {"envelope": f"{note}\n— log.example.org {signature}\n"},
            }
        return found

    def bundle(self, signature, leaf, entries, *, payload=None, sha256=b"", stamps=()):
        """A bundle of version 0.3, of an envelope with `payload` or of what has the hash."""
        found = {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "certificate": {"rawBytes": b64(leaf.public_bytes(Encoding.DER))},
                "tlogEntries": entries,
                "timestampVerificationData": {
                    "rfc3161Timestamps": [{"signedTimestamp": b64(each)} for each in stamps]
                },
            },
        }
        if payload is None:
            found["messageSignature"] = {
                "messageDigest": {"algorithm": "SHA2_256", "digest": b64(sha256)},
                "signature": b64(signature),
            }
        else:
            found["dsseEnvelope"] = {
                "payload": b64(payload),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": b64(signature), "keyid": ""}],
            }
        return found


def pae(payload, kind="application/vnd.in-toto+json"):
    """DSSE's pre-authentication encoding."""
    return f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload


def statement(digest, predicate="https://sigstore.dev/cosign/sign/v1", subject_name=None):
    """What cosign 3 signs."""
    subject = {"digest": {"sha256": digest.removeprefix("sha256:")}}
    if subject_name:
        subject["name"] = subject_name
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [subject],
            "predicateType": predicate,
            "predicate": {},
        }
    ).encode()
