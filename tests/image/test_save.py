import gzip
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from tests.image.archives import new_docker, old_docker, pack
from tests.image.images import AMD64, draft_of, make_image, put, tar

from tiffin.content.copy import copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.content.verify import fetch_bytes
from tiffin.errors import CorruptError, NotFoundError
from tiffin.image.archive import open_archive
from tiffin.image.layout import Layout
from tiffin.image.save import Saved, write_archive
from tiffin.image.view import open_image
from tiffin.oci.codec import encode
from tiffin.oci.config import ImageConfig, RootFS
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.oci.manifest import Manifest
from tiffin.oci.reference import Reference

BASE, APP, OTHER = tar(base=b"1" * 5000), tar(app=b"2"), tar(other=b"3")


def names(*texts):
    return tuple(Reference.parse(text) for text in texts)


def saved(*items, **options):
    out = io.BytesIO()
    write_archive(out, items, **options)
    return out.getvalue()


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name: archive.extractfile(info).read() if info.isfile() else None for info in archive}


@pytest.fixture
def two():
    place = MemoryPlace()
    first = make_image(BASE, APP, place=place)
    second = make_image(BASE, OTHER, place=place, user="app")
    return Saved(first, names("python:3", "acme/serving")), Saved(second, names("localhost:5000/x:y"))


def test_an_archive_is_a_layout_with_docker_s_list(two):
    data = members(saved(*two))
    assert json.loads(data["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    first, second = (item.image for item in two)
    assert json.loads(data["manifest.json"]) == [
        {
            "Config": f"blobs/sha256/{image.id.encoded}",
            "RepoTags": tags,
            "Layers": [f"blobs/sha256/{Digest.of(layer).encoded}" for layer in layers],
        }
        for image, tags, layers in (
            (first, ["acme/serving:latest", "python:3"], (BASE, APP)),
            (second, ["localhost:5000/x:y"], (BASE, OTHER)),
        )
    ]
    index = json.loads(data["index.json"])
    assert index["schemaVersion"] == 2
    assert [(e["digest"], e["annotations"]["io.containerd.image.name"]) for e in index["manifests"]] == [
        (first.descriptor.digest, "docker.io/acme/serving:latest"),
        (first.descriptor.digest, "docker.io/library/python:3"),
        (second.descriptor.digest, "localhost:5000/x:y"),
    ]
    assert {e["platform"]["architecture"] for e in index["manifests"]} == {"amd64"}
    blobs = {name: content for name, content in data.items() if name.startswith("blobs/sha256/")}
    assert all(name == f"blobs/sha256/{Digest.of(content).encoded}" for name, content in blobs.items())
    assert len(blobs) == 2 + 2 + 3


def test_every_layer_is_written_once(two):
    with tarfile.open(fileobj=io.BytesIO(saved(*two, *two))) as archive:
        listed = archive.getnames()
    assert len(listed) == len(set(listed))


def test_the_same_images_are_the_same_bytes(two):
    assert saved(*two) == saved(*two)
    first = two[0]
    assert saved(first) == saved(first._replace(references=first.references[::-1]))


def test_nothing_in_it_depends_on_who_writes_when(two):
    with tarfile.open(fileobj=io.BytesIO(saved(*two))) as archive:
        for info in archive:
            assert (info.mtime, info.uid, info.gid, info.uname, info.gname) == (0, 0, 0, "", "")
            assert info.mode == (0o755 if info.isdir() else 0o644)


def test_the_plain_form_has_no_list_of_docker_s(two):
    data = members(saved(*two, docker=False))
    assert "manifest.json" not in data
    assert "index.json" in data


def test_what_is_written_is_read_again(two, tmp_path):
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(*two))
    with path.open("rb") as stream, open_archive(stream) as archive:
        assert [(found.descriptor.bare(), set(found.references)) for found in archive.images] == [
            (item.image.descriptor, {name.tagged() for name in item.references}) for item in two
        ]
        for item in two:
            again = open_image(archive, archive.resolve(item.references[0]), AMD64)
            assert again.raw_manifest == item.image.raw_manifest
            assert [layer.open().read() for layer in again.layers] == [
                layer.open().read() for layer in item.image.layers
            ]


def test_an_image_without_a_name_or_with_a_digest_only_has_none_in_it(two, tmp_path):
    pinned = names(f"python@{two[0].image.descriptor.digest}")
    data = members(saved(two[0]._replace(references=()), two[1]._replace(references=pinned)))
    assert [item["RepoTags"] for item in json.loads(data["manifest.json"])] == [[], []]
    assert all("annotations" not in entry for entry in json.loads(data["index.json"])["manifests"])


def test_docker_s_words_become_oci_s_and_the_image_id_stays():
    place = MemoryPlace()
    packed = gzip.compress(BASE, mtime=0)
    config = place.write(
        encode(ImageConfig("amd64", "linux", rootfs=RootFS((DiffID.of(BASE),)))), MediaType.DOCKER_CONFIG
    )
    layer = place.write(packed, MediaType.DOCKER_LAYER_GZIP)
    manifest = Manifest(config, (layer,), media_type=MediaType.DOCKER_MANIFEST)
    image = open_image(place, place.write(encode(manifest), MediaType.DOCKER_MANIFEST))
    with open_archive(io.BytesIO(saved(Saved(image)))) as archive:
        again = open_image(archive, archive.images[0].descriptor)
    assert again.descriptor.media_type == MediaType.OCI_MANIFEST
    assert {again.manifest.config.media_type, again.layers[0].descriptor.media_type} == {
        MediaType.OCI_CONFIG,
        MediaType.OCI_LAYER_GZIP,
    }
    assert again.id == image.id


@pytest.mark.parametrize(
    ("damage", "error"), [(b"!" * len(APP), CorruptError), (b"", CorruptError), (None, NotFoundError)]
)
def test_a_damaged_layer_is_not_written(two, damage, error):
    blobs = two[0].image.fetcher.blobs
    if damage is None:
        del blobs[Digest.of(APP)]
    else:
        blobs[Digest.of(APP)] = damage
    with pytest.raises(error, match=Digest.of(APP)):
        saved(two[0])


def test_the_output_need_not_be_seekable(two):
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self.data = b""

        def writable(self):
            return True

        def write(self, data):
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    write_archive(pipe, two)
    assert pipe.data == saved(*two)
    assert len(pipe.data) % 10_240 == 0


# --- other tools read what we write, and we what they write -------------------------------------


def needs(tool):
    return pytest.mark.skipif(shutil.which(tool) is None, reason=f"{tool} is not installed")


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def skopeo(*command):
    return run("skopeo", "--insecure-policy", *command)


@pytest.fixture
def archive_file(two, tmp_path):
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(*two))
    return path


@pytest.mark.live
@needs("skopeo")
@pytest.mark.parametrize(
    "source",
    [
        "docker-archive:{}:python:3",
        "docker-archive:{}:acme/serving:latest",
        "oci-archive:{}:3",
        "docker-archive:{}:@0",
    ],
)
def test_skopeo_reads_what_we_write(two, archive_file, source, tmp_path):
    image = two[0].image
    source = source.format(archive_file)
    config = json.loads(skopeo("inspect", "--config", "--raw", source))
    assert config == json.loads(image.raw_config)
    out = tmp_path / "out"
    skopeo("copy", source, f"dir:{out}")
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["config"]["digest"] == image.id
    for layer in (BASE, APP):
        assert any(unpacked(path.read_bytes()) == layer for path in out.iterdir())


def unpacked(data):
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


@pytest.mark.live
@needs("skopeo")
def test_skopeo_takes_our_manifest_over_byte_for_byte(two, archive_file, tmp_path):
    skopeo("copy", "--preserve-digests", f"oci-archive:{archive_file}:3", f"oci:{tmp_path / 'out'}:x")
    image = two[0].image
    layout = Layout(tmp_path / "out")
    assert fetch_bytes(layout, image.descriptor) == image.raw_manifest


@pytest.mark.live
@needs("skopeo")
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("name", ["python:3", "docker.io/library/python:3"])
def test_we_read_what_skopeo_writes(two, form, name, tmp_path):
    image = two[0].image
    layout = Layout.create(tmp_path / "layout")
    copy_graph(image.fetcher, layout, image.descriptor)
    layout.tag(Reference.parse("x:1"), image.descriptor)
    path = tmp_path / "skopeo.tar"
    skopeo("copy", f"oci:{layout.path}:1", f"{form}:{path}:{name}")
    with path.open("rb") as stream, open_archive(stream) as archive:
        [found] = archive.images
        assert [str(reference) for reference in found.references] == ["docker.io/library/python:3"]
        again = open_image(archive, archive.resolve(Reference.parse("python:3")), AMD64)
        assert again.raw_config == image.raw_config
        assert [unpacked(layer.open().read()) for layer in again.layers] == [BASE, APP]


@pytest.mark.live
@needs("skopeo")
@pytest.mark.parametrize("write", [old_docker, new_docker])
def test_the_archives_of_our_tests_are_such_as_skopeo_reads(two, write, tmp_path):
    """A check of the tests themselves: what they take for Docker's archives passes elsewhere too."""
    path = tmp_path / "docker.tar"
    path.write_bytes(pack(write(two[0].image)))
    config = json.loads(skopeo("inspect", "--config", "--raw", f"docker-archive:{path}:python:3"))
    assert config == json.loads(two[0].image.raw_config)


@pytest.mark.live
@needs("umoci")
def test_umoci_unpacks_our_layout(two, tmp_path):
    layout = Layout.create(tmp_path / "layout")
    for item in two:
        copy_graph(item.image.fetcher, layout, item.image.descriptor)
        layout.tag(Reference.parse(f"x:{item.image.id.short}"), item.image.descriptor)
    tag = two[0].image.id.short
    run("umoci", "unpack", "--rootless", "--image", f"{layout.path}:{tag}", tmp_path / "bundle")
    rootfs = tmp_path / "bundle" / "rootfs"
    assert sorted(os.listdir(rootfs)) == ["app", "base"]
    assert (rootfs / "base").read_bytes() == b"1" * 5000
    spec = json.loads((tmp_path / "bundle" / "config.json").read_bytes())
    assert spec["process"]["args"] == ["/serve"]


@pytest.mark.live
@needs("umoci")
def test_we_read_what_umoci_writes(tmp_path):
    place = tmp_path / "layout"
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_bytes(b"content")
    run("umoci", "init", "--layout", place)
    run("umoci", "new", "--image", f"{place}:v1")
    run("umoci", "insert", "--rootless", "--image", f"{place}:v1", tmp_path / "tree", "/data")
    run("umoci", "config", "--image", f"{place}:v1", "--config.cmd", "serve", "--config.env", "A=1")
    layout = Layout(place)
    image = open_image(layout, layout.resolve(Reference.parse("x:v1")))
    assert image.config.config.cmd == ("serve",)
    assert "A=1" in image.config.config.env
    assert image.layers[0].diff_id == Digest.of(unpacked(image.layers[0].open().read()))


@pytest.mark.live
@needs("umoci")
def test_umoci_unpacks_an_image_without_layers(tmp_path):
    layout = Layout.create(tmp_path / "layout")
    place = MemoryPlace()
    root = put(place, draft_of(place))
    copy_graph(place, layout, root)
    layout.tag(Reference.parse("x:1"), Descriptor(root.media_type, root.digest, root.size))
    run("umoci", "unpack", "--rootless", "--image", f"{layout.path}:1", tmp_path / "bundle")
    assert os.listdir(tmp_path / "bundle" / "rootfs") == []
