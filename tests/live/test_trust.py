"""Signatures in the distribution's registry, beside skopeo and openssl.

Debian's skopeo neither makes nor checks sigstore's signatures ("Debian-local change: sigstore disabled"), but
it reads and writes them when it copies an image: so it tells whether ours are where they should be.
"""

import base64
import json
import os
import shutil
import subprocess
import urllib.request

import pytest
from tests.live.test_registry import POLICY, serve
from tests.suites.images import make_image, open_engine

from tiffin.engine.packing import PushOptions
from tiffin.engine.policyfile import VARIABLE
from tiffin.engine.pushgate import gate
from tiffin.engine.signing import Signing, sign_image
from tiffin.engine.transfers import pull, push
from tiffin.engine.trusting import check_image, inspect_image, verify_image
from tiffin.errors import DeniedError
from tiffin.trust.attached import SIGNATURE, tag_of
from tiffin.trust.keyfiles import load_private_key, new_key_pair
from tiffin.trust.verify import ByKey

SKOPEO = shutil.which("skopeo")

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="there is no docker-registry"),
    pytest.mark.skipif(SKOPEO is None, reason="the package skopeo is not installed"),
]


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    process, address = serve(tmp_path_factory.mktemp("registry") / "open")
    yield address
    process.terminate()
    process.wait(10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, registry):
    """A key pair, and what skopeo has to be told to take signatures along."""
    place = tmp_path_factory.mktemp("keys")
    pair = new_key_pair(b"secret")
    (place / "ours.key").write_bytes(pair.private)
    (place / "ours.pub").write_bytes(pair.public)
    (place / "accept.json").write_text(POLICY)
    (place / "registries.d").mkdir()
    (place / "registries.d" / "ours.yaml").write_text(
        f"docker:\n  {registry}:\n    use-sigstore-attachments: true\n"
    )
    return place


@pytest.fixture(scope="module")
def signing(folder):
    return Signing(load_private_key((folder / "ours.key").read_bytes(), lambda: b"secret", "ours.key"))


@pytest.fixture
def engine(tmp_path):
    with open_engine(tmp_path) as opened:
        yield opened


def copy(folder, source, target):
    words = ("--policy", folder / "accept.json", "--registries.d", folder / "registries.d", "copy", "-q")
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
    command = [SKOPEO, *words, *insecure, f"docker://{source}", f"docker://{target}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def obey(engine, folder, registry, **more):
    requirement = {"type": "sigstoreSigned", "keyPath": str(folder / "ours.pub"), **more}
    path = folder / "policy.json"
    path.write_text(
        json.dumps({"default": [{"type": "reject"}], "transports": {"docker": {registry: [requirement]}}})
    )
    engine.settings = engine.settings._replace(environ={**engine.settings.environ, VARIABLE: str(path)})


def test_signatures_go_with_the_image_when_skopeo_copies_it(engine, registry, folder, signing):
    name, copied = f"{registry}/ours/app:1", f"{registry}/theirs/app:1"
    make_image(engine, name)
    push(engine, name, PushOptions(before_tag=gate(signing, judged=False)))
    sign_image(engine, name, signing._replace(identity=copied))
    copy(folder, name, copied)
    assert [claim.reference for claim in inspect_image(engine, copied).claims] == [name, copied]
    assert len(verify_image(engine, copied, ByKey((signing.key.public,)))) == 2
    obey(engine, folder, registry)
    assert pull(engine, copied)
    plain = f"{registry}/theirs/app:2"
    copy(folder, name, plain)
    with pytest.raises(DeniedError, match="is for the name"):
        check_image(engine, plain)
    assert sign_image(engine, plain, signing)[0].new  # beside those that skopeo has written
    assert check_image(engine, plain)
    copy(folder, plain, f"{registry}/again/app:2")
    assert len(inspect_image(engine, f"{registry}/again/app:2").claims) == 3


def test_an_index_is_signed_with_all_that_it_lists(engine, registry, folder, signing):
    name = f"{registry}/ours/both:1"
    make_image(engine, name)
    push(engine, name)
    root = f"{registry}/ours/both"
    manifest = json.loads(fetch(f"http://{registry}/v2/ours/both/manifests/1"))
    raw = json.dumps(manifest).encode()
    entry = {
        "mediaType": manifest["mediaType"],
        "digest": push_manifest(registry, raw, manifest["mediaType"], None),
        "size": len(raw),
        "platform": {"os": "linux", "architecture": engine.platform.architecture},
    }
    kind = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}).encode()
    push_manifest(registry, index, kind, "index")
    signed = sign_image(engine, f"{root}:index", signing, recursive=True)
    assert [each.digest for each in signed][1:] == [entry["digest"]]
    obey(engine, folder, registry)
    assert pull(engine, f"{root}:index").is_index
    assert pull(engine, f"{root}@{entry['digest']}")  # as skopeo and Podman look at it


def push_manifest(registry, data, kind, tag):
    import hashlib

    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    request = urllib.request.Request(
        f"http://{registry}/v2/ours/both/manifests/{tag or digest}",
        data,
        {"Content-Type": kind},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()
    return digest


def fetch(url, accept="application/vnd.oci.image.manifest.v1+json"):
    with urllib.request.urlopen(
        urllib.request.Request(url, headers={"Accept": accept}), timeout=30
    ) as answer:
        return answer.read()


def test_openssl_says_the_same_of_our_signature(engine, registry, folder, signing, tmp_path):
    name = f"{registry}/ours/openssl:1"
    make_image(engine, name)
    sent = push(engine, name, PushOptions(before_tag=gate(signing, judged=False)))
    base = f"http://{registry}/v2/ours/openssl"
    (layer,) = json.loads(fetch(f"{base}/manifests/{tag_of(sent.digest)}"))["layers"]
    (tmp_path / "payload").write_bytes(fetch(f"{base}/blobs/{layer['digest']}", "*/*"))
    (tmp_path / "signature").write_bytes(base64.b64decode(layer["annotations"][SIGNATURE]))
    words = ("dgst", "-sha256", "-verify", folder / "ours.pub", "-signature", "signature", "payload")
    done = subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "Verified OK\n"
    critical = json.loads((tmp_path / "payload").read_text())["critical"]
    assert critical == {
        "identity": {"docker-reference": name},
        "image": {"docker-manifest-digest": sent.digest},
        "type": "cosign container image signature",
    }
