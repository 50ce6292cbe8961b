import gzip
import hashlib
import io
import json
import os
import resource
import tarfile
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.image.archives import member, new_docker, old_docker, pack, symlink
from tests.image.images import AMD64, make_image, tar

from tiffin.content.copy import copy_graph
from tiffin.content.memory import MemoryPlace
from tiffin.errors import CorruptError, NotFoundError, TiffinError, UnsupportedError
from tiffin.image.archive import open_archive
from tiffin.image.view import open_image
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

ONE, TWO = tar(a=b"1" * 3000), tar(b=b"2")
PYTHON = Reference.parse("python:3")


@pytest.fixture
def image():
    return make_image(ONE, TWO)


@contextmanager
def opened(data, tmp_path):
    path = tmp_path / "archive.tar"
    path.write_bytes(data)
    with path.open("rb") as stream, open_archive(stream, tmp_path) as archive:
        yield archive


def load(archive):
    """All images, copied out of the archive and thereby verified, as layers and names."""
    sink = MemoryPlace()
    loaded = []
    for found in archive.images:
        copy_graph(archive, sink, found.descriptor)
        seen = open_image(sink, found.descriptor, AMD64)
        loaded.append((seen, [str(name) for name in found.references]))
    return loaded


@pytest.mark.parametrize("write", [old_docker, new_docker])
def test_archives_of_old_and_new_docker_are_read(image, write, tmp_path):
    with opened(pack(write(image)), tmp_path) as archive:
        [(seen, names)] = load(archive)
        assert archive.resolve(PYTHON).digest == seen.descriptor.digest
    assert names == ["docker.io/library/python:3"]
    assert seen.raw_config == image.raw_config
    assert [layer.open().read() for layer in seen.layers] == [ONE, TWO]


@pytest.mark.parametrize("write", [old_docker, new_docker])
def test_an_image_may_have_many_names_or_none(image, write, tmp_path):
    with opened(pack(write(image, ("python:3", "serving:latest"))), tmp_path) as archive:
        assert [[name.familiar for name in found.references] for found in archive.images] == [
            ["python:3", "serving:latest"]
        ]
        with pytest.raises(NotFoundError) as caught:
            archive.resolve(Reference.parse("python:4"))
        assert caught.value.hint == "it has python:3, serving:latest"
    with opened(pack(write(image, ())), tmp_path) as archive:
        assert [found.references for found in archive.images] == [()]


def test_the_same_image_is_the_same_through_an_old_archive(image, tmp_path):
    with opened(pack(old_docker(image)), tmp_path) as archive:
        assert archive.images[0].descriptor == image.descriptor


def test_names_that_the_layout_lacks_come_from_docker_s_list(image, tmp_path):
    with opened(pack(new_docker(image, names=False)), tmp_path) as archive:
        assert [name.familiar for name in archive.images[0].references] == ["python:3"]
        assert len(archive.images) == 1


def test_a_plain_oci_archive_is_read(image, tmp_path):
    members = [entry for entry in new_docker(image) if entry[0].name != "manifest.json"]
    with opened(pack(members), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


def test_names_with_a_leading_dot_are_found(image, tmp_path):
    members = new_docker(image)
    for info, _ in members:
        info.name = f"./{info.name}"
    with opened(pack([member("./", kind=tarfile.DIRTYPE), *members]), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_layers_may_be_links_and_names_long(form, tmp_path):
    image = make_image(ONE, ONE, ONE)
    members = old_docker(image, shared=(1, 2))
    deep = "d" * 90 + "/" + "e" * 60
    for info, data in members:
        if info.name == "manifest.json":
            listed = json.loads(data)
            listed[0]["Layers"][2] = f"{deep}/layer.tar"
            data = json.dumps(listed).encode()  # noqa: PLW2901 - only this member changes
            info.size = len(data)
            manifest = (info, data)
    first = next(info.name for info, _ in members if info.name.endswith("layer.tar"))
    members = [entry for entry in members if entry[0].name != "manifest.json"]
    hard = member(f"{deep}/layer.tar", kind=tarfile.LNKTYPE, link=first)
    with opened(pack([*members, hard, manifest], form), tmp_path) as archive:
        assert [layer.open().read() for layer in load(archive)[0][0].layers] == [ONE] * 3


def test_layers_of_an_old_archive_may_be_compressed(image, tmp_path):
    packed = gzip.compress(ONE)
    members = [
        (member(info.name, packed) if data == ONE else (info, data)) for info, data in old_docker(image)
    ]
    with opened(pack(members), tmp_path) as archive:
        seen = load(archive)[0][0]
    assert seen.layers[0].descriptor == Descriptor.of(packed, MediaType.OCI_LAYER_GZIP)
    assert seen.layers[0].diff_id == Digest.of(ONE)


def test_layers_compressed_in_an_unknown_way_are_told(image, tmp_path):
    members = swap(old_docker(image), old_docker(image)[3][0].name, b"BZh91AY rest")
    with pytest.raises(UnsupportedError, match="not by gzip or zstd"), opened(pack(members), tmp_path):
        pass


def test_an_entry_whose_image_was_not_saved_does_no_harm_to_the_others(image, tmp_path):
    absent = Descriptor.of(b"elsewhere", MediaType.OCI_MANIFEST)
    entries = [
        {"mediaType": d.media_type, "digest": d.digest, "size": d.size} for d in (absent, image.descriptor)
    ]
    index = json.dumps({"schemaVersion": 2, "manifests": entries}).encode()
    with opened(pack(swap(new_docker(image), "index.json", index)), tmp_path) as archive:
        assert open_image(archive, archive.resolve(PYTHON)).id == image.id
        with pytest.raises(NotFoundError, match=absent.digest):
            archive.open(absent)


def test_numbers_may_be_binary_and_global_headers_are_passed_over(image, tmp_path):
    note = member("note", b"16 comment=hello\n", tarfile.XGLTYPE)
    data = bytearray(pack([note, *without(new_docker(image), "blobs/", "blobs/sha256/")]))
    for at in range(1024, 2048, 512):
        if data[at : at + 6] == b"blobs/":
            header = data[at : at + 512]
            header[124:136] = b"\x80" + int(header[124:135], 8).to_bytes(11, "big")
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            data[at : at + 512] = header
    assert data.count(b"\x80" + bytes(8)) >= 1
    with opened(bytes(data), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


def test_directories_may_be_marked_by_a_slash_alone(image, tmp_path):
    members = new_docker(image)
    for info, _ in members[:2]:
        info.type = tarfile.AREGTYPE
        info.name = info.name.rstrip("/") + "/"
    with opened(pack(members), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


def test_one_platform_of_an_index_is_enough(image, tmp_path):
    """Docker saves the index of all platforms, and of its images only the one it has."""
    absent = Descriptor.of(b"elsewhere", MediaType.OCI_MANIFEST)
    entries = [
        {
            "mediaType": d.media_type,
            "digest": d.digest,
            "size": d.size,
            "platform": {"os": "linux", "architecture": a},
        }
        for d, a in ((absent, "arm64"), (image.descriptor, "amd64"))
    ]
    inner = json.dumps({"schemaVersion": 2, "mediaType": MediaType.OCI_INDEX, "manifests": entries}).encode()
    digest = Digest.of(inner)
    names = {"io.containerd.image.name": "docker.io/library/python:3"}
    outer = [{"mediaType": MediaType.OCI_INDEX, "digest": digest, "size": len(inner), "annotations": names}]
    members = [entry for entry in new_docker(image) if entry[0].name != "index.json"]
    members += [
        member(f"blobs/sha256/{digest.encoded}", inner),
        member("index.json", json.dumps({"schemaVersion": 2, "manifests": outer}).encode()),
    ]
    with opened(pack(members), tmp_path) as archive:
        [found] = archive.images
        assert [name.familiar for name in found.references] == ["python:3"]
        assert open_image(archive, found.descriptor, AMD64).id == image.id


def test_an_archive_may_come_through_a_pipe(image, tmp_path):
    data = pack(new_docker(image))
    read, write = os.pipe()

    def feed():
        with os.fdopen(write, "wb") as out:
            out.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    with os.fdopen(read, "rb") as stream, open_archive(stream, tmp_path) as archive:
        assert load(archive)[0][0].id == image.id
    thread.join()
    assert os.listdir(tmp_path) == []


def test_an_archive_may_be_in_memory(image, tmp_path):
    with open_archive(io.BytesIO(pack(old_docker(image))), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


@pytest.mark.parametrize("compress", ["gzip", "bz2", "lzma", "zstd"])
def test_an_archive_may_be_compressed(image, compress, tmp_path):
    name = "backports.zstd" if compress == "zstd" else compress
    module = pytest.importorskip(name)
    with opened(module.compress(pack(new_docker(image))), tmp_path) as archive:
        assert load(archive)[0][0].id == image.id


def test_streams_can_be_read_from_many_threads(image, tmp_path):
    with opened(pack(new_docker(image)), tmp_path) as archive:
        layers = open_image(archive, archive.images[0].descriptor).layers
        first, second = layers[0].open(), layers[0].open()
        assert first.read(1000) == second.read(1000) == ONE[:1000]
        assert layers[1].open().read() == TWO
        assert first.read() == ONE[1000:]


def swap(members, name, data):
    return [member(info.name, data) if info.name == name else (info, old) for info, old in members]


def without(members, *names):
    return [entry for entry in members if entry[0].name not in names]


def listed(**fields):
    return json.dumps([{"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l"], **fields}]).encode()


def lie_about_size(members, name, size):
    for info, _ in members:
        if info.name == name:
            info.size = size
    return members


HOSTILE = {
    "an absolute name": (lambda i: [*old_docker(i), member("/etc/passwd", b"x")], "absolute"),
    "a name that leads out": (lambda i: [*old_docker(i), member("a/../../b", b"x")], "leads out"),
    "a link that leads out": (
        lambda i: [*without(old_docker(i), "manifest.json"), symlink("l", "../etc/passwd"),
                   member("c.json", i.raw_config), member("manifest.json", listed(Layers=["l", "l"]))],
        "leads out",
    ),
    "an absolute link": (
        lambda i: [*without(old_docker(i), "manifest.json"), symlink("c.json", "/etc/passwd"),
                   member("manifest.json", listed())],
        "absolute",
    ),
    "a link to itself": (
        lambda _: [symlink("c.json", "c.json"), member("manifest.json", listed())], "never ends"),
    "links in a ring": (
        lambda _: [symlink("c.json", "d"), symlink("d", "c.json"), member("manifest.json", listed())],
        "never ends",
    ),
    "a config that leads out": (
        lambda _: [member("manifest.json", listed(Config="../../etc/passwd"))], "leads out"),
    "a config that is absolute": (
        lambda _: [member("manifest.json", listed(Config="/etc/passwd"))], "absolute"),
    "a config that is missing": (lambda _: [member("manifest.json", listed())], "no file 'c.json'"),
    "a config that is a device": (
        lambda _: [member("c.json", kind=tarfile.CHRTYPE), member("manifest.json", listed())],
        "not a plain file"),
    "a config of another digest": (
        lambda i: swap(old_docker(i), f"{i.id.encoded}.json", i.raw_config + b" "), "does not match"),
    "a config that is no JSON": (
        lambda i: [*old_docker(i), member("c.json", b"\xff{"), member("manifest.json", listed())], "config"),
    "a layer that is missing": (
        lambda i: [member("c.json", i.raw_config), member("manifest.json", listed(Layers=["x", "y"]))],
        "no file 'x'"),
    "fewer layers than diff ids": (
        lambda i: [member("c.json", i.raw_config), member("l", b""), member("manifest.json", listed())],
        "contradicts"),
    "a name that is none": (
        lambda i: [*old_docker(i), member("manifest.json", json.dumps(
            [{"Config": f"{i.id.encoded}.json", "RepoTags": ["Upper:x"],
              "Layers": [f"{Digest.of(n).encoded}/layer.tar" for n in (b"0", b"1")]}]).encode())],
        "lower case"),
    "a giant manifest.json": (
        lambda i: swap(old_docker(i), "manifest.json", b"[" + b" " * (5 << 20) + b"]"), "are allowed"),
    "a giant index.json": (
        lambda i: swap(new_docker(i), "index.json", b"{" + b" " * (5 << 20) + b"}"), "are allowed"),
    "a deep index.json": (
        lambda i: swap(new_docker(i), "index.json", b'{"manifests":' + b"[" * 100_000), "index.json"),
    "an index.json with a bad digest": (
        lambda i: swap(new_docker(i), "index.json",
                       b'{"manifests":[{"mediaType":"x","digest":"sha256:../..","size":1}]}'),
        r"manifests\[0\]"),
    "no list of images": (
        lambda i: without(new_docker(i), "manifest.json", "index.json"), "no file 'index.json'"),
    "nothing": (lambda _: [], "holds no image"),
    "an empty list": (lambda _: [member("manifest.json", b"[]")], "holds no image"),
    "a root file system": (lambda _: [member("bin/sh", b"x")], "holds no image"),
    "a list that is none": (lambda _: [member("manifest.json", b"{}")], "manifest.json"),
    "a size beyond the end": (
        lambda i: lie_about_size(old_docker(i), "manifest.json", 1 << 40), "the archive ends after"),
    "a size in the billions": (
        lambda i: lie_about_size(old_docker(i), "manifest.json", 1 << 62), "the archive ends"),
    "a huge extended header": (
        lambda i: [member("x", bytes(3 << 20), tarfile.XHDTYPE), *old_docker(i)], "extended header of"),
    "a malformed extended header": (
        lambda i: [member("x", b"99 path=x\n", tarfile.XHDTYPE), *old_docker(i)],
        "malformed extended header"),
    "an extended header with a bad size": (
        lambda i: [member("x", b"14 size=-1234\n", tarfile.XHDTYPE), member("c.json", i.raw_config)],
        "malformed number"),
    "a very long name": (
        lambda i: [member("n", b"n" * 5000, tarfile.GNUTYPE_LONGNAME), *old_docker(i)],
        "a name of more than"),
    "a size that is no number": (
        lambda i: [member("oops", uid=0), *old_docker(i)], "malformed number in a header"),
    "a sparse config": (
        lambda _: [member("x", b"22 GNU.sparse.major=1\n", tarfile.XHDTYPE), member("c.json", b"{}"),
                   member("manifest.json", listed())], "not a plain file"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_corrupt_and_the_reason_is_told(image, case, tmp_path):
    make, says = HOSTILE[case]
    data = bytearray(pack(make(image)))
    if data.startswith(b"oops"):
        data[124:136] = b"0000000009x\0"
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data[:512])
    with pytest.raises(CorruptError, match=says) as caught, opened(bytes(data), tmp_path):
        pass
    assert len(caught.value.message) < 1000
    assert os.listdir(tmp_path) == ["archive.tar"]


@pytest.mark.parametrize("write", [old_docker, new_docker])
def test_a_layer_of_another_digest_is_found_when_it_is_read(image, write, tmp_path):
    members = [
        member(info.name, ONE[:-1] + b"!") if data == ONE else (info, data) for info, data in write(image)
    ]
    with opened(pack(members), tmp_path) as archive, pytest.raises(CorruptError, match="does not match"):
        load(archive)


def test_blobs_of_another_size_are_found_when_they_are_read(image, tmp_path):
    members = [
        member(info.name, data + b"!") if data == ONE else (info, data) for info, data in new_docker(image)
    ]
    with opened(pack(members), tmp_path) as archive, pytest.raises(CorruptError, match="goes on after"):
        load(archive)


def test_the_format_before_docker_1_10_is_told(tmp_path):
    with (
        pytest.raises(UnsupportedError, match=r"before 1\.10"),
        opened(pack([member("repositories", b"{}")]), tmp_path),
    ):
        pass


@pytest.mark.parametrize("data", [b"\x7fELF" + os.urandom(5000), b"short", b"{}" * 300])
def test_what_is_no_archive_is_told(data, tmp_path):
    with (
        pytest.raises(CorruptError, match=r"is not a tar archive|ends in the middle"),
        opened(data, tmp_path),
    ):
        pass


def test_an_archive_that_is_cut_off_is_told_unless_nothing_is_missing(image, tmp_path):
    data = pack(new_docker(image))
    needed = data.index(b"oci-layout")  # the last member; what stands before it is the image
    for end in [*range(1, needed - 1024, 300), needed]:
        try:
            with opened(data[:end], tmp_path) as archive:
                loaded = load(archive)
        except CorruptError:
            assert end < needed
        else:
            assert loaded[0][0].id == image.id
            assert end > data.index(b"index.json")


def test_memory_stays_bounded_whatever_the_archive_claims(tmp_path):
    header = hashlib.sha256(b"").hexdigest()
    path = tmp_path / "archive.tar"
    with path.open("wb") as out:
        for number in range(70_000):
            out.write(member(f"{header}-{number}")[0].tobuf(tarfile.USTAR_FORMAT))
        out.write(bytes(1024))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("rb") as stream, pytest.raises(CorruptError, match="members"), open_archive(stream):
        pass
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80_000  # KiB


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_anywhere_is_an_error_of_ours_or_does_no_harm(data):
    image = make_image(tar(a=b"1"))
    archive = bytearray(pack(data.draw(st.sampled_from([old_docker, new_docker]))(image)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(archive) - 1))
        archive[at] = data.draw(st.integers(0, 255))
    try:
        with open_archive(io.BytesIO(archive)) as opened_:
            for seen, _ in load(opened_):
                assert [layer.diff_id for layer in seen.layers] == [Digest.of(tar(a=b"1"))]
    except TiffinError:
        return
