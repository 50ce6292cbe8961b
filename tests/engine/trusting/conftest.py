"""Keys, certificates and policies, and signatures as others put them into a registry."""

import hashlib
import json
import os

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.doubles.sigstore import Sigstore, b64, new_key, sign
from tests.engine.test_transfers import INDEX, MANIFEST, entry

from tiffin.engine.policyfile import VARIABLE
from tiffin.errors import DeniedError
from tiffin.trust.attached import SIGNATURE, tag_of
from tiffin.trust.keyfiles import load_private_key, new_key_pair
from tiffin.trust.payload import SIMPLE_SIGNING, Payload, compose

NEEDS = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
]

ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}


@pytest.fixture(scope="session")
def pair():
    return new_key_pair(b"")


@pytest.fixture(scope="session")
def key(pair):
    return load_private_key(pair.private, lambda: b"", "cosign.key")


@pytest.fixture
def policy(tmp_path, engine, pair):
    """Put a policy in force: requirements by scope of the transport docker; all else is rejected."""
    path = tmp_path / "policy.json"
    (tmp_path / "cosign.pub").write_bytes(pair.public)

    def write(docker=None, default=REJECT, **transports):
        document = {"default": [default], "transports": {"docker": docker or {}, **transports}}
        path.write_text(json.dumps(document))
        engine.settings = engine.settings._replace(environ={**engine.settings.environ, VARIABLE: str(path)})
        return path

    return write


@pytest.fixture(scope="session")
def world():
    return Sigstore()


def signed_by(tmp_path, **more):
    return [{"type": "sigstoreSigned", "keyPath": f"{tmp_path}/cosign.pub", **more}]


def refused(action, *words):
    with pytest.raises(DeniedError) as caught:
        action()
    assert caught.value.code == "policy-refused"
    for word in words:
        assert word in caught.value.message
    return caught.value


def attach(double, name, digest, layers, **more):
    """Put a manifest of signatures beside an image, as somebody else wrote it."""
    config = b"{}"
    double.put(name, config)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": entry(config, "application/vnd.oci.image.config.v1+json"),
        "layers": layers,
    } | more
    return double.put(name, json.dumps(document).encode(), MANIFEST, tag_of(digest))


def layer_for(double, name, payload, signature):
    double.put(name, payload)
    return entry(payload, SIMPLE_SIGNING, annotations={SIGNATURE: b64(signature)})


def refer(double, name, digest, data, kind="application/vnd.dev.sigstore.bundle.v0.3+json"):
    """Attach a bundle under the fallback tag, as a registry without the API has it."""
    double.put(name, data)
    double.put(name, b"{}")
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": kind,
            "config": entry(b"{}", "application/vnd.oci.empty.v1+json"),
            "layers": [entry(data, kind)],
            "subject": {"mediaType": MANIFEST, "digest": digest, "size": 1},
        }
    ).encode()
    double.put(name, manifest, MANIFEST)
    listed = [entry(manifest, MANIFEST, artifactType=kind)]
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
    double.put(name, index, INDEX, digest.replace(":", "-"))


def keyless(double, world, name, digest, reference, **more):
    key = new_key()
    certificate = world.certificate(key, **more)
    pem = certificate.public_bytes(Encoding.PEM)
    payload = compose(Payload(digest, reference, {}))
    signature = sign(key, payload)
    body = world.hashed_record(hashlib.sha256(payload).digest(), signature, pem)
    layer = layer_for(double, name, payload, signature)
    layer["annotations"] |= {
        "dev.sigstore.cosign/certificate": pem.decode(),
        "dev.sigstore.cosign/chain": world.middle.public_bytes(Encoding.PEM).decode(),
        "dev.sigstore.cosign/bundle": json.dumps(world.promise(body)),
    }
    attach(double, name, digest, [layer])
