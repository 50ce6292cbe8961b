"""The root filesystem of a stack of layers as a tar: unpacked, it is what the stack shows."""

import io
import os
import tarfile

import pytest
from tests.suites.trees import build, picture

from tiffin.errors import InvalidError
from tiffin.layer.apply import apply
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.snapshot.folder import write_folder
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.rootfs import rootfs_tar

OWNERS = TrueOwners()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts and owners of layers are made by root")


def packed(*trees, owners=OWNERS, epoch=0):
    return b"".join(rootfs_tar(trees, owners, epoch))


def unpacked(data, place):
    place.mkdir()
    apply(io.BytesIO(data), place, OWNERS)
    return picture(place)


LOWER = {
    "a": ("dir", None, {"mode": 0o750, "uid": 3}),
    "a/big": ("file", os.urandom(2_000_000), {"uid": 1000, "gid": 2000, "mode": 0o4755}),
    "a/gone": ("file", b"x", {}),
    "b": ("dir", None, {}),
    "b/below": ("file", b"hidden", {}),
    "empty": ("file", b"", {"xattrs": {"user.origin": b"1"}}),
    "link": ("link", "/etc/passwd", {"uid": 7}),
    "pipe": ("fifo", None, {"gid": 4}),
    "null": ("char", (1, 3), {"mode": 0o666}),
}
UPPER = {
    "a": ("dir", None, {"mode": 0o700, "uid": 3}),
    "a/again": ("hard", "one", {}),
    "a/gone": ("white", None, {}),
    "b": ("dir", None, {"opaque": True}),
    "b/new": ("file", b"new", {}),
    "n\udce4me": ("file", b"1", {}),
}
SEEN = {
    **{path: row for path, row in LOWER.items() if path not in ("a/gone", "b/below")},
    **{path: row for path, row in UPPER.items() if path != "a/gone"},
    "b": ("dir", None, {}),
}


@pytest.fixture
def layers(tmp_path):
    one = {"one": ("file", b"shared" * 200_000, {}), **UPPER}
    return build(tmp_path / "upper", one), build(tmp_path / "lower", LOWER)


def test_the_tar_is_what_the_stack_shows(layers, tmp_path):
    data = packed(("", MergedTree(layers)))
    seen = {"one": ("file", b"shared" * 200_000, {}), **SEEN}
    assert unpacked(data, tmp_path / "out") == picture(build(tmp_path / "seen", seen))
    assert packed(("", MergedTree(layers))) == data


def test_the_tar_and_the_folder_are_the_same_tree(layers, tmp_path):
    data = packed(("", MergedTree(layers)))
    (tmp_path / "folder").mkdir()
    write_folder(MergedTree(layers), tmp_path / "folder")
    found, links = picture(tmp_path / "folder")
    wanted, wanted_links = unpacked(data, tmp_path / "out")
    assert links == wanted_links
    assert found.keys() == wanted.keys() - {"null"}
    assert {path: facts[5] for path, facts in found.items()} == {path: wanted[path][5] for path in found}


def test_folders_for_platforms_have_the_one_time(layers):
    tree = MergedTree(layers[1:])
    with tarfile.open(fileobj=io.BytesIO(packed(("x", tree), ("y", tree), epoch=5))) as archive:
        infos = archive.getmembers()
    top = [info for info in infos if "/" not in info.name]
    assert [(info.name, info.mtime, info.mode) for info in top] == [("x", 5, 0o755), ("y", 5, 0o755)]
    assert [info.name[2:] for info in infos if info.name.startswith("x/")] == [
        info.name[2:] for info in infos if info.name.startswith("y/")
    ]


def test_trees_share_the_root_but_no_file(tmp_path):
    one = MergedTree([build(tmp_path / "1", {"d": ("dir", None, {}), "d/a": ("file", b"1", {})})])
    two = MergedTree([build(tmp_path / "2", {"d": ("dir", None, {}), "d/b": ("file", b"2", {})})])
    with tarfile.open(fileobj=io.BytesIO(packed(("", one), ("", two)))) as archive:
        assert archive.getnames() == ["d", "d/a", "d/b"]
    other = MergedTree([build(tmp_path / "3", {"d": ("file", b"", {})})])
    for trees in ((("", one), ("", one)), (("", one), ("", other)), (("", other), ("", one))):
        with pytest.raises(InvalidError, match="would be lost"):
            packed(*trees)


def test_nothing_is_an_empty_tar():
    assert packed(("", MergedTree([]))) == bytes(1024)


def test_recorded_owners_are_those_of_the_tar(tmp_path):
    root = build(tmp_path / "layer", {"f": ("file", b"1", {"xattrs": {"user.tiffin.owner": b"5:6"}})})
    with tarfile.open(
        fileobj=io.BytesIO(packed(("", MergedTree([root])), owners=RecordedOwners()))
    ) as archive:
        (info,) = archive
    assert (info.uid, info.gid, info.pax_headers) == (5, 6, {})
