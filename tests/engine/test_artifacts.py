"""Models to a registry and back."""

import hashlib
import io
import os
import tarfile

import msgspec
import pytest
from tests.suites.images import make_image

from tiffin.engine.artifacts import list_artifact, pull_artifact, push_artifact
from tiffin.engine.transfers import push
from tiffin.errors import CorruptError, FailedError, InvalidError, NotFoundError
from tiffin.image.artifact import FILEPATH
from tiffin.oci.descriptor import Descriptor
from tiffin.store.partials import Partial

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / "onnx").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("no part of it")
    (folder / "weights.safetensors").write_bytes(os.urandom(700_000))
    (folder / "onnx/model.onnx").write_bytes(os.urandom(1000))
    (folder / "config.json").write_text("{}")
    (folder / "blob").write_text("linked")
    (folder / "link.txt").symlink_to("blob")
    return folder


@pytest.fixture
def name(double):
    return f"{double.address}/models/barbera:1"


def draft_of(name, data):
    return f".tiffin-{hashlib.sha256(name.encode()).hexdigest()[:12]}-{hashlib.sha256(data).hexdigest()[:32]}"


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def test_there_and_back(engine, double, model, name, tmp_path):
    sent = push_artifact(engine, name, [model], annotations={"a": "b"})
    listed = list_artifact(engine, name)
    assert listed.descriptor.digest == sent.digest
    assert [part.path for part in listed.parts] == [
        "blob",
        "config.json",
        "link.txt",
        "weights.safetensors",
        "onnx/model.onnx",
    ]
    target = tmp_path / "deep" / "target"
    assert pull_artifact(engine, name, target) == listed
    assert files(target) == files(model)
    assert (target / "config.json").stat().st_mode & 0o777 == 0o644


def test_what_is_there_is_not_fetched_nor_sent_again(engine, double, model, name, tmp_path):
    push_artifact(engine, name, [model])
    pull_artifact(engine, name, tmp_path / "t")
    (tmp_path / "t/config.json").write_text("[]")
    double.seen.clear()
    pull_artifact(engine, name, tmp_path / "t")
    assert len([seen for seen in double.requests("GET") if "/blobs/" in seen]) == 1
    assert files(tmp_path / "t") == files(model)
    double.seen.clear()
    push_artifact(engine, name, [model])
    assert double.requests("POST") == []


def test_single_files(engine, model, name, tmp_path):
    push_artifact(engine, name, [model / "config.json", model / "onnx"], artifact_type="application/x.report")
    assert set(files_of(engine, name, tmp_path)) == {"config.json", "model.onnx"}
    assert list_artifact(engine, name).artifact_type == "application/x.report"


def files_of(engine, name, tmp_path):
    pull_artifact(engine, name, tmp_path / "t")
    return files(tmp_path / "t")


def test_what_cannot_be_sent(engine, model, name, tmp_path):
    with pytest.raises(NotFoundError, match="there is no file"):
        push_artifact(engine, name, [tmp_path / "none"])
    with pytest.raises(InvalidError, match="more than one file"):
        push_artifact(engine, name, [model, model / "config.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match="no files"):
        push_artifact(engine, name, [tmp_path / "empty"])
    os.mkfifo(model / "fifo")
    with pytest.raises(InvalidError, match="is no file"):
        push_artifact(engine, name, [model])


def test_a_fetch_that_was_killed_goes_on(engine, double, model, name, tmp_path):
    push_artifact(engine, name, [model / "weights.safetensors"])
    data = (model / "weights.safetensors").read_bytes()
    draft = tmp_path / draft_of("weights.safetensors", data)
    with draft.open("w+b") as file:
        partial = Partial(file.fileno(), Descriptor.of(data, "application/octet-stream"))
        partial.prepare()
        partial.write(0, data[:400_000], partial.turn)
    double.seen.clear()
    pull_artifact(engine, name, tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == data
    assert not draft.exists()
    assert [seen.headers.get("Range") for seen in double.seen if "/blobs/" in seen.path] == ["bytes=400000-"]


@pytest.mark.parametrize("begun", [b"wrong" * 100, b"x" * 800_000])
def test_a_draft_that_is_damaged_begins_anew(engine, model, name, tmp_path, begun):
    push_artifact(engine, name, [model / "weights.safetensors"])
    data = (model / "weights.safetensors").read_bytes()
    draft = tmp_path / draft_of("weights.safetensors", data)
    draft.write_bytes(begun)
    pull_artifact(engine, name, tmp_path)
    assert (tmp_path / "weights.safetensors").read_bytes() == data


def serve(double, repository, tag, *layers):
    config = b"{}"
    double.put(repository, config)
    entries = []
    for media_type, path, data in layers:
        double.put(repository, data)
        entries.append(
            {
                "mediaType": media_type,
                "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
                "size": len(data),
                "annotations": {FILEPATH: path},
            }
        )
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": "application/x",
        "config": {
            "mediaType": "application/vnd.oci.empty.v1+json",
            "size": 2,
            "digest": "sha256:" + hashlib.sha256(config).hexdigest(),
        },
        "layers": entries,
    }
    double.put(repository, msgspec.json.encode(document), MANIFEST, tag)
    return f"{double.address}/{repository}:{tag}"


def test_links_in_the_folder_are_not_followed(engine, double, tmp_path):
    outside, target = tmp_path / "outside", tmp_path / "target"
    outside.mkdir()
    target.mkdir()
    (outside / "file").write_text("precious")
    (target / "file").symlink_to(outside / "file")
    pull_artifact(engine, serve(double, "a", "1", ("application/x", "file", b"new")), target)
    assert ((outside / "file").read_text(), (target / "file").read_text()) == ("precious", "new")
    (target / "sub").symlink_to(outside)
    with pytest.raises(InvalidError, match="no folder"):
        pull_artifact(engine, serve(double, "a", "2", ("application/x", "sub/file", b"new")), target)
    assert (outside / "file").read_text() == "precious"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x"])
def test_paths_that_lead_elsewhere(engine, double, tmp_path, path):
    with pytest.raises(InvalidError, match="must be relative"):
        pull_artifact(engine, serve(double, "a", "1", ("application/x", path, b"new")), tmp_path / "t")
    assert not (tmp_path / "x").exists()


def test_archives_are_unpacked(engine, double, tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("weights/a.bin")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"data"))
    name = serve(
        double, "a", "1", ("application/vnd.cncf.model.weight.v1.tar+gzip", "weights", out.getvalue())
    )
    pull_artifact(engine, name, tmp_path / "t")
    assert (tmp_path / "t/weights/a.bin").read_bytes() == b"data"


def test_archives_leave_what_is_there(engine, double, tmp_path):
    out, target = io.BytesIO(), tmp_path / "target"
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in (".wh.precious", "folder/.wh..wh..opq", "new"):
            archive.addfile(tarfile.TarInfo(name))
    target.mkdir(mode=0o700)
    (target / "precious").write_text("mine")
    os.utime(target, (10**9, 10**9))
    before = target.stat()
    pull_artifact(engine, serve(double, "a", "1", ("application/x.tar", "all", out.getvalue())), target)
    assert (target / "precious").read_text() == "mine"
    assert target.stat().st_mode == before.st_mode
    assert target.stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(files(target)) == [".wh.precious", "folder/.wh..wh..opq", "new", "precious"]


def test_content_that_lies(engine, double, tmp_path):
    name = serve(double, "a", "1", ("application/x", "file", b"content"))
    (digest,) = {
        key for place, key in double.blobs if place == "a" and double.blobs[place, key] == b"content"
    }
    double.blobs["a", digest] = b"CONTENT"
    with pytest.raises(CorruptError):
        pull_artifact(engine, name, tmp_path / "t")
    assert list((tmp_path / "t").iterdir()) == []


def test_an_image_is_no_artifact(engine, double, tmp_path):
    image = f"{double.address}/app:1"
    make_image(engine, image)
    push(engine, image)
    for action in (lambda: list_artifact(engine, image), lambda: pull_artifact(engine, image, tmp_path)):
        with pytest.raises(InvalidError, match="is a container image"):
            action()


def test_a_disk_that_is_too_small_is_said_before(engine, double, tmp_path, full_disk):
    name = serve(double, "a", "1", ("application/x", "file", b"content"))
    double.seen.clear()
    with full_disk(), pytest.raises(FailedError, match="and the disk of"):
        pull_artifact(engine, name, tmp_path / "t")
    assert not any("/blobs/" in seen.path for seen in double.seen)
