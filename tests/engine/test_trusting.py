"""Signatures in registries and policies in force, against a registry in this process."""

import base64
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from tests.doubles.sigstore import EMAIL, ISSUER, Sigstore, b64, new_key, pae, pem_of, sign, statement
from tests.engine.test_transfers import INDEX, MANIFEST, both, digest_of, entry, serve_image
from tests.suites.images import make_image

from tiffin.engine import archives
from tiffin.engine.artifacts import pull_artifact, push_artifact
from tiffin.engine.building.cacheflags import CacheSource
from tiffin.engine.building.cacheimport import imported_caches
from tiffin.engine.imagecopy import copy_image
from tiffin.engine.lookup import find_image
from tiffin.engine.packing import PushOptions
from tiffin.engine.places import parse_place
from tiffin.engine.policies import judged_name
from tiffin.engine.policyfile import VARIABLE, policy_file
from tiffin.engine.pushgate import gate
from tiffin.engine.signing import Signing, sign_image
from tiffin.engine.transfers import pull, pull_all, pull_base, push
from tiffin.engine.trusting import check_image, inspect_image, policy_rules, verify_image
from tiffin.errors import CorruptError, DeniedError, InvalidError, NotFoundError, UnsupportedError
from tiffin.oci.reference import Reference
from tiffin.trust.attached import ATTACHED, SIGNATURE, tag_of
from tiffin.trust.keyfiles import load_private_key, new_key_pair
from tiffin.trust.keys import load_public_key
from tiffin.trust.payload import SIMPLE_SIGNING, Payload, compose
from tiffin.trust.trustedroot import parse_trusted_root
from tiffin.trust.verify import ByCertificate, ByKey, by_name

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
]

ACCEPT, REJECT = {"type": "insecureAcceptAnything"}, {"type": "reject"}


@pytest.fixture(scope="module")
def pair():
    return new_key_pair(b"")


@pytest.fixture(scope="module")
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


# Without a policy, and with one that accepts.


def test_without_a_policy_nothing_is_asked(double, engine):
    serve_image(double, "a", "1")
    pull(engine, f"{double.address}/a:1")
    assert not [one for one in double.requests() if ".sig" in one or "referrers" in one]


def test_where_the_policy_is(tmp_path, engine):
    settings = engine.settings._replace(environ={"HOME": str(tmp_path)})
    machine = Path("/etc/containers/policy.json")
    assert policy_file(settings) == (machine if machine.exists() else None)
    own = tmp_path / ".config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.write_text("{}")
    assert policy_file(settings) == own
    named = settings._replace(environ={"HOME": str(tmp_path), VARIABLE: str(tmp_path / "none.json")})
    with pytest.raises(NotFoundError):
        policy_file(named)


def test_a_policy_that_cannot_be_used_lets_nothing_in(double, engine, policy):
    serve_image(double, "a", "1")
    policy().write_text('{"default": [{"type": "insecureAcceptAnything", "more": 1}]}')
    with pytest.raises(InvalidError, match="unknown field 'more'"):
        pull(engine, f"{double.address}/a:1")
    assert engine.tags.all() == []


def test_accept_and_reject_by_scope(double, engine, policy):
    for name in ("a", "b"):
        serve_image(double, name, "1")
    policy({f"{double.address}/a": [ACCEPT]})
    assert pull(engine, f"{double.address}/a:1")
    error = refused(
        lambda: pull(engine, f"{double.address}/b:1"), "default rejects everything", "policy.json"
    )
    assert error.hint
    assert find_image(engine, f"{double.address}/b:1") is None
    assert not [one for one in double.requests() if ".sig" in one or "referrers" in one]


def test_names_as_they_are_judged():
    digest = "@sha256:" + "ab" * 32
    for name, judged in (
        ("R.Example.ORG/a/b:1", "r.example.org/a/b:1"),
        ("r.example.org/a", "r.example.org/a:latest"),
        (f"r.example.org/a:1{digest}", f"r.example.org/a{digest}"),
        ("python", "docker.io/library/python:latest"),
    ):
        assert str(judged_name(Reference.parse(name))) == judged


def test_gpg_lets_nothing_in(double, engine, policy):
    serve_image(double, "a", "1")
    policy({"": [{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/ring.gpg"}]})
    refused(lambda: pull(engine, f"{double.address}/a:1"), "GPG")


# With keys.


def test_a_signed_image_comes_in_and_another_does_not(double, engine, policy, key, tmp_path):
    serve_image(double, "a", "1")
    serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path)})
    name = f"{double.address}/a:1"
    refused(lambda: pull(engine, name), "it has no signature")
    assert [each.new for each in sign_image(engine, name, Signing(key))] == [True]
    assert [each.new for each in sign_image(engine, name, Signing(key))] == [False]
    assert pull(engine, name)
    refused(lambda: pull(engine, f"{double.address}/a:2"), "it has no signature")
    assert verify_image(engine, name, ByKey((key.public,)))[0].reference == name


def test_two_who_sign_at_once_both_stay(double, engine, key):
    """Another writes the list of signatures between our reading and writing: ours is added again."""
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    name, tag = f"{double.address}/a:1", tag_of(digest)
    other = new_key_pair(b"")
    second = load_private_key(other.private, lambda: b"", "other")
    sign_image(engine, name, Signing(second))
    theirs = double.manifests.pop(("a", tag))
    lost = []

    def overwrite(handler):
        ours = double.manifests.get(("a", tag))
        if handler.command == "HEAD" and handler.path.endswith(tag) and ours and not lost:
            lost.append(ours)
            double.manifests["a", tag] = theirs
        return False

    double.faults.append(overwrite)
    assert sign_image(engine, name, Signing(key))[0].new
    assert lost
    signers = {each.signer for each in verify_image(engine, name, ByKey((key.public, second.public)))}
    assert signers == {f"sha256:{each.public.id}" for each in (key, second)}


def test_all_tags_are_those_of_images(double, engine, key):
    serve_image(double, "a", "1")
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    refer(double, "a", digest_of(b"another image"), b"{}")
    assert len([tag for place, tag in double.manifests if place == "a" and ":" not in tag]) == 3
    assert [str(each) for each in pull_all(engine, f"{double.address}/a")] == [f"{double.address}/a:1"]


def test_a_moved_tag_is_refused(double, engine, policy, key, tmp_path):
    """The tag of a good image is moved to another good one, which was signed for another name."""
    serve_image(double, "a", "1")
    serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path)})
    for tag in ("1", "2"):
        sign_image(engine, f"{double.address}/a:{tag}", Signing(key))
    double.manifests["a", "1"] = double.manifests["a", "2"]
    refused(lambda: pull(engine, f"{double.address}/a:1"), "is for the name", "/a:2")
    policy({double.address: signed_by(tmp_path, signedIdentity={"type": "matchRepository"})})
    assert pull(engine, f"{double.address}/a:1")


def test_a_signature_of_another_digest_is_refused(double, engine, policy, key, tmp_path):
    good, bad = serve_image(double, "a", "1"), serve_image(double, "a", "2", text="other")
    policy({double.address: signed_by(tmp_path, signedIdentity={"type": "matchRepository"})})
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    double.manifests["a", tag_of(Reference.parse(f"a@{digest_of(bad)}").digest)] = double.manifests[
        "a", tag_of(Reference.parse(f"a@{digest_of(good)}").digest)
    ]
    refused(lambda: pull(engine, f"{double.address}/a:2"), "is for another image")


def test_by_digest_the_network_is_asked_once(double, engine, policy, key, tmp_path, pair):
    data = serve_image(double, "a", "1")
    pinned = f"{double.address}/a@{digest_of(data)}"
    pull(engine, pinned)  # while there is no policy
    double.seen.clear()
    policy({double.address: signed_by(tmp_path)})
    refused(lambda: pull(engine, pinned), "no signature")
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    pull(engine, pinned)
    double.seen.clear()
    pull(engine, pinned)
    assert double.seen == []
    other = new_key_pair(b"")
    (tmp_path / "cosign.pub").write_bytes(other.public)  # a key that is taken away does not count any more
    refused(lambda: pull(engine, pinned), "not by a key that is trusted")
    (tmp_path / "cosign.pub").write_bytes(pair.public)
    pull(engine, pinned)


def test_without_the_library_a_policy_lets_in_only_what_needs_no_signature(
    double, engine, policy, tmp_path, monkeypatch
):
    for name in ("a", "b"):
        serve_image(double, name, "1")
    policy({f"{double.address}/a": [ACCEPT], f"{double.address}/b": signed_by(tmp_path)})
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    assert pull(engine, f"{double.address}/a:1")
    with pytest.raises(UnsupportedError, match="cryptography is not installed") as caught:
        pull(engine, f"{double.address}/b:1")
    assert "tiffin[trust]" in caught.value.hint
    assert find_image(engine, f"{double.address}/b:1") is None


def test_what_is_remembered_does_not_count_for_another_name(double, engine, policy, key, tmp_path):
    data = serve_image(double, "a", "1")
    serve_image(double, "b", "1")
    policy({double.address: signed_by(tmp_path)})
    sign_image(engine, f"{double.address}/a:1", Signing(key))
    pull(engine, f"{double.address}/a@{digest_of(data)}")
    refused(lambda: pull(engine, f"{double.address}/b@{digest_of(data)}"), "no signature")
    double.manifests["a", "evil"] = serve_pair(double)
    refused(lambda: pull(engine, f"{double.address}/a:evil"), "no signature")


def serve_pair(double):
    data = serve_image(double, "a", "3", text="evil")
    return (MANIFEST, data)


def test_of_an_index_either_it_or_the_image_may_be_signed(double, engine, policy, key, tmp_path):
    index, manifests = both(double, "a", "1")
    own = manifests[engine.platform.architecture]
    policy({double.address: signed_by(tmp_path)})
    name = f"{double.address}/a:1"
    refused(lambda: pull(engine, name))
    signed = sign_image(engine, name, Signing(key), recursive=True)
    assert {each.digest for each in signed} == {digest_of(index), *map(digest_of, manifests.values())}
    for digest in (digest_of(index), digest_of(own)):
        double.manifests.pop(("a", tag_of(Reference.parse(f"a@{digest}").digest)))
        if digest == digest_of(index):
            assert check_image(engine, name) == digest_of(index)  # the image itself is signed
    (engine.home.root / "verified").rename(engine.home.root / "forgotten")
    refused(lambda: check_image(engine, name))


def test_bases_of_builds_and_implicit_pulls_ask_too(double, engine, policy):
    serve_image(double, "a", "1")
    policy()
    refused(lambda: pull_base(engine, f"{double.address}/a:1", engine.platform))


def test_copies_archives_artifacts_and_caches_ask_too(double, engine, policy, tmp_path):
    serve_image(double, "a", "1")
    source, target = parse_place(f"docker://{double.address}/a:1"), parse_place(f"oci:{tmp_path}/layout:1")
    copy_image(engine, source, target)
    (tmp_path / "model").write_text("weights")
    push_artifact(engine, f"{double.address}/models:1", [tmp_path / "model"])
    archive = io.BytesIO()
    make_image(engine, "app")
    archives.save(engine, ["app"], archive)
    policy()
    refused(lambda: copy_image(engine, source, target))
    refused(lambda: copy_image(engine, target, parse_place("app")), "oci:")
    refused(lambda: pull_artifact(engine, f"{double.address}/models:1", tmp_path / "out"))
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
    archive.seek(0)
    refused(lambda: archives.load(engine, archive), "docker-archive")
    cache = CacheSource("cache", Reference.parse(f"{double.address}/a:1"))
    with imported_caches(engine, [cache]) as caches:
        caches.record("key")
    policy(oci={str(tmp_path): [ACCEPT]}, **{"docker-archive": {"": [ACCEPT]}})
    assert copy_image(engine, target, parse_place("app"))
    archive.seek(0)
    assert archives.load(engine, archive) == ["app:latest"]
    assert copy_image(engine, parse_place("app"), target)  # what is in the store has been let in


def test_a_push_is_signed_and_judged_before_it_has_its_name(double, engine, policy, key, tmp_path):
    name = f"{double.address}/team/app:1"
    make_image(engine, name)
    policy({double.address: signed_by(tmp_path)})
    refused(lambda: push(engine, name, PushOptions(before_tag=gate(None, judged=True))), "no signature")
    assert ("team/app", "1") not in double.manifests
    sent = push(engine, name, PushOptions(before_tag=gate(Signing(key), judged=True)))
    assert check_image(engine, name) == sent.digest
    puts = [one for one in double.requests("PUT") if "/manifests/" in one]
    assert puts[-1] == "PUT /v2/team/app/manifests/1"
    assert puts[-2].endswith(".sig")


def test_a_copy_between_registries_brings_signatures_along_if_asked(double, engine, key, tmp_path):
    both(double, "a", "1")
    name, copied = f"{double.address}/a:1", f"{double.address}/b:1"
    signed = sign_image(engine, name, Signing(key), recursive=True)
    other = load_private_key(new_key_pair(b"").private, lambda: b"", "other")
    places = parse_place(f"docker://{name}"), parse_place(f"docker://{copied}")
    copy_image(engine, *places)
    assert inspect_image(engine, copied).claims == ()
    sign_image(engine, copied, Signing(other))
    for _ in range(2):
        copy_image(engine, *places, referrers=True)
        assert [claim.reference for claim in inspect_image(engine, copied).claims] == [copied, name]
    for each in signed[1:]:
        assert verify_image(engine, f"{double.address}/b@{each.digest}", ByKey((key.public,)))


# Certificates, as policies and as the command have them.


@pytest.fixture(scope="module")
def world():
    return Sigstore()


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


# Hostile registries.


def hostile(double, engine, policy, tmp_path):
    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    policy({double.address: signed_by(tmp_path)})
    return f"{double.address}/a:1", digest


def test_ten_thousand_signatures(double, engine, policy, tmp_path):
    name, digest = hostile(double, engine, policy, tmp_path)
    layer = {"mediaType": SIMPLE_SIGNING, "digest": digest_of(b"x"), "size": 1}
    attach(double, "a", digest, [layer] * 10_000)
    double.seen.clear()
    with pytest.raises(CorruptError, match="10000 signatures"):
        pull(engine, name)
    assert not [one for one in double.requests() if digest_of(b"x") in one]
    assert engine.tags.all() == []


def test_more_bytes_than_are_looked_at(double, engine, policy, key, tmp_path, monkeypatch):
    name, digest = hostile(double, engine, policy, tmp_path)
    payload = compose(Payload(digest, name, {}))
    monkeypatch.setattr("tiffin.engine.signatures._TOTAL", len(payload) + 10)
    layers = [layer_for(double, "a", payload, b"x"), layer_for(double, "a", b" " * 11, b"x")]
    attach(double, "a", digest, layers)
    with pytest.raises(CorruptError, match="are not looked at"):
        pull(engine, name)
    attach(double, "a", digest, [layers[0]] * 3 + [layer_for(double, "a", payload, key.sign(payload))])
    assert pull(engine, name).digest == digest  # one content counts once
    many = [entry(str(at).encode(), MANIFEST, artifactType=ATTACHED) for at in range(257)]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": many}
    double.put("a", json.dumps(index).encode(), INDEX, digest.replace(":", "-"))
    with pytest.raises(CorruptError, match="257 signatures"):
        inspect_image(engine, name)


def test_a_huge_list_of_signatures(double, engine, policy, tmp_path):
    name, digest = hostile(double, engine, policy, tmp_path)
    double.put("a", b" " * (5 << 20), MANIFEST, tag_of(digest))
    with pytest.raises(CorruptError):
        pull(engine, name)


@pytest.mark.parametrize(
    "layer",
    [
        {"digest": digest_of(b"x"), "size": 1 << 40},
        {"digest": digest_of(b"x"), "size": 1},
        {"digest": digest_of(b"x"), "size": 1, "annotations": {SIGNATURE: "not base64!"}},
        {"digest": digest_of(b"x"), "size": 1, "annotations": {SIGNATURE: "AAAA"}},
        {"digest": digest_of(b"\xff\xfe"), "size": 2, "annotations": {SIGNATURE: "AAAA"}},
        {"digest": digest_of(b"gone"), "size": 4, "annotations": {SIGNATURE: "AAAA"}},
    ],
)
def test_signatures_that_are_none(double, engine, policy, tmp_path, layer):
    name, digest = hostile(double, engine, policy, tmp_path)
    for data in (b"x", b"\xff\xfe"):
        double.put("a", data)
    attach(double, "a", digest, [{"mediaType": SIMPLE_SIGNING, **layer}])
    with pytest.raises((DeniedError, CorruptError)):
        pull(engine, name)
    assert engine.tags.all() == []


def test_what_a_signature_says_does_not_reach_the_terminal_as_it_is(double, tmp_path, monkeypatch, capsys):
    from tiffin.cli.main import main

    digest = Reference.parse(f"a@{digest_of(serve_image(double, 'a', '1'))}").digest
    attach(double, "a", digest, [layer_for(double, "a", compose(Payload(digest, "x\x1b[2J\n", {})), b"x")])
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    assert main(["trust", "inspect", f"{double.address}/a:1"]) == 0
    told = capsys.readouterr().out
    assert len(told.splitlines()) == 2
    assert "\x1b" not in told


def test_an_index_in_the_place_of_signatures(double, engine, policy, tmp_path):
    name, digest = hostile(double, engine, policy, tmp_path)
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": []}).encode()
    double.put("a", index, INDEX, tag_of(digest))
    with pytest.raises(CorruptError):
        pull(engine, name)


def test_a_good_signature_among_bad_ones_counts(double, engine, policy, key, tmp_path):
    name, digest = hostile(double, engine, policy, tmp_path)
    payload = compose(Payload(digest, name, {}))
    bad = [layer_for(double, "a", payload, b"x"), {"mediaType": SIMPLE_SIGNING, "digest": digest, "size": 1}]
    attach(double, "a", digest, [*bad, layer_for(double, "a", payload, key.sign(payload))])
    assert pull(engine, name).digest == digest
    kinds = [claim.kind for claim in inspect_image(engine, name).claims]
    assert kinds == ["signature", "unreadable", "signature"]


def test_broken_bundles(double, engine, policy, tmp_path, pair):
    name, digest = hostile(double, engine, policy, tmp_path)
    for data in (b"\xff", b"{}", b"[" * 100_000):
        refer(double, "a", digest, data)
        refused(lambda: pull(engine, name), "does not count")
        assert inspect_image(engine, name).claims[0].kind == "unreadable"
    with pytest.raises(DeniedError, match="does not count"):
        verify_image(engine, name, ByKey((load_public_key(pair.public, "cosign.pub"),)))


def test_a_policy_in_words(policy, tmp_path):
    path = policy({"r.example.org": signed_by(tmp_path), "": [ACCEPT]})
    told = [(rule.scope, rule.requirements) for rule in policy_rules(path)]
    assert told == [
        ("", ("rejected",)),
        ("", ("accepted",)),
        ("r.example.org", (f"signed by {tmp_path}/cosign.pub, for this name",)),
    ]
