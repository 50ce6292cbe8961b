"""Certificates and bundles, as policies and as the command have them."""

import base64
import json
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.doubles.sigstore import EMAIL, ISSUER, new_key, pae, pem_of, sign, statement
from tests.engine.test_transfers import INDEX, MANIFEST, digest_of, entry, serve_image
from tests.engine.trusting.conftest import NEEDS, keyless, refer, refused, signed_by

from tiffin.engine.signing import Signing, sign_image
from tiffin.engine.transfers import pull
from tiffin.engine.trusting import inspect_image, verify_image
from tiffin.errors import DeniedError, UnsupportedError
from tiffin.oci.reference import Reference
from tiffin.trust.attached import ATTACHED, tag_of
from tiffin.trust.trustedroot import parse_trusted_root
from tiffin.trust.verify import ByCertificate, by_name

pytestmark = NEEDS


def test_a_policy_for_certificates(double, engine, policy, world, tmp_path):
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    name = f"{double.address}/a:1"
    (tmp_path / "ca.pem").write_bytes(world.root.public_bytes(Encoding.PEM))
    requirement = {
        "type": "sigstoreSigned",
        "fulcio": {"caPath": f"{tmp_path}/ca.pem", "oidcIssuer": ISSUER, "subjectEmail": EMAIL},
        "rekorPublicKeyData": base64.b64encode(pem_of(world.log_key)).decode(),
    }
    policy({double.address: [requirement]})
    keyless(double, world, "a", digest, name, email="eve@example.org")
    refused(lambda: pull(engine, name), "eve@example.org")
    keyless(double, world, "a", digest, name)
    assert pull(engine, name).digest == digest
    (claim,) = inspect_image(engine, name).claims
    assert (claim.signer, claim.issuer, claim.reference) == (EMAIL, ISSUER, name)


def test_without_the_library_an_inspection_says_what_to_install(double, engine, world, monkeypatch):
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    keyless(double, world, "a", digest, f"{double.address}/a:1")
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UnsupportedError, match="cryptography is not installed") as caught:
        inspect_image(engine, f"{double.address}/a:1")
    assert "tiffin[trust]" in caught.value.hint


def test_a_bundle_counts_for_the_command_and_for_no_policy(double, engine, policy, world, tmp_path):
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    name, key = f"{double.address}/a:1", new_key()
    certificate, text = world.certificate(key), statement(digest)
    signature = sign(key, pae(text))
    body = world.dsse_record(text, signature, certificate.public_bytes(Encoding.PEM))
    data = json.dumps(world.bundle(signature, certificate, [world.entry(body)], payload=text)).encode()
    refer(double, "a", digest, data)
    root = parse_trusted_root(world.trusted_root(), "trusted_root.json")
    signer = ByCertificate(root.authorities, root.logs, by_name(EMAIL, ISSUER), root.certificate_logs)
    (found,) = verify_image(engine, name, signer)
    assert (found.signer, found.reference) == (EMAIL, "")
    (claim,) = inspect_image(engine, name).claims
    assert (claim.kind, claim.signer) == ("bundle", EMAIL)
    with pytest.raises(DeniedError, match=r"eve.*|anna"):
        verify_image(engine, name, signer._replace(wanted=by_name("eve@example.org", ISSUER)))
    (tmp_path / "ca.pem").write_bytes(
        world.root.public_bytes(Encoding.PEM) + world.middle.public_bytes(Encoding.PEM)
    )
    requirement = {
        "type": "sigstoreSigned",
        "fulcio": {"caPath": f"{tmp_path}/ca.pem", "oidcIssuer": ISSUER, "subjectEmail": EMAIL},
        "rekorPublicKeyData": base64.b64encode(pem_of(world.log_key)).decode(),
        "signedIdentity": {"type": "matchRepository"},
    }
    policy({double.address: [requirement]})
    refused(lambda: pull(engine, name), "for no name at all")


def test_signatures_may_refer_to_the_image_in_the_place_of_having_a_tag(
    double, engine, policy, key, tmp_path
):
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    name = f"{double.address}/a:1"
    policy({double.address: signed_by(tmp_path)})
    sign_image(engine, name, Signing(key))
    kind, data = double.manifests.pop(("a", tag_of(digest)))
    document = json.loads(data) | {"artifactType": ATTACHED, "subject": entry(b"", MANIFEST, digest=digest)}
    data = json.dumps(document).encode()
    double.put("a", data, kind)
    index = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [entry(data, MANIFEST, artifactType=ATTACHED)],
    }
    refused(lambda: pull(engine, name), "it has no signature")
    double.put("a", json.dumps(index).encode(), INDEX, digest.replace(":", "-"))
    assert pull(engine, name).digest == digest
