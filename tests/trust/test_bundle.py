"""Bundles and DER: whatever is in them, they are read, or refused with one line."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st
from tests.doubles.sigstore import BUNDLE, b64, der, statement

from tiffin.errors import TiffinError
from tiffin.oci.digest import Digest
from tiffin.trust.bundle import Envelope, is_bundle, parse_bundle, signed_name
from tiffin.trust.der import OCTETS, SEQUENCE, read
from tiffin.trust.log import parse_attached

DIGEST = Digest("sha256:" + "ab" * 32)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MATERIAL = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("certificate", "x509CertificateChain", "tlogEntries", "timestampVerificationData"), ANYTHING
    ),
)


@given(MATERIAL, ANYTHING, ANYTHING)
def test_bundles_of_all_shapes(material, message, envelope):
    document = {"mediaType": BUNDLE, "verificationMaterial": material}
    document |= {"messageSignature": message, "dsseEnvelope": envelope}
    try:
        data = json.dumps(document).encode()
    except (ValueError, UnicodeEncodeError):
        return
    with contextlib.suppress(TiffinError):
        parse_bundle(data, "the bundle")


@given(st.binary(max_size=60))
def test_bytes_of_all_kinds(data):
    for parse in (lambda each: parse_bundle(each, "the bundle"), parse_attached, _walk):
        with contextlib.suppress(TiffinError):
            parse(data)


def _walk(data, depth=0):
    for node in read(data).inside() if depth < 5 else []:
        _walk(node.raw, depth + 1)


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_der_is_read_as_it_was_written(texts):
    node = read(der(SEQUENCE, *(der(OCTETS, text) for text in texts)))
    assert [each.body for each in node.inside()] == texts
    assert [each.tag for each in node.inside()] == [OCTETS] * len(texts)


def test_object_identifiers_and_numbers():
    assert read(bytes.fromhex("06092a864886f70d010702")).oid == "1.2.840.113549.1.7.2"
    assert read(bytes.fromhex("0603550403")).oid == "2.5.4.3"
    assert read(bytes.fromhex("020200ff")).number == 255
    assert read(bytes.fromhex("0201ff")).number == -1


def test_names_of_versions():
    for version in ("0.1", "0.2", "0.3"):
        assert is_bundle(f"application/vnd.dev.sigstore.bundle+json;version={version}")
    assert is_bundle(BUNDLE)
    for other in (
        "",
        "application/json",
        f"{BUNDLE}x",
        "application/vnd.dev.sigstore.bundle+json;version=0.9",
    ):
        assert not is_bundle(other)


@given(ANYTHING)
def test_statements_of_all_shapes(document):
    try:
        payload = json.dumps(document).encode()
        signed_name(Envelope(payload, "application/vnd.in-toto+json"), DIGEST)
    except (TiffinError, ValueError):
        return
    raise AssertionError(document)


def test_a_statement_may_name_several_images():
    other = json.loads(statement("sha256:" + "cd" * 32, subject_name="other"))
    mine = json.loads(statement(DIGEST, subject_name="mine"))
    mine["subject"] = [*other["subject"], *mine["subject"]]
    envelope = Envelope(json.dumps(mine).encode(), "application/vnd.in-toto+json")
    assert signed_name(envelope, DIGEST) == "mine"
    assert b64(envelope.signed()).startswith("RFNTRXYx")
