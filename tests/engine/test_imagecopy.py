"""Images from every place to every other; what arrives has the digest that left."""

import itertools
import os
import tarfile

import pytest
from tests.suites.images import make_image

from tiffin.engine.imagecopy import copy_image
from tiffin.engine.lookup import need_image
from tiffin.engine.places import parse_place
from tiffin.errors import CorruptError, InvalidError, NotFoundError, UnavailableError, UnsupportedError
from tiffin.image.archive import open_archive
from tiffin.image.layout import MARKER, Layout
from tiffin.image.view import open_image
from tiffin.linux.files import lock
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Index
from tiffin.oci.platform import Platform
from tiffin.oci.reference import Reference
from tiffin.snapshot.unpack import unpack_image

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


def copy(engine, source, target, **options):
    return copy_image(engine, parse_place(str(source)), parse_place(str(target)), **options)


@pytest.fixture
def app(engine):
    make_image(engine, "app", layers=({"f": "content " * 500}, {"g": "2"}))
    return need_image(engine, "app")


@pytest.fixture
def remote(double):
    return f"docker://{double.address}/team/app:1"


def test_around_all_places_and_back(engine, other, double, app, remote, tmp_path):
    sent = copy(engine, "app", remote)
    layout, archive = f"oci:{tmp_path}/layout:1.0", f"oci-archive:{tmp_path}/a.tar:1.0"
    steps = [remote, layout, archive, f"docker://{double.address}/other/app:2", "back"]
    for source, target in itertools.pairwise(steps):
        assert copy(engine, source, target).digest == sent.digest
    back = need_image(engine, "back")
    assert (back.descriptor.digest, back.image_id) == (sent.digest, app.image_id)
    copy(other, archive, "app")
    found = need_image(other, "app")
    diff_ids = found.config.rootfs.diff_ids
    assert not any(other.layers.path(diff_id).exists() for diff_id in diff_ids)  # nothing was unpacked
    unpack_image(other.fetcher, found.manifest, found.config, other.layers)
    assert (other.layers.path(diff_ids[0]) / "f").read_text() == "content " * 500


def test_within_a_registry_nothing_is_sent_again(engine, double, app, remote):
    copy(engine, "app", remote)
    double.seen.clear()
    copy(engine, remote, f"docker://{double.address}/other/app:2")
    assert len(double.requests("POST")) == 3
    assert all("from=team" in seen.path for seen in double.seen if seen.method == "POST")
    assert double.requests("PATCH") == []


def test_names_in_layouts_and_archives(engine, app, tmp_path):
    place = f"{tmp_path}/layout"
    for name in ("1.0", "team/app:2"):
        copy(engine, "app", f"oci:{place}:{name}")
    make_image(engine, "second", layers=({"h": "x"},))
    copy(engine, "second", f"oci:{place}:1.1")
    with pytest.raises(InvalidError, match="holds 2 images"):
        copy(engine, f"oci:{place}", "x")
    with pytest.raises(NotFoundError, match="no such image"):
        copy(engine, f"oci:{place}:9", "x")
    first, second = (copy(engine, f"oci:{place}:{name}", "x").digest for name in ("1.0", "1.1"))
    assert first != second
    assert copy(engine, f"oci:{place}:team/app:2", "x").digest == first
    assert {
        entry.annotations["org.opencontainers.image.ref.name"]
        for entry in Layout(tmp_path / "layout").entries()
    } == {"1.0", "1.1", "2"}


def test_a_layout_is_written_by_one_at_a_time(engine, app, tmp_path, monkeypatch):
    push, pushed = Layout.push, []

    def watched(layout, descriptor, stream):
        with pytest.raises(BlockingIOError), lock(layout.path / MARKER, blocking=False):
            pass
        pushed.append(descriptor)
        push(layout, descriptor, stream)

    monkeypatch.setattr(Layout, "push", watched)
    copy(engine, "app", f"oci:{tmp_path}/layout:1.0")
    assert len(pushed) == 4
    with lock(tmp_path / "layout" / MARKER, blocking=False):
        pass


def test_dockers_archive(engine, other, app, tmp_path):
    copy(engine, "app", f"docker-archive:{tmp_path}/a.tar:serving:3")
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert "manifest.json" in archive.getnames()
    with (tmp_path / "a.tar").open("rb") as stream, open_archive(stream) as archive:
        (image,) = archive.images
        assert [name.familiar for name in image.references] == ["serving:3"]
        assert open_image(archive, image.descriptor).id == app.image_id
    copy(other, f"docker-archive:{tmp_path}/a.tar:serving:3", "here")
    assert need_image(other, "here").image_id == app.image_id


def test_a_name_without_a_tag_in_dockers_archive(engine, other, app, tmp_path):
    place = f"docker-archive:{tmp_path}/a.tar:serving"
    copy(engine, "app", place)
    copy(other, place, "here")
    assert need_image(other, "here").image_id == app.image_id


def test_an_index_is_copied_whole_or_for_one_platform(engine, double, tmp_path):
    own, _ = make_image(engine, layers=({"a": "1"},))
    index = engine.blobs.write(
        codec.encode(Index((Descriptor(own.media_type, own.digest, own.size, platform=engine.platform),))),
        MediaType.OCI_INDEX,
    )
    engine.images.add(index, index.digest)
    engine.tags.set(Reference.parse("both").tagged(), index)
    assert copy(engine, "both", f"oci:{tmp_path}/l:1").is_index
    one = copy(engine, f"oci:{tmp_path}/l:1", f"docker://{double.address}/x:1", platform=engine.platform)
    assert one.media_type == MediaType.OCI_MANIFEST
    with pytest.raises(NotFoundError):
        copy(engine, f"oci:{tmp_path}/l:1", "x", platform=Platform.parse("linux/s390x"))


def test_nothing_is_named_before_all_is_there(engine, other, app, double, tmp_path):
    copy(engine, "app", f"oci:{tmp_path}/l:1")
    for blob in (tmp_path / "l/blobs/sha256").iterdir():
        if blob.read_bytes().startswith(b"\x1f\x8b"):
            blob.write_bytes(b"x" * blob.stat().st_size)
    for target in ("broken", f"docker://{double.address}/broken:1"):
        with pytest.raises(CorruptError, match="digest"):
            copy(other, f"oci:{tmp_path}/l:1", target)
    assert other.tags.get(Reference.parse("broken").tagged()) is None
    assert ("broken", "1") not in double.manifests
    with pytest.raises(CorruptError, match="digest"):
        copy(other, f"oci:{tmp_path}/l:1", f"oci-archive:{tmp_path}/broken.tar")
    assert not (tmp_path / "broken.tar").exists()


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("none", NotFoundError),
        ("oci:/no/such/place", NotFoundError),
        ("oci-archive:/no/such/file", NotFoundError),
        ("docker-archive:/dev/null", CorruptError),
    ],
)
def test_sources_that_are_not_there(engine, source, error):
    with pytest.raises(error):
        copy(engine, source, "x")


def test_a_daemon_elsewhere_or_nowhere(engine, tmp_path):
    engine.settings.environ["DOCKER_HOST"] = "tcp://127.0.0.1:1"
    with pytest.raises(UnsupportedError, match="daemon on this machine"):
        copy(engine, "docker-daemon:x", "x")
    engine.settings.environ["DOCKER_HOST"] = f"unix://{tmp_path}/none.sock"
    with pytest.raises(UnavailableError, match="there is no Docker daemon"):
        copy(engine, "docker-daemon:x", "x")
