import json
import os
import threading

import pytest
from tests.image.images import AMD64, draft_of, put, tar
from tests.suites.content_place import NamesSuite, PlaceSuite

from tiffin.content.copy import copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.errors import CorruptError, InvalidError, NotFoundError, UnsupportedError
from tiffin.image.layout import Layout
from tiffin.image.naming import find, name_of, named, unnamed
from tiffin.image.view import open_image
from tiffin.oci.descriptor import Annotation, Descriptor, MediaType
from tiffin.oci.reference import Reference

ONE, TWO = (Descriptor.of(data, MediaType.OCI_MANIFEST) for data in (b"1", b"2"))


class TestLayout(PlaceSuite, NamesSuite):
    @pytest.fixture
    def place(self, tmp_path):
        return Layout.create(tmp_path / "layout")


def entry(descriptor, **annotations):
    keys = {"ref": Annotation.REF_NAME, "image": Annotation.IMAGE_NAME, "other": "other"}
    return Descriptor(
        descriptor.media_type,
        descriptor.digest,
        descriptor.size,
        {keys[key]: value for key, value in annotations.items()},
    )


def test_a_new_layout_is_what_the_specification_says(tmp_path):
    Layout.create(tmp_path / "a" / "b")
    root = tmp_path / "a" / "b"
    assert json.loads((root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((root / "index.json").read_bytes())
    assert (index["schemaVersion"], index["manifests"]) == (2, [])
    assert (root / "blobs" / "sha256").is_dir()


def test_content_lies_where_the_specification_says(tmp_path):
    source = MemoryPlace()
    layout = Layout.create(tmp_path)
    root = put(source, draft_of(source, tar(a=b"1")))
    copy_graph(source, layout, root)
    layout.tag(Reference.parse("acme/serving:1"), root)
    for digest, data in source.blobs.items():
        assert (tmp_path / "blobs" / "sha256" / digest.encoded).read_bytes() == data
    listed = json.loads((tmp_path / "index.json").read_bytes())["manifests"]
    assert listed == [
        {
            "mediaType": root.media_type,
            "digest": root.digest,
            "size": root.size,
            "annotations": {
                "io.containerd.image.name": "docker.io/acme/serving:1",
                "org.opencontainers.image.ref.name": "1",
            },
        }
    ]
    assert sorted(os.listdir(tmp_path)) == ["blobs", "index.json", "oci-layout"]
    again = Layout(tmp_path)
    assert open_image(again, again.resolve(Reference.parse("acme/serving:1")), AMD64).config.config.cmd == (
        "/serve",
    )


def test_creating_again_keeps_what_is_there(tmp_path):
    Layout.create(tmp_path).tag(Reference.parse("a"), ONE)
    assert Layout.create(tmp_path).resolve(Reference.parse("a")) == ONE


def test_many_names_at_once_are_all_kept(tmp_path):
    Layout.create(tmp_path)
    names = [Reference.parse(f"a:{number}") for number in range(20)]
    threads = [threading.Thread(target=Layout(tmp_path).tag, args=(name, ONE)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name_of(listed) for listed in Layout(tmp_path).entries()} == set(names)


def test_what_is_no_layout_is_told(tmp_path):
    with pytest.raises(NotFoundError, match="is not an OCI layout"):
        Layout(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFoundError, match="is not an OCI layout"):
        Layout(tmp_path / "file")


@pytest.mark.parametrize(
    ("marker", "error", "says"),
    [
        (b'{"imageLayoutVersion":"2.0.0"}', UnsupportedError, "version '2.0.0'"),
        (b"{}", CorruptError, "imageLayoutVersion"),
        (b"rubbish", CorruptError, "oci-layout"),
        (b" " * (5 << 20), CorruptError, "bytes"),
    ],
)
def test_a_strange_marker_is_refused(tmp_path, marker, error, says):
    (tmp_path / "oci-layout").write_bytes(marker)
    with pytest.raises(error, match=says):
        Layout(tmp_path)


def test_a_broken_index_is_corrupt(tmp_path):
    layout = Layout.create(tmp_path)
    (tmp_path / "index.json").write_bytes(b'{"manifests":[{"digest":"../../etc"}]}')
    with pytest.raises(CorruptError, match=r"index.json .*manifests\[0\]"):
        layout.entries()
    (tmp_path / "index.json").unlink()
    with pytest.raises(CorruptError, match=r"no index.json"):
        layout.resolve(Reference.parse("a"))


@pytest.mark.parametrize(
    ("listed", "name"),
    [
        (entry(ONE, image="docker.io/library/python:3", ref="3"), "python:3"),
        (entry(ONE, ref="python:3"), "python:3"),
        (entry(ONE, ref="docker.io/library/python"), "python:latest"),
        (entry(ONE, ref="3"), None),
        (entry(ONE, ref="Not A Name:x"), None),
        (entry(ONE), None),
    ],
)
def test_names_are_read_as_the_tools_write_them(listed, name):
    assert name_of(listed) == (Reference.parse(name) if name else None)


def test_a_tag_alone_answers_for_any_repository():
    assert find([entry(ONE, ref="3"), entry(TWO, ref="4")], Reference.parse("python:3"), "it") == ONE
    with pytest.raises(NotFoundError) as caught:
        find([entry(ONE, ref="3"), entry(TWO, image="docker.io/a/b:1")], Reference.parse("python"), "it")
    assert caught.value.hint == "it has a/b:1, 3"
    with pytest.raises(InvalidError, match="more than one"):
        find([entry(ONE, ref="3"), entry(TWO, ref="3")], Reference.parse("python:3"), "it")


def test_a_layout_without_names_says_so():
    with pytest.raises(NotFoundError) as caught:
        find([ONE], Reference.parse("python"), "it")
    assert caught.value.hint == "its images have no names"


def test_a_digest_decides_alone():
    listed = [entry(ONE, image="docker.io/library/python:3"), entry(TWO, ref="3")]
    for name in (f"python@{TWO.digest}", f"python:3@{TWO.digest}"):
        assert find(listed, Reference.parse(name), "it") == TWO
    with pytest.raises(NotFoundError):
        find(listed, Reference.parse(f"python:3@{Descriptor.of(b'3', '').digest}"), "it")


def test_naming_again_replaces_names_and_nothing_else():
    first = named(entry(ONE, other="x"), Reference.parse("a:1"))
    second = named(first, Reference.parse("b:2"))
    assert name_of(second) == Reference.parse("b:2")
    assert unnamed(second) == entry(ONE, other="x")
