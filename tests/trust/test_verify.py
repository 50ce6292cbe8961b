"""Signatures with certificates and log entries of a made-up sigstore: those that count, and others."""

import base64
import copy
import hashlib
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.doubles.sigstore import EMAIL, ISSUER, NOW, Sigstore, b64, new_key, pae, pem_of, sign, statement

from tiffin.errors import CorruptError, DeniedError, InvalidError, TiffinError
from tiffin.oci.digest import Digest
from tiffin.trust.attached import Attached
from tiffin.trust.bundle import parse_bundle
from tiffin.trust.certificates import load_certificate
from tiffin.trust.keys import load_public_key
from tiffin.trust.log import Log
from tiffin.trust.payload import Payload, compose
from tiffin.trust.timestamp import check_timestamp
from tiffin.trust.trustedroot import parse_trusted_root
from tiffin.trust.verify import ByCertificate, ByKey, by_email, by_name, verify_attached, verify_bundle

DIGEST = Digest("sha256:" + "ab" * 32)
NAME = "r.example.org/finca:1"


@pytest.fixture(scope="module")
def world():
    return Sigstore()


@pytest.fixture(scope="module")
def key():
    return new_key()


@pytest.fixture(scope="module")
def trusted(world):
    root = parse_trusted_root(world.trusted_root(), "trusted_root.json")
    return ByCertificate(root.authorities, root.logs, by_name(EMAIL, ISSUER), root.certificate_logs)


def cert_pem(certificate):
    return certificate.public_bytes(Encoding.PEM)


def made(world, key, *, certificate=None, digest=DIGEST, at=NOW + 60, **changes):
    """A keyless signature as cosign 2 puts it beside an image."""
    certificate = certificate or world.certificate(key)
    payload = compose(Payload(digest, NAME, {}))
    signature = sign(key, payload)
    body = world.hashed_record(hashlib.sha256(payload).digest(), signature, cert_pem(certificate))
    chain = cert_pem(world.middle) + cert_pem(world.root)
    found = Attached(
        payload, signature, cert_pem(certificate), chain, json.dumps(world.promise(body, at)).encode()
    )
    return found._replace(**changes)


def test_a_signature_by_certificate_counts(world, key, trusted):
    found = verify_attached(made(world, key), trusted, DIGEST)
    assert found == (DIGEST, NAME, EMAIL, ISSUER, NOW + 60)


def test_the_chain_may_be_in_the_trusted_root_alone(world, key, trusted):
    assert verify_attached(made(world, key, chain=b""), trusted, DIGEST).signer == EMAIL


def refusal(found, signer, digest=DIGEST, kind=DeniedError):
    with pytest.raises(kind) as caught:
        verify_attached(found, signer, digest)
    return caught.value.message


@pytest.mark.parametrize("at", [NOW - 1, NOW + 601, 2**62])
def test_the_log_must_have_entered_it_while_the_certificate_was_valid(world, key, trusted, at):
    assert "was valid from" in refusal(made(world, key, at=at), trusted)


def test_who_and_by_whose_word(world, key, trusted):
    other = world.certificate(key, email="eve@example.org")
    assert "eve@example.org" in refusal(made(world, key, certificate=other), trusted)
    other = world.certificate(key, issuer="https://accounts.example.com")
    assert "accounts.example.com" in refusal(made(world, key, certificate=other), trusted)


@pytest.mark.parametrize(
    ("wanted", "counts"),
    [
        (by_name("anna@", ISSUER, pattern=True), True),
        (by_name("^eve", ISSUER, pattern=True), False),
        (by_name(EMAIL, "example", issuer_pattern=True), True),
        (by_name(EMAIL, "^example", issuer_pattern=True), False),
        (by_name("anna", ISSUER), False),
        (by_email(EMAIL, ISSUER), True),
        (by_email("anna", ISSUER), False),
    ],
)
def test_names_are_whole_unless_an_expression_is_given(world, key, trusted, wanted, counts):
    signer = trusted._replace(wanted=wanted)
    if counts:
        assert verify_attached(made(world, key), signer, DIGEST)
    else:
        refusal(made(world, key), signer)
    with pytest.raises(InvalidError):
        by_name("(", ISSUER, pattern=True)


def test_a_job_has_an_address_and_no_mail(world, key, trusted):
    job = "https://ci.example.org/finca/.github/workflows/release.yml@refs/tags/v1"
    san = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(job)])
    found = made(world, key, certificate=world.certificate(key, san=san))
    assert verify_attached(found, trusted._replace(wanted=by_name(job, ISSUER)), DIGEST).signer == job
    refusal(found, trusted._replace(wanted=by_email(job, ISSUER)))


def test_a_name_of_neither_mail_nor_address(world, key, trusted):
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
    san = x509.SubjectAlternativeName([x509.OtherName(oid, b"\x0c\x04anna")])
    found = made(world, key, certificate=world.certificate(key, san=san))
    assert verify_attached(found, trusted._replace(wanted=by_name("anna", ISSUER)), DIGEST).signer == "anna"
    for value in (b"\x04\x04anna", b"\x0c\x01\xff"):
        san = x509.SubjectAlternativeName([x509.OtherName(oid, value)])
        with pytest.raises((DeniedError, InvalidError)):
            verify_attached(made(world, key, certificate=world.certificate(key, san=san)), trusted, DIGEST)


def test_another_image(world, key, trusted):
    other = Digest("sha256:" + "cd" * 32)
    assert str(DIGEST) in refusal(made(world, key), trusted, other)


def test_a_changed_payload(world, key, trusted):
    payload = compose(Payload(Digest("sha256:" + "cd" * 32), NAME, {}))
    refusal(made(world, key, payload=payload), trusted, Digest("sha256:" + "cd" * 32))


def test_a_log_entry_of_another_signature(world, key, trusted):
    """Any old entry of the log must not vouch for a signature that was never entered (CVE-2022-36056)."""
    certificate = world.certificate(key)
    other = made(world, key, certificate=certificate, digest=Digest("sha256:" + "cd" * 32))
    assert "something else" in refusal(made(world, key, certificate=certificate, entry=other.entry), trusted)
    again = made(world, key, certificate=certificate)  # of the same, and with another signature
    assert "another signature" in refusal(
        made(world, key, certificate=certificate, entry=again.entry), trusted
    )
    found = made(world, key, certificate=certificate)
    body = world.hashed_record(
        hashlib.sha256(found.payload).digest(), found.signature, cert_pem(world.certificate(key))
    )
    entry = json.dumps(world.promise(body)).encode()
    assert "somebody else" in refusal(found._replace(entry=entry), trusted)


@pytest.mark.parametrize("field", ["integratedTime", "logIndex"])
def test_a_log_entry_that_was_changed(world, key, trusted, field):
    found = made(world, key)
    entry = json.loads(found.entry)
    entry["Payload"][field] += 1
    assert "forged" in refusal(found._replace(entry=json.dumps(entry).encode()), trusted)


def test_no_log_entry_or_one_of_another_log(world, key, trusted):
    assert "in no log" in refusal(made(world, key, entry=b""), trusted)
    strange = Sigstore()
    found = made(world, key)
    body = base64.b64decode(json.loads(found.entry)["Payload"]["body"])
    entry = json.dumps(strange.promise(body)).encode()
    assert "not trusted" in refusal(found._replace(entry=entry), trusted)


def test_another_authority(world, key, trusted):
    strange = Sigstore()
    found = made(world, key, certificate=strange.certificate(key))
    chain = cert_pem(strange.middle) + cert_pem(strange.root)
    assert "no trusted authority" in refusal(found._replace(chain=chain), trusted)


def test_certificates_that_vouch_for_each_other_end_soon(world, key, trusted):
    """As many as are looked at, all with one name, each issued by each: a search of all ways takes hours."""
    strange = Sigstore()
    found = made(world, key, certificate=strange.certificate(key))
    loop = [
        strange._authority("middle", strange.middle_key, "middle", strange.middle_key, 9) for _ in range(16)
    ]
    assert "no trusted authority" in refusal(found._replace(chain=b"".join(map(cert_pem, loop))), trusted)


def test_a_certificate_that_may_not_issue_others(world, key, trusted):
    """The holder of a certificate must not make certificates for others with it."""
    leaf, other = world.certificate(key), new_key()
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(leaf.subject)
        .public_key(other.public_key())
        .serial_number(1)
        .not_valid_before(leaf.not_valid_before_utc)
        .not_valid_after(leaf.not_valid_after_utc)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    )
    from cryptography.hazmat.primitives import hashes

    forged = built.sign(key, hashes.SHA256())
    found = made(world, other, certificate=forged)
    assert "no trusted authority" in refusal(found._replace(chain=cert_pem(leaf) + found.chain), trusted)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sct": False}, "no trusted log has entered the certificate"),
        ({"usage": ExtendedKeyUsageOID.SERVER_AUTH}, "not made to sign this"),
        (
            {"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"), True)]},
            "unknown rule 1.2.3.4",
        ),
        ({"extra": [(x509.BasicConstraints(ca=True, path_length=None), True)]}, "one of an authority"),
    ],
)
def test_certificates_of_other_kinds(world, key, trusted, changes, words):
    found = made(world, key, certificate=world.certificate(key, **changes))
    assert words in refusal(found, trusted)


def test_a_certificate_of_two_issuers(world, key, trusted):
    certificate = world.certificate(key)
    two = trusted._replace(wanted=lambda holder: holder.issuer == ISSUER)
    assert verify_attached(made(world, key, certificate=certificate), two, DIGEST).issuer == ISSUER


def test_the_certificate_need_not_be_public_if_nobody_asks(world, key, trusted):
    found = made(world, key, certificate=world.certificate(key, sct=False))
    assert verify_attached(found, trusted._replace(certificate_logs=()), DIGEST)


def test_a_timestamp_of_a_log_that_is_not_trusted(world, key, trusted):
    strange = parse_trusted_root(Sigstore().trusted_root(), "other")
    refusal(made(world, key), trusted._replace(certificate_logs=strange.certificate_logs))


@pytest.mark.parametrize(
    "changes",
    [
        {"certificate": b""},
        {"certificate": b"\xff"},
        {"certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"chain": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
        {"entry": b"{}"},
        {"entry": b"\xff\xfe"},
        {"entry": b"[" * 100_000},
        {"signature": b"x"},
        {"payload": b"{}"},
    ],
)
def test_what_is_broken_is_refused(world, key, trusted, changes):
    found = made(world, key)._replace(**changes)
    refusal(found, trusted, kind=(DeniedError, CorruptError, InvalidError))


def test_two_certificates_of_one_signer(world, key, trusted):
    twice = cert_pem(world.certificate(key)) * 2
    assert "several" in refusal(
        made(world, key, certificate=world.certificate(key))._replace(certificate=twice), trusted
    )


# With a key.


def test_a_key_counts_for_what_it_signed(world, key):
    payload = compose(Payload(DIGEST, NAME, {}))
    found = Attached(payload, sign(key, payload))
    mine, other = (load_public_key(pem_of(each), "key") for each in (key, new_key()))
    assert verify_attached(found, ByKey((other, mine)), DIGEST) == (
        DIGEST,
        NAME,
        f"sha256:{mine.id}",
        "",
        None,
    )
    refusal(found, ByKey((other,)))
    refusal(found, ByKey(()))
    refusal(found, ByKey((mine,)), Digest("sha256:" + "cd" * 32))


def test_a_key_with_a_log(world, key):
    payload = compose(Payload(DIGEST, NAME, {}))
    mine, log = load_public_key(pem_of(key), "key"), load_public_key(pem_of(world.log_key), "log")
    signer = ByKey((mine,), (Log(log, log.id),))
    found = Attached(payload, sign(key, payload))
    assert "in no log" in refusal(found, signer)
    body = world.hashed_record(hashlib.sha256(payload).digest(), found.signature, pem_of(key))
    entered = found._replace(entry=json.dumps(world.promise(body)).encode())
    assert verify_attached(entered, signer, DIGEST).time == NOW + 60
    body = world.hashed_record(hashlib.sha256(payload).digest(), found.signature, pem_of(new_key()))
    other = found._replace(entry=json.dumps(world.promise(body)).encode())
    assert "somebody else" in refusal(other, signer)


# Bundles.


def bundled(world, key, *, certificate=None, at=NOW + 60, text=None, **entry):
    """A bundle as cosign 3 attaches it: an envelope with a statement."""
    certificate = certificate or world.certificate(key)
    text = text or statement(DIGEST)
    signature = sign(key, pae(text))
    body = world.dsse_record(text, signature, cert_pem(certificate))
    return world.bundle(signature, certificate, [world.entry(body, at, **entry)], payload=text)


def verify(document, signer, digest=DIGEST):
    return verify_bundle(parse_bundle(json.dumps(document).encode(), "the bundle"), signer, digest)


def test_a_bundle_counts(world, key, trusted):
    assert verify(bundled(world, key), trusted) == (DIGEST, "", EMAIL, ISSUER, NOW + 60)
    named = bundled(world, key, text=statement(DIGEST, subject_name=NAME))
    assert verify(named, trusted).reference == NAME


def test_a_bundle_of_the_manifest_itself(world, key, trusted):
    manifest = b"the bytes of a manifest"
    digest, hashed = Digest.of(manifest), hashlib.sha256(manifest).digest()
    certificate, signature = world.certificate(key), sign(key, manifest)
    body = world.hashed_record(hashed, signature, cert_pem(certificate))
    found = world.bundle(signature, certificate, [world.entry(body)], sha256=hashed)
    assert verify(found, trusted, digest).signer == EMAIL
    with pytest.raises(DeniedError, match="another image"):
        verify(found, trusted)
    lied = world.bundle(signature, certificate, [world.entry(body)], sha256=bytes.fromhex(DIGEST.encoded))
    with pytest.raises(DeniedError):
        verify(lied, trusted)


def test_an_envelope_may_be_entered_by_its_hash(world, key, trusted):
    certificate, text = world.certificate(key), statement(DIGEST)
    signature = sign(key, pae(text))
    body = world.hashed_record(hashlib.sha256(pae(text)).digest(), signature, cert_pem(certificate))
    assert verify(world.bundle(signature, certificate, [world.entry(body)], payload=text), trusted)


def test_a_promise_without_a_proof_and_a_proof_without_a_promise(world, key, trusted):
    assert verify(bundled(world, key, proof=False), trusted)
    with pytest.raises(DeniedError, match="nobody who is trusted says when"):
        verify(bundled(world, key, promise=False), trusted)
    with pytest.raises(DeniedError, match="neither"):
        verify(bundled(world, key, promise=False, proof=False), trusted)


def changed(document, path, value):
    found = copy.deepcopy(document)
    at = found
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value(at[path[-1]]) if callable(value) else value
    return found


ENTRY = ("verificationMaterial", "tlogEntries", 0)
PROOF = (*ENTRY, "inclusionProof")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((*PROOF, "rootHash"), b64(bytes(32))),
        ((*PROOF, "treeSize"), "5"),
        ((*PROOF, "logIndex"), "2"),
        ((*PROOF, "hashes"), []),
        ((*PROOF, "hashes", 0), b64(bytes(32))),
        ((*PROOF, "checkpoint", "envelope"), "log.example.org - 1\n4\n"),
        ((*PROOF, "checkpoint", "envelope"), lambda text: text.replace("\n4\n", "\n5\n")),
        ((*PROOF, "checkpoint", "envelope"), lambda text: text.partition("\n\n")[0] + "\n\n"),
        ((*ENTRY, "integratedTime"), str(NOW + 61)),
        ((*ENTRY, "integratedTime"), "-1"),
        ((*ENTRY, "integratedTime"), "x" * 100),
        ((*ENTRY, "logIndex"), "8"),
        ((*ENTRY, "canonicalizedBody"), b64(b"{}")),
        ((*ENTRY, "logId", "keyId"), b64(bytes(32))),
        (("verificationMaterial", "tlogEntries"), []),
        (("verificationMaterial", "tlogEntries"), lambda entries: entries * 9),
        (("verificationMaterial", "certificate"), None),
        (("dsseEnvelope", "payload"), b64(statement("sha256:" + "cd" * 32))),
        (("dsseEnvelope", "payloadType"), "text/plain"),
        (("dsseEnvelope", "signatures"), []),
        (("dsseEnvelope", "signatures"), lambda found: found * 2),
        (("dsseEnvelope", "signatures", 0, "sig"), b64(b"x")),
        (("mediaType",), "application/vnd.dev.sigstore.bundle.v9+json"),
    ],
)
def test_a_bundle_with_any_part_changed_is_refused(world, key, trusted, path, value):
    with pytest.raises(TiffinError):
        verify(changed(bundled(world, key), path, value), trusted)


def test_a_bundle_that_states_something_else(world, key, trusted):
    with pytest.raises(DeniedError, match="another image"):
        verify(bundled(world, key, text=statement("sha256:" + "cd" * 32)), trusted)
    with pytest.raises(DeniedError, match="no signature but states"):
        verify(bundled(world, key, text=statement(DIGEST, "https://slsa.dev/provenance/v1")), trusted)


def test_a_bundle_with_an_expired_certificate(world, key, trusted):
    with pytest.raises(DeniedError, match="was valid from"):
        verify(bundled(world, key, at=NOW + 700), trusted)


def test_a_bundle_by_a_key(world, key):
    text = statement(DIGEST)
    found = world.bundle(sign(key, pae(text)), world.certificate(key), [], payload=text)
    del found["verificationMaterial"]["certificate"]
    found["verificationMaterial"]["publicKey"] = {"hint": "x"}
    assert verify(found, ByKey((load_public_key(pem_of(key), "key"),))).digest == DIGEST


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root.update(mediaType="text/plain"),
        lambda root: root.pop("certificateAuthorities"),
        lambda root: root["certificateAuthorities"][0]["certChain"].update(certificates=[]),
        lambda root: root["tlogs"][0]["publicKey"].update(rawBytes="AAAA"),
        lambda root: root.update(tlogs=root["tlogs"] * 65),
    ],
)
def test_a_malformed_trusted_root(world, change):
    root = json.loads(world.trusted_root())
    change(root)
    with pytest.raises(TiffinError):
        parse_trusted_root(json.dumps(root).encode(), "trusted_root.json")


def test_roots_count_only_for_their_time(world, key, trusted):
    root = json.loads(world.trusted_root())
    root["certificateAuthorities"][0]["validFor"] = {
        "start": "2020-01-01T00:00:00Z",
        "end": "2021-01-01T00:00:00Z",
    }
    old = parse_trusted_root(json.dumps(root).encode(), "old")
    assert "does not count" in refusal(made(world, key), trusted._replace(authorities=old.authorities))
    root["tlogs"][0]["publicKey"]["validFor"] = {"start": "2024-01-01T00:00:00Z"}
    new = parse_trusted_root(json.dumps(root).encode(), "new")
    assert "time for which" in refusal(made(world, key), trusted._replace(logs=new.logs))


# The second version of the log, which leaves the time to an authority for it.


@pytest.fixture(scope="module")
def stamped(world, trusted):
    root = parse_trusted_root(world.trusted_root(), "trusted_root.json")
    return trusted._replace(stampers=root.stampers)


def second(world, key, *, kind="hashedrekord", certificate=None, entered=None, stamps=None, **stamp):
    certificate, text = certificate or world.certificate(key), statement(DIGEST)
    signature = sign(key, pae(text))
    hashed = pae(text) if kind == "hashedrekord" else text
    body = world.second_record(kind, hashlib.sha256(hashed).digest(), entered or signature, certificate)
    stamps = [world.stamp(signature, **stamp)] if stamps is None else stamps
    return world.bundle(signature, certificate, [world.second_entry(body)], payload=text, stamps=stamps)


@pytest.mark.parametrize("kind", ["hashedrekord", "dsse"])
def test_a_timestamp_says_when(world, key, stamped, kind):
    assert verify(second(world, key, kind=kind), stamped).time == NOW + 60


def test_a_timestamp_beside_a_promise_has_to_hold_too(world, key, stamped):
    found = bundled(world, key)
    signature = base64.b64decode(found["dsseEnvelope"]["signatures"][0]["sig"])
    found["verificationMaterial"]["timestampVerificationData"] = {
        "rfc3161Timestamps": [{"signedTimestamp": b64(world.stamp(signature))}]
    }
    assert verify(found, stamped)
    late = b64(world.stamp(signature, NOW + 700))
    found["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"].append(
        {"signedTimestamp": late}
    )
    with pytest.raises(DeniedError, match="was valid from"):
        verify(found, stamped)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stamps": []}, "nobody who is trusted says when"),
        ({"at": NOW + 700}, "was valid from"),
        ({"at": NOW + 5000}, "by nobody who is trusted for it"),
        ({"named": bytes(32)}, "by nobody who is trusted for it"),
        ({"by": new_key()}, "by nobody who is trusted for it"),
        ({"entered": b"x"}, "another signature"),
        ({"stamps": [b""]}, "malformed"),
        ({"stamps": [b"\x30\x84\xff\xff\xff\xff"]}, "malformed"),
        ({"stamps": [b"\x30\x80" * 1000]}, "malformed"),
        ({"stamps": [b"\x30\x03\x02\x01\x00"]}, "malformed"),
        ({"stamps": [bytes(70_000)]}, "malformed"),
        ({"stamps": [b""] * 9}, "more than 8"),
    ],
)
def test_timestamps_that_do_not_count(world, key, stamped, changes, words):
    with pytest.raises(DeniedError, match=words):
        verify(second(world, key, **changes), stamped)


def test_a_timestamp_of_another_signature(world, key, stamped):
    with pytest.raises(DeniedError, match="of another signature"):
        verify(second(world, key, stamps=[world.stamp(b"other")]), stamped)


def test_a_certificate_that_is_not_for_timestamps(world, key, stamped):
    wrong = world.timer(ExtendedKeyUsageOID.CODE_SIGNING)
    with pytest.raises(DeniedError, match="by nobody who is trusted for it"):
        verify(_with_timer(world, key, wrong), stamped)


def _with_timer(world, key, timer):
    found = second(world, key)
    signature = base64.b64decode(found["dsseEnvelope"]["signatures"][0]["sig"])
    stamp = b64(world.stamp(signature, certificate=timer))
    found["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] = [
        {"signedTimestamp": stamp}
    ]
    return found


def test_a_timer_of_another_authority(world, key, stamped):
    strange = parse_trusted_root(Sigstore().trusted_root(), "other")
    with pytest.raises(DeniedError, match="by nobody who is trusted for it"):
        verify(second(world, key), stamped._replace(stampers=strange.stampers))


def test_a_timestamp_that_names_its_signer_by_nothing(world, stamped):
    stamp = world.stamp(b"signature", naming=bytes.fromhex("300430023000"))
    with pytest.raises(DeniedError, match="timestamp of the signature is malformed"):
        check_timestamp(stamp, b"signature", stamped.stampers)


def test_no_flipped_bit_of_a_timestamp_moves_its_time(world, key, stamped):
    found = second(world, key)
    raw = base64.b64decode(
        found["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]["signedTimestamp"]
    )
    signature = base64.b64decode(found["dsseEnvelope"]["signatures"][0]["sig"])
    for at in range(0, len(raw), 3):
        flipped = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        try:
            assert check_timestamp(flipped, signature, stamped.stampers) == NOW + 60
        except TiffinError:
            continue


def test_a_certificate_whose_signature_is_not_of_whole_bytes(world, key):
    certificate = world.certificate(key)
    while certificate.signature[-1] & 1:  # the bit to leave out has to be 0 for the library
        certificate = world.certificate(key)
    raw, tail = certificate.public_bytes(Encoding.DER), certificate.signature
    assert load_certificate(raw, "it") == certificate
    with pytest.raises(InvalidError, match="not of whole bytes"):
        load_certificate(raw.removesuffix(b"\0" + tail) + b"\1" + tail, "it")


def test_no_flipped_bit_of_a_certificate_is_overlooked_or_makes_it_fail_in_another_way(world, key, trusted):
    certificate = world.certificate(key)
    found, raw = made(world, key, certificate=certificate), certificate.public_bytes(Encoding.DER)
    for at in range(0, len(raw), 2):
        flipped = raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :]
        text = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(flipped) + b"\n-----END CERTIFICATE-----\n"
        body = world.hashed_record(hashlib.sha256(found.payload).digest(), found.signature, text)
        entry = json.dumps(world.promise(body)).encode()
        with pytest.raises(TiffinError):
            verify_attached(found._replace(certificate=text, entry=entry), trusted, DIGEST)
