"""What hostile registries give for signatures."""

import json

import pytest
from tests.engine.test_transfers import INDEX, MANIFEST, digest_of, entry, serve_image
from tests.engine.trusting.conftest import NEEDS, attach, layer_for, refer, refused, signed_by

from tiffin.engine.transfers import pull
from tiffin.engine.trusting import inspect_image, verify_image
from tiffin.errors import CorruptError, DeniedError
from tiffin.oci.reference import Reference
from tiffin.trust.attached import ATTACHED, SIGNATURE, tag_of
from tiffin.trust.keys import load_public_key
from tiffin.trust.payload import SIMPLE_SIGNING, Payload, compose
from tiffin.trust.verify import ByKey

pytestmark = NEEDS


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
