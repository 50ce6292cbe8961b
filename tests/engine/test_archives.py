"""Archives out and in again: what comes back is what went, and what lies is not taken."""

import gzip
import hashlib
import io
import os
import tarfile
import time

import msgspec
import pytest
from tests.suites.images import foreign_tar, make_image

from tiffin.engine import images
from tiffin.engine.archives import load, save
from tiffin.engine.collection import collect
from tiffin.engine.events import events
from tiffin.engine.lookup import need_image
from tiffin.errors import NotFoundError, TiffinError
from tiffin.oci.digest import DiffID, Digest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


def saved(engine, *names, form="docker"):
    out = io.BytesIO()
    save(engine, names, out, form)
    return out.getvalue()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            member.name: archive.extractfile(member).read()
            for member in archive.getmembers()
            if member.isfile()
        }


def pack(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def old_archive(*tars, lie=None, name="old:1", members=None):
    """What Docker 20 saves: a config, `manifest.json` and a tar for each layer."""
    diff_ids = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in tars]
    config = msgspec.json.encode(
        {
            "architecture": "amd64" if os.uname().machine == "x86_64" else "arm64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": lie or diff_ids},
        }
    )
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    files = {config_name: config}
    for number, tar in enumerate(members or tars):
        files[f"{number}/layer.tar"] = tar
    item = {
        "Config": config_name,
        "RepoTags": [name],
        "Layers": [f"{number}/layer.tar" for number in range(len(tars))],
    }
    files["manifest.json"] = msgspec.json.encode([item])
    return pack(files)


def contents(engine):
    blobs = {path.name for path in engine.home.root.glob("blobs/sha256/*")}
    return blobs, {path.name for path in engine.home.layers.iterdir()}, list(engine.home.work.iterdir())


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_what_was_saved_loads_as_the_same_image(engine, other, form):
    made, image_id = make_image(engine, "app:1", layers=({"a": "1"}, {"d/b": "2"}), env=("A=1",))
    assert load(other, io.BytesIO(saved(engine, "app:1", form=form))) == ["app:1"]
    found = need_image(other, "app:1")
    assert (found.descriptor, found.image_id) == (made, image_id)
    for diff_id in found.config.rootfs.diff_ids:
        assert other.layers.describe(other.layers.path(diff_id)).diff_id == diff_id
    assert saved(other, "app:1", form=form) == saved(engine, "app:1", form=form)


def test_canonical_layers_are_no_blobs_before_and_after(engine, other):
    make_image(engine, "app", layers=({"a": "1"}, {"b": "2"}))
    load(other, io.BytesIO(saved(engine, "app")))
    for store in (engine, other):
        assert len(contents(store)[0]) == 2  # manifest and config
        assert all(
            store.layers.is_canonical(each) for each in need_image(store, "app").config.rootfs.diff_ids
        )


def test_only_what_is_given_is_a_name_in_the_archive(engine):
    _, image_id = make_image(engine, "app:1", "app:2")
    items = msgspec.json.decode(members(saved(engine, "app:2"))["manifest.json"])
    assert [item["RepoTags"] for item in items] == [["app:2"]]
    items = msgspec.json.decode(members(saved(engine, image_id.encoded[:12]))["manifest.json"])
    assert [item["RepoTags"] for item in items] == [[]]
    items = msgspec.json.decode(members(saved(engine, "app:1", "app:2"))["manifest.json"])
    assert [item["RepoTags"] for item in items] == [["app:1", "app:2"]]


def test_an_image_without_a_name_loads_under_its_id(engine, other):
    _, image_id = make_image(engine, "app")
    assert load(other, io.BytesIO(saved(engine, image_id))) == [image_id]
    assert [row.references for row in images.list_images(other)] == [()]


def test_several_images_share_their_layers(engine, other):
    make_image(engine, "one", layers=({"base": "x"}, {"f": "1"}))
    make_image(engine, "two", layers=({"base": "x"}, {"f": "2"}))
    data = saved(engine, "one", "two")
    assert len([name for name in members(data) if name.startswith("blobs/")]) == 3 + 2 * 2
    assert sorted(load(other, io.BytesIO(data))) == ["one:latest", "two:latest"]
    assert len(contents(other)[1]) == 3


def test_loading_again_changes_nothing(engine, other):
    make_image(engine, "app")
    data = saved(engine, "app")
    load(other, io.BytesIO(data))
    before = contents(other)
    load(other, io.BytesIO(data))
    assert contents(other) == before


@pytest.mark.parametrize("wrap", [gzip.compress, lambda data: data], ids=["gz", "plain"])
def test_an_old_archive_keeps_the_blobs_that_cannot_be_made_again(engine, other, wrap):
    tar = foreign_tar(model="weights")
    assert load(engine, io.BytesIO(wrap(old_archive(tar)))) == ["old:1"]
    found = need_image(engine, "old:1")
    assert found.config.rootfs.diff_ids == (DiffID.of(tar),)
    assert (engine.layers.path(DiffID.of(tar)) / "model").read_text() == "weights"
    assert not engine.layers.is_canonical(DiffID.of(tar))
    assert engine.blobs.path(Digest.of(tar)).read_bytes() == tar
    load(other, io.BytesIO(saved(engine, "old:1")))
    assert need_image(other, "old:1").image_id == found.image_id


def test_a_compressed_layer_stays_as_it_came(engine):
    tar = foreign_tar(model="weights")
    packed = gzip.compress(tar, mtime=0)
    load(engine, io.BytesIO(old_archive(tar, members=[packed])))
    layer = need_image(engine, "old:1").manifest.layers[0]
    assert (layer.digest, layer.size) == (Digest.of(packed), len(packed))
    assert engine.blobs.path(layer.digest).read_bytes() == packed
    assert engine.layers.blob_of(DiffID.of(tar)) == layer
    collect(engine)
    assert engine.blobs.has(layer)


def test_an_archive_comes_through_a_pipe_too(engine, other):
    make_image(engine, "app")
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as sink:
        sink.write(saved(engine, "app"))
    with os.fdopen(reading, "rb") as stream:
        assert load(other, stream) == ["app:latest"]


def hostile_tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("../escaped")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    return out.getvalue()


GOOD = foreign_tar(f="1")
ITEM = '[{"Config":"c.json","RepoTags":["a:1"],"Layers":%s}]'
HOSTILE = {
    "no archive": b"no archive at all" * 100,
    "nothing": b"",
    "an archive of no image": pack({"etc/passwd": b"root"}),
    "a layer that is not what the config says": old_archive(GOOD, lie=["sha256:" + "0" * 64]),
    "fewer layers than the config says": old_archive(GOOD, lie=["sha256:" + "0" * 64] * 2),
    "a second layer that climbs": old_archive(GOOD, hostile_tar()),
    "a layer that is no tar": old_archive(b"not a tar" * 100),
    "a layer that is missing": pack({"manifest.json": (ITEM % '["l"]').encode()}),
    "a config that is a list": pack({"c.json": b"[]", "manifest.json": (ITEM % "[]").encode()}),
    "a name that is none": old_archive(GOOD, name="NOT A NAME"),
    "a half": old_archive(GOOD, foreign_tar(g="2" * 100_000))[:60_000],
}  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_leaves_no_name_and_no_layer_that_lies(engine, tmp_path, data):
    make_image(engine, "here", layers=({"mine": "x"},))
    before, outside = contents(engine), sorted(os.listdir(tmp_path))
    with pytest.raises(TiffinError) as caught:
        load(engine, io.BytesIO(data))
    assert caught.value.message
    assert [row.references for row in images.list_images(engine)] == [("here:latest",)]
    collect(engine)
    assert contents(engine) == before
    assert sorted(os.listdir(tmp_path)) == outside


def test_saving_what_is_not_there_writes_nothing(engine):
    out = io.BytesIO()
    with pytest.raises(NotFoundError):
        save(engine, ["none"], out)
    assert out.getvalue() == b""


def test_a_layer_that_was_changed_on_disk_is_not_saved_as_if_it_were_whole(engine):
    make_image(engine, "app", layers=({"f": "content"},))
    diff_id = need_image(engine, "app").config.rootfs.diff_ids[0]
    (engine.layers.path(diff_id) / "f").write_text("altered")
    os.utime(engine.layers.path(diff_id) / "f", (1, 1))
    with pytest.raises(TiffinError):
        save(engine, ["app"], io.BytesIO())


def test_what_was_done_is_told(engine, other):
    _, identity = make_image(engine, "a:1")
    images.tag(engine, "a:1", "b:2")
    archive = saved(engine, "b:2")
    load(other, io.BytesIO(archive))
    images.remove(engine, ["b:2", "a:1"])
    told = [
        [(event.action, event.about["name"]) for event in events(each, {}, until=time.time())]
        for each in (engine, other)
    ]
    assert told[0] == [
        ("tag", "b:2"),
        ("save", "b:2"),
        ("untag", "b:2"),
        ("untag", "a:1"),
        ("delete", identity),
    ]
    assert told[1] == [("load", "b:2")]
