"""Pull and push by the engine, against a registry in this process."""

import gzip
import hashlib
import io
import os
import random
import tarfile
import time

import msgspec
import pytest
from tests.doubles.registry import RegistryDouble

from tiffin.engine import archives, images
from tiffin.engine.engine import Engine
from tiffin.engine.events import events
from tiffin.engine.lookup import find_image, need_image
from tiffin.engine.packing import Compression, PushOptions
from tiffin.engine.settings import Settings
from tiffin.engine.transfers import login, logout, pull, pull_all, push, push_all
from tiffin.errors import (
    CorruptError,
    FailedError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnavailableError,
)
from tiffin.events import Notice, StepDone
from tiffin.oci.codec import decode
from tiffin.oci.manifest import Manifest
from tiffin.store.home import Home

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(os.geteuid() != 0, reason="layers are unpacked with their owners, which takes root"),
]

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
PLAIN = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def entry(data, media_type, **more):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def layer(**files):
    """A tar as other tools write it, not as we do."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size, info.uname, info.mtime = len(data), "someone", 1_700_000_000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def serve_image(double, name, tag, *, architecture="amd64", text="model", lie=None):
    """Put an image of two gzip layers into the double; the bytes of its manifest."""
    plain = [layer(base=text), layer(app=text * 1000)]
    packed = [gzip.compress(data, mtime=0) for data in plain]
    config = msgspec.json.encode(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/serve"]},
            "rootfs": {"type": "layers", "diff_ids": [lie or digest_of(data) for data in plain]},
        }
    )
    for data in (config, *packed):
        double.put(name, data)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": entry(config, CONFIG),
        "layers": [entry(data, GZIP) for data in packed],
    }
    data = msgspec.json.encode(manifest)
    double.put(name, data, MANIFEST, tag)
    return data


@pytest.fixture
def make(tmp_path):
    """Engines with stores of their own; `events` are those of all."""
    opened = []

    def new(name="store", **environ):
        events = []
        settings = Settings(
            Home(tmp_path / name, tmp_path / f"{name}-run"),
            "auto",
            0,
            {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", **environ},
        )
        engine = Engine.open(settings, emit=events.append)
        engine.events = events
        opened.append(engine)
        return engine

    yield new
    for engine in opened:
        engine.__exit__(None, None, None)


@pytest.fixture
def engine(make):
    return make()


def test_what_is_pulled_is_unpacked_named_and_can_be_given_on(double, engine):
    manifest = serve_image(double, "a/b", "1")
    name = f"{double.address}/a/b:1"
    found = pull(engine, name)
    assert found.digest == digest_of(manifest)
    image = need_image(engine, name)
    top = engine.layers.path(image.config.rootfs.diff_ids[1])
    assert (top / "app").read_text() == "model" * 1000
    assert [row.references for row in images.list_images(engine)] == [(name,)]
    archive = io.BytesIO()
    archives.save(engine, [name], archive)
    assert archive.tell() > 1000


def test_a_second_pull_fetches_nothing(double, engine):
    serve_image(double, "a/b", "1")
    for _ in range(2):
        pull(engine, f"{double.address}/a/b:1")
        asked, double.seen = double.requests("GET"), []
    assert asked == []


def test_what_several_images_share_is_fetched_once(double, engine):
    serve_image(double, "a", "1")
    serve_image(double, "b", "1")
    pull(engine, f"{double.address}/a:1")
    double.seen.clear()
    pull(engine, f"{double.address}/b:1")
    assert [one for one in double.requests("GET") if "/blobs/" in one] == []


def both(double, name, tag):
    one = serve_image(double, name, "x", architecture="amd64", text="amd64")
    two = serve_image(double, name, "y", architecture="arm64", text="arm64")
    entries = [
        entry(data, MANIFEST, platform={"os": "linux", "architecture": architecture})
        for data, architecture in ((two, "arm64"), (one, "amd64"))
    ]
    data = msgspec.json.encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
    double.put(name, data, INDEX, tag)
    return data, {"amd64": one, "arm64": two}


def test_of_an_index_only_what_runs_here_is_fetched_and_the_name_is_the_index(double, engine):
    index, manifests = both(double, "a", "1")
    name = f"{double.address}/a:1"
    own = engine.platform.architecture
    if own not in manifests:
        pytest.skip(f"the test has no image for {own}")
    assert pull(engine, name).digest == digest_of(index)
    assert need_image(engine, name).config.architecture == own
    other = manifests["arm64" if own == "amd64" else "amd64"]
    assert f"GET /v2/a/manifests/{digest_of(other)}" not in double.requests()


def test_another_platform_can_be_asked_for(double, engine):
    _, manifests = both(double, "a", "1")
    name = f"{double.address}/a:1"
    for platform, architecture in (("linux/arm64", "arm64"), ("linux/amd64", "amd64")):
        assert pull(engine, name, platform).digest == digest_of(manifests[architecture])
        assert need_image(engine, name).config.architecture == architecture
    with pytest.raises(NotFoundError, match="not made for linux/s390x") as caught:
        pull(engine, name, "linux/s390x")
    assert "linux/amd64, linux/arm64" in caught.value.hint


@pytest.mark.parametrize("what", ["index", "manifest"])
def test_a_pinned_image_that_is_here_asks_no_network(double, engine, what):
    index, manifests = both(double, "a", "1")
    pull(engine, f"{double.address}/a:1")
    data = index if what == "index" else manifests[engine.platform.architecture]
    double.seen.clear()
    for name in (f"{double.address}/a", f"{double.address}/a:other"):
        pinned = f"{name}@{digest_of(data)}"
        assert pull(engine, pinned).digest == digest_of(data)
        assert find_image(engine, pinned) is not None
    assert double.seen == []


def test_a_pinned_image_is_fetched_by_its_digest_alone(double, engine):
    data = serve_image(double, "a", "1")
    del double.manifests["a", "1"]
    assert pull(engine, f"{double.address}/a:1@{digest_of(data)}").digest == digest_of(data)


def test_an_image_that_lies_about_its_layers_gets_no_name(double, engine):
    serve_image(double, "a", "1", lie="sha256:" + "1" * 64)
    with pytest.raises(CorruptError, match="unpacks to"):
        pull(engine, f"{double.address}/a:1")
    assert engine.tags.all() == []
    assert engine.images.all() == []


def test_a_blob_that_is_another_gets_no_name(double, engine):
    serve_image(double, "a", "1")
    for key in list(double.blobs):
        double.blobs[key] = bytes(len(double.blobs[key]))
    with pytest.raises(CorruptError):
        pull(engine, f"{double.address}/a:1")
    assert engine.tags.all() == []
    assert list(engine.blobs.all()) == []


def test_without_a_network_one_line_says_what_can_be_done(engine):
    serve = RegistryDouble()
    with serve.serve():
        address = serve.address
    begun = time.monotonic()
    with pytest.raises(UnavailableError) as caught:
        pull(engine, f"{address}/library/python:3.11.8-slim")
    assert time.monotonic() - begun < 20
    message, hint = caught.value.message, caught.value.hint
    assert message.startswith(f"the image {address}/library/python:3.11.8-slim is not in the store")
    assert f"nor to be had from {address}" in message
    assert "the connection was refused" in message
    assert "\n" not in message + hint
    assert f"tiffin base --python -t {address}/library/python:3.11.8-slim" in hint


def test_names_that_are_near_and_here_are_offered(double, engine):
    serve_image(double, "a/serving", "1")
    pull(engine, f"{double.address}/a/serving:1")
    with pytest.raises(NotFoundError) as caught:
        pull(engine, f"{double.address}/a/servign:1")
    assert f"did you mean {double.address}/a/serving:1" in caught.value.hint


def test_what_cannot_be_pulled_again_stays_as_it_is(double, engine):
    serve_image(double, "a", "1")
    name = f"{double.address}/a:1"
    pull(engine, name)
    double.faults.append(lambda handler: handler.fail(403, "DENIED") or True)
    with pytest.raises(TiffinError):
        pull(engine, name)
    assert find_image(engine, name) is not None


# Push.


def built(engine, name, **files):
    """An image whose layers are directories only, as a build leaves them."""
    from tiffin.engine.building.results import store_image
    from tiffin.oci.config import ImageConfig, RootFS
    from tiffin.oci.reference import Reference

    diff_ids = []
    for path, text in files.items():
        with engine.layers.workspace() as place:
            tree = place / "tree"
            tree.mkdir()
            (tree / path).write_text(text)
            info = engine.layers.describe(tree)
            engine.layers.commit(tree, info)
            diff_ids.append(info.diff_id)
    platform = engine.platform
    config = ImageConfig(platform.architecture, platform.os, platform.variant, rootfs=RootFS(tuple(diff_ids)))
    descriptor, image_id = store_image(engine, config)
    engine.images.add(descriptor, image_id)
    engine.tags.set(Reference.parse(name), descriptor)
    return image_id


def test_what_was_built_here_is_pushed_compressed_and_is_the_same_image_elsewhere(double, make):
    one, two = make("one"), make("two")
    name = f"{double.address}/me/serving:1"
    image_id = built(one, name, app="x" * 3_000_000, model="y" * 100)
    sent = push(one, name)
    media_type, data = double.manifests["me/serving", "1"]
    document = msgspec.json.decode(data)
    assert (media_type, digest_of(data)) == (MANIFEST, sent.digest)
    assert [part["mediaType"] for part in document["layers"]] == [GZIP, GZIP]
    assert sum(part["size"] for part in document["layers"]) < 100_000
    plain = [gzip.decompress(double.blobs["me/serving", part["digest"]]) for part in document["layers"]]
    assert [digest_of(tar) for tar in plain] == list(need_image(one, name).config.rootfs.diff_ids)
    notices = [event for event in one.events if isinstance(event, Notice)]
    assert notices[-1] == Notice(f"1: digest: {sent.digest} size: {len(data)}", "info")

    pull(two, name)
    assert need_image(two, name).image_id == image_id


def pull_manifest(double):
    return decode(double.manifests["me/serving", "1"][1], Manifest, "the manifest").layers


def test_compressing_is_paid_once_and_pushing_again_sends_nothing(double, make):
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app="x" * 100_000)
    first = push(one, name)
    one.events.clear()
    double.seen.clear()
    assert push(one, name) == first
    steps = [event.step for event in one.events if isinstance(event, StepDone)]
    assert not any(step.startswith("compress") for step in steps)
    assert double.requests("POST") == []


def test_what_the_registry_has_is_not_compressed_again_even_after_a_prune(double, make):
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app="x" * 100_000)
    first = push(one, name)
    packed = next(part.digest for part in pull_manifest(double) if part.media_type == GZIP)
    assert one.blobs.delete(packed)
    one.events.clear()
    assert push(one, name) == first
    assert not any(isinstance(event, StepDone) and event.step.startswith("compress") for event in one.events)
    del double.blobs["me/serving", packed]
    assert push(one, name) == first
    assert ("me/serving", packed) in double.blobs


def test_a_pulled_image_is_pushed_byte_for_byte(double, make):
    one = make("one")
    data = serve_image(double, "a", "1")
    pull(one, f"{double.address}/a:1")
    images.tag(one, f"{double.address}/a:1", f"{double.address}/copy/of-a:2")
    assert push(one, f"{double.address}/copy/of-a:2").digest == digest_of(data)
    assert double.manifests["copy/of-a", "2"][1] == data
    # Its layers were in the same registry: nothing but the config had to be sent.
    assert len([one for one in double.seen if one.method == "PUT" and "/uploads/" in one.path]) == 1


def test_a_connection_that_is_cut_during_a_push_does_not_end_it(double, make, monkeypatch):
    monkeypatch.setattr("tiffin.registry.transport._PAUSE", 0.001)
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app="x" * 100_000)
    cuts = []

    def cut(handler):
        if handler.command == "PUT" and "/uploads/" in handler.path and len(cuts) < 2:
            cuts.append(handler.path)
            handler.cut()
            return True
        return False

    double.faults.append(cut)
    push(one, name)
    assert len(cuts) == 2
    assert ("me/serving", "1") in double.manifests


@pytest.fixture
def ahead(monkeypatch):
    """Layers of any size are sent while they are compressed, in small pieces."""
    monkeypatch.setattr("tiffin.engine.packing._LARGE", 1)
    monkeypatch.setattr("tiffin.registry.upload.PIECE", 4096)
    monkeypatch.setattr("tiffin.registry.transport._PAUSE", 0.001)


def test_a_large_layer_is_sent_while_it_is_compressed_and_once(double, make, ahead):
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app=random.Random(1).randbytes(20_000).hex())
    sent = push(one, name)
    packed = next(part for part in pull_manifest(double) if part.media_type == GZIP)
    assert len(double.blobs["me/serving", packed.digest]) == packed.size > 4 * 4096
    assert len(double.requests("PATCH")) == -(-packed.size // 4096)
    assert len([each for each in double.seen if each.method == "PUT" and "/uploads/" in each.path]) == 2
    double.manifests.clear()
    double.blobs.clear()
    assert push(one, name) == sent
    assert double.blobs["me/serving", packed.digest]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_what_could_not_be_sent_ahead_is_sent_afterwards(double, make, ahead, method):
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app=random.Random(1).randbytes(20_000).hex())
    refused = []

    def refuse(handler):
        if handler.command == method and "/uploads/" in handler.path and not refused:
            refused.append(handler.path)
            handler.fail(400, "UNSUPPORTED", "not now")
            return True
        return False

    double.faults.append(refuse)
    push(one, name)
    assert refused
    assert all(("me/serving", part.digest) in double.blobs for part in pull_manifest(double))


def test_a_layer_that_changed_on_disk_is_not_kept_by_the_registry(double, make, ahead):
    one = make("one")
    name = f"{double.address}/me/serving:1"
    built(one, name, app=random.Random(1).randbytes(20_000).hex())
    (diff_id,) = need_image(one, name).config.rootfs.diff_ids
    (one.layers.path(diff_id) / "app").write_text(random.Random(2).randbytes(20_000).hex())
    with pytest.raises(CorruptError, match="was changed on disk"):
        push(one, name)
    assert not double.blobs
    assert not double.uploads


def test_an_index_is_pushed_as_the_image_that_is_here(double, make):
    one = make("one")
    _, manifests = both(double, "a", "1")
    pull(one, f"{double.address}/a:1")
    images.tag(one, f"{double.address}/a:1", f"{double.address}/b:1")
    assert push(one, f"{double.address}/b:1").digest == digest_of(manifests[one.platform.architecture])


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [("nothing:1", NotFoundError, "nothing:1"), ("a@sha256:" + "0" * 64, InvalidError, "under a digest")],
)
def test_what_cannot_be_pushed_is_said(engine, name, kind, message):
    with pytest.raises(kind, match=message):
        push(engine, name)


def test_an_id_is_not_pushed_but_the_remedy_named(double, engine):
    serve_image(double, "a", "1")
    pull(engine, f"{double.address}/a:1")
    short = need_image(engine, f"{double.address}/a:1").image_id.short
    with pytest.raises(InvalidError) as caught:
        push(engine, short)
    assert "tiffin tag" in caught.value.hint


def test_login_is_checked_kept_used_and_forgotten(double, engine, tmp_path):
    double.scheme, double.users = "basic", {"u": "p"}
    serve_image(double, "a", "1")
    settings = engine.settings
    with pytest.raises(TiffinError, match="refuses the login of user u"):
        login(settings, double.address, "u", "wrong")
    assert not (tmp_path / ".docker").exists()
    assert login(settings, f"http://{double.address}/", "u", "p") == str(tmp_path / ".docker/config.json")
    pull(engine, f"{double.address}/a:1")
    assert logout(settings, double.address) is True
    assert logout(settings, double.address) is False
    with pytest.raises(TiffinError, match="needs a login"):
        pull(engine, f"{double.address}/a:2")


def test_what_is_no_registry_cannot_be_logged_in_to(engine):
    for server in ("", "not a host", "name"):
        with pytest.raises(InvalidError, match="is not a registry"):
            login(engine.settings, server, "u", "p")


def test_all_images_of_a_repository(double, make):
    one, two = make("one"), make("two")
    double.page = 2
    name = f"{double.address}/me/serving"
    for tag in ("1", "2", "3", "latest"):
        built(one, f"{name}:{tag}", app=tag * 100)
    built(one, f"{double.address}/me/other:1", app="other")
    sent = [str(each) for each in push_all(one, name)]
    assert sent == [f"{name}:{tag}" for tag in ("1", "2", "3", "latest")]
    assert [str(each) for each in pull_all(two, name)] == sent
    assert {str(tag.reference) for tag in two.tags.all()} == set(sent)
    for action in (push_all, pull_all):
        with pytest.raises(InvalidError, match="without a tag"):
            action(one, f"{name}:1")
        with pytest.raises(NotFoundError):
            action(one, f"{double.address}/none")


def test_a_list_of_tags_that_goes_in_circles_ends(double, make):
    serve_image(double, "a", "1")

    def circle(handler):
        if "/tags/list" not in handler.path:
            return False
        handler.reply(200, b'{"name":"a","tags":["1"]}', Link='</v2/a/tags/list?n=1>; rel="next"')
        return True

    double.faults.append(circle)
    assert len(pull_all(make("one"), f"{double.address}/a")) == 1


@pytest.mark.parametrize(("kind", "head"), [("zstd", b"\x28\xb5"), ("none", b"app"), ("gzip", b"\x1f\x8b")])
def test_the_compression_of_a_push(double, make, kind, head):
    one, two = make("one"), make("two")
    name = f"{double.address}/me/serving:1"
    image_id = built(one, name, app="x" * 100_000)
    push(one, name, PushOptions(compression=Compression(kind)))
    (first, *_) = pull_manifest(double)
    assert double.blobs["me/serving", first.digest].startswith(head)
    pull(two, name)
    assert need_image(two, name).image_id == image_id


def test_what_was_fetched_and_sent_is_told(double, engine):
    serve_image(double, "a", "1")
    name = f"{double.address}/a:1"
    pull(engine, name)
    images.tag(engine, name, f"{double.address}/b:2")
    push(engine, f"{double.address}/b:2")
    told = [(event.action, event.about["name"]) for event in events(engine, {}, until=time.time())]
    assert told == [("pull", name), ("tag", f"{double.address}/b:2"), ("push", f"{double.address}/b:2")]
    with pytest.raises(TiffinError):
        pull(engine, f"{double.address}/nonesuch:1")
    assert len(list(events(engine, {}, until=time.time()))) == len(told)


def test_a_disk_that_is_too_small_is_said_before_anything_comes(double, make, full_disk):
    one = make("one")
    serve_image(double, "a", "1")
    with full_disk(), pytest.raises(FailedError, match="takes at least") as caught:
        pull(one, f"{double.address}/a:1")
    assert caught.value.code == "no-room"
    layers = [digest for name, digest in double.blobs if name == "a"]
    assert (
        sum(f"/blobs/{digest}" in seen.path for seen in double.seen for digest in layers) == 1
    )  # the config
    pull(one, f"{double.address}/a:1")
    with full_disk():  # what is here takes no more
        pull(one, f"{double.address}/a:1")
