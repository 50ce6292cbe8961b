"""A damaged store: each kind of damage is found, said, and mended as far as the store can mend it."""

import contextlib
import os
import shutil
import sqlite3

import pytest
from tests.suites.images import add_container, foreign_tar, make_image, make_layer, open_engine

from tiffin.build.emit import manifest
from tiffin.engine import images
from tiffin.engine.fsck import fsck
from tiffin.engine.lookup import find_image, need_image
from tiffin.engine.standing import CONFIG
from tiffin.oci import codec
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Index
from tiffin.oci.reference import Reference
from tiffin.oci.runtimespec import Process, Root, RuntimeSpec, User
from tiffin.snapshot.unpack import unpack_image

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.fixture
def engine(tmp_path):
    with open_engine(tmp_path) as opened:
        yield opened


def flip(path):
    """Change one bit, and nothing that `stat` shows."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def found(engine, **options):
    return [(problem.what, problem.outcome) for problem in fsck(engine, **options).problems]


def only_layer(engine, name):
    return need_image(engine, name).config.rootfs.diff_ids[0]


def container(engine, image):
    add_container(engine, need_image(engine, image), "box")
    for directory in engine.home.containers.iterdir():
        (directory / CONFIG).write_bytes(codec.encode(RuntimeSpec(Process(User(0, 0), "/"), Root("rootfs"))))


def test_a_sound_store(engine):
    make_image(engine, "app", "again", layers=({"f": "1"}, {"g": "2"}))
    container(engine, "app")
    report = fsck(engine)
    assert (report.blobs, report.layers, report.images, report.containers) == (2, 2, 1, 1)
    assert report.size > 2048
    assert (report.problems, report.left) == ((), 0)


def test_an_empty_store(engine):
    assert fsck(engine, repair=True).problems == ()


def test_what_killed_processes_leave_is_no_damage(engine):
    (engine.home.layers / ("0" * 64)).mkdir()
    (engine.home.work / "1-abc").mkdir()
    make_layer(engine, {"f": "nobody's"})
    engine.blobs.write(b"nobody's", "text/plain")
    assert found(engine) == []
    assert found(engine, repair=True) == []
    assert (list(engine.home.layers.iterdir()), list(engine.blobs.all())) == ([], [])


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_flipped_bit_in_a_document(engine, part):
    descriptor, config = make_image(engine, "app")
    digest = descriptor.digest if part == "manifest" else config
    flip(engine.home.blob(digest))
    blob, image = found(engine)
    assert blob[0].startswith(f"the blob {digest} was changed on disk")
    assert image[0].startswith("the image app:latest is not whole: ")
    assert blob[1] == image[1] == ""
    assert engine.blobs.size(digest) is not None
    mended = found(engine, repair=True)
    assert [outcome.partition(":")[0] for _, outcome in mended] == ["it was removed", "it was forgotten"]
    assert find_image(engine, "app") is None
    assert found(engine) == []


def test_a_flipped_bit_in_a_layer_that_was_built_here(engine):
    make_image(engine, "app", layers=({"f": "some content"},))
    make_image(engine, "other", layers=({"g": "1"},))
    diff_id = only_layer(engine, "app")
    flip(engine.layers.path(diff_id) / "f")
    layer, image = found(engine)
    assert layer == (f"the layer {diff_id.short} was changed on disk", "")
    assert image[0].startswith("the image app:latest is not whole: ")
    assert [outcome for _, outcome in found(engine, repair=True)] == [
        "it was removed",
        "it was forgotten: pull, load or build it again",
    ]
    assert not engine.layers.path(diff_id).exists()
    assert [row.references for row in images.list_images(engine)] == [("other:latest",)]
    assert found(engine) == []


@pytest.mark.parametrize("change", ["mode", "owner", "more", "fewer", "time"])
def test_other_changes_of_a_layer(engine, change):
    make_image(engine, "app", layers=({"d/f": "1", "d/g": "2"},))
    place = engine.layers.path(only_layer(engine, "app")) / "d"
    if change == "mode":
        (place / "f").chmod(0o600)
    elif change == "owner":
        os.chown(place / "f", 5, 5)
    elif change == "more":
        (place / "h").touch()
    elif change == "fewer":
        (place / "g").unlink()
    else:
        os.utime(place / "f", (7, 7))
    assert found(engine)[0][0].startswith("the layer")


def foreign_image(engine):
    """An image whose layer came as another tool's tar, unpacked."""
    data = foreign_tar(f="from elsewhere")
    layer = engine.blobs.write(data, MediaType.OCI_LAYER)
    make_image(engine, "app", layers=())
    base = need_image(engine, "app")
    diff_id = DiffID(str(layer.digest))
    value = ImageConfig(base.config.architecture, "linux", rootfs=RootFS(diff_ids=(diff_id,)))
    described = engine.blobs.write(codec.encode(value), MediaType.OCI_CONFIG)
    descriptor = engine.blobs.write(codec.encode(manifest(described, [layer])), MediaType.OCI_MANIFEST)
    engine.images.remove(base.descriptor.digest)
    engine.images.add(descriptor, described.digest)
    engine.tags.set(Reference.parse("app").tagged(), descriptor)
    image = need_image(engine, "app")
    unpack_image(engine.fetcher, image.manifest, image.config, engine.layers)
    assert not engine.layers.is_canonical(diff_id)
    return diff_id


def test_a_layer_from_elsewhere_is_unpacked_again(engine):
    diff_id = foreign_image(engine)
    assert found(engine) == []
    path = engine.layers.path(diff_id) / "f"
    flip(path)
    assert found(engine) == [(f"the layer {diff_id.short} was changed on disk", "")]
    assert found(engine, repair=True) == [
        (f"the layer {diff_id.short} was changed on disk", "it was unpacked again")
    ]
    assert path.read_text() == "from elsewhere"
    assert found(engine) == []


def test_the_blob_of_a_layer_from_elsewhere_cannot_be_made_again(engine):
    diff_id = foreign_image(engine)
    flip(engine.home.blob(Digest(str(diff_id))))
    assert [outcome.partition(":")[0] for _, outcome in found(engine, repair=True)] == [
        "it was removed",
        "it was forgotten",
    ]
    assert found(engine) == []


def test_a_layer_whose_directory_is_gone_comes_back_by_itself_if_it_can(engine):
    diff_id = foreign_image(engine)
    engine.layers.path(diff_id).rename(engine.home.work / "away")
    assert found(engine) == []  # the next container unpacks it
    make_image(engine, "own", layers=({"x": "y"},))
    own = only_layer(engine, "own")
    engine.layers.path(own).rename(engine.home.work / "gone")
    assert [what.partition(": ")[0] for what, _ in found(engine)] == ["the image own:latest is not whole"]


def test_a_container_whose_layer_is_lost_stays(engine):
    make_image(engine, "app", layers=({"f": "1"},))
    container(engine, "app")
    flip(engine.layers.path(only_layer(engine, "app")) / "f")
    assert fsck(engine, repair=True).left == 1
    (problem,) = fsck(engine).problems
    assert problem.what.startswith("the container box cannot be started: the layer")


def test_a_container_whose_spec_is_cut_off(engine):
    make_image(engine, "app")
    container(engine, "app")
    (directory,) = engine.home.containers.iterdir()
    (directory / CONFIG).write_text("{")
    assert found(engine)[0][0].startswith("the container box cannot be started: its config.json is damaged")
    shutil.rmtree(directory)
    assert found(engine) == []  # that is no damage but a removal which was killed


def test_of_an_index_only_what_is_here_has_to_be_whole(engine):
    descriptor, _ = make_image(engine, layers=({"f": "1"},))
    absent = Descriptor(MediaType.OCI_MANIFEST, Digest("sha256:" + "1" * 64), 100)
    index = engine.blobs.write(codec.encode(Index(manifests=(descriptor, absent))), MediaType.OCI_INDEX)
    engine.images.add(index, index.digest)
    engine.tags.set(Reference.parse("both").tagged(), index)
    assert found(engine) == []
    engine.images.remove(descriptor.digest)
    engine.blobs.delete(descriptor.digest)
    assert (
        found(engine)[0][0]
        == "the image both:latest is not whole: it is an index, and none of its images is here"
    )


def test_a_damaged_database_is_said_and_nothing_else_is_believed(engine):
    make_image(engine, "app")
    with contextlib.closing(sqlite3.connect(engine.home.database)) as raw, raw:
        raw.execute("INSERT INTO container_item(container, kind, key) VALUES ('none', 'blob', 'x')")
    report = fsck(engine, repair=True)
    assert [problem.what for problem in report.problems] == [
        "the database: a row of container_item refers to a container that is gone"
    ]
    assert (report.left, report.images) == (1, 0)
