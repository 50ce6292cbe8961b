"""A root filesystem as a folder: the same tree, nothing outside the folder, nothing of the user's lost."""

import os
import stat

import pytest
from tests.suites.trees import build, picture

from tiffin.errors import ConflictError
from tiffin.linux.remove import remove_tree
from tiffin.snapshot.folder import LeftOut, write_folder
from tiffin.snapshot.merged import MergedTree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts and owners of layers are made by root")

LOWER = {
    "bin": ("dir", None, {}),
    "bin/tool": ("file", b"tool" * 50_000, {"mode": 0o755, "uid": 5, "xattrs": {"user.origin": b"x"}}),
    "bin/again": ("hard", "bin/tool", {}),
    "etc": ("dir", None, {"mode": 0o700, "mtime": 5_000_000_000}),
    "etc/gone": ("file", b"1", {}),
    "etc/kept": ("file", b"2", {"mode": 0o400, "mtime": 7_000_000_001}),
    "out": ("link", "/etc", {}),
    "closed": ("dir", None, {"mode": 0o500}),
    "closed/in": ("file", b"", {"mode": 0o000}),
    "pipe": ("fifo", None, {}),
    "tmp": ("dir", None, {"mode": 0o1777}),
}
UPPER = {
    "etc": ("dir", None, {"mode": 0o755, "mtime": 9_000_000_000}),
    "etc/gone": ("white", None, {}),
    "etc/new": ("file", b"3", {}),
    "r\udce9sum": ("file", b"4", {}),
}


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "out"
    place.mkdir()
    return place


@pytest.fixture
def tree(tmp_path):
    lower, upper = build(tmp_path / "lower", LOWER), build(tmp_path / "upper", UPPER)
    return MergedTree([upper, lower])


def written(tree, folder):
    left = write_folder(tree, folder)
    return picture(folder), left


def small(tmp_path, table, name="image"):
    return MergedTree([build(tmp_path / name, table)])


def test_the_folder_is_the_tree_and_belongs_to_the_caller(tree, folder, tmp_path):
    found, left = written(tree, folder)
    assert found == picture(flat(tmp_path))
    assert left == LeftOut()
    assert (folder / "bin/tool").stat().st_uid == os.getuid()
    assert (folder / "bin/tool").stat().st_ino == (folder / "bin/again").stat().st_ino


def flat(tmp_path):
    """What the two layers come to, without its owners."""
    table = {**LOWER, **UPPER}
    del table["etc/gone"]
    return build(
        tmp_path / "flat",
        {path: (kind, value, {**options, "uid": 0}) for path, (kind, value, options) in table.items()},
    )


def test_writing_it_again_changes_nothing(tree, folder):
    first, _ = written(tree, folder)
    assert written(tree, folder)[0] == first


def test_what_else_is_in_the_folder_stays(tree, folder):
    (folder / "etc").mkdir()
    (folder / "etc/mine").write_text("mine")
    write_folder(tree, folder)
    assert (folder / "etc/mine").read_text() == "mine"
    assert (folder / "etc/new").read_text() == "3"


def test_privileges_and_devices_stay_out(folder, tmp_path):
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    image = small(
        tmp_path,
        {
            "su": ("file", b"x", {"mode": 0o4755}),
            "ping": ("file", b"x", {"mode": 0o755, "xattrs": {"security.capability": capability}}),
            "shared": ("dir", None, {"mode": 0o2775}),
            "disk": ("block", (8, 0), {}),
            "null": ("char", (1, 3), {}),
        },
    )
    assert write_folder(image, folder) == LeftOut(privileges=2, devices=2)
    assert sorted(os.listdir(folder)) == ["ping", "shared", "su"]
    assert stat.S_IMODE((folder / "su").stat().st_mode) == 0o755
    assert os.listxattr(folder / "ping") == []


@pytest.mark.parametrize("depth", ["", "deep/er/"])
def test_links_that_lie_in_the_folder_lead_nowhere(folder, tmp_path, depth):
    outside = build(tmp_path / "outside", {"victim": ("file", b"safe", {}), "dir": ("dir", None, {})})
    before = picture(outside)
    (folder / depth).mkdir(parents=True, exist_ok=True)
    (folder / depth / "file").symlink_to(outside / "victim")
    (folder / depth / "gone").symlink_to(outside / "new")
    parents = {str(each): ("dir", None, {}) for each in ("deep", "deep/er") if depth}
    image = small(
        tmp_path, {**parents, f"{depth}file": ("file", b"1", {}), f"{depth}gone": ("link", "x", {})}
    )
    write_folder(image, folder)
    assert (folder / depth / "file").read_bytes() == b"1"
    assert not (folder / depth / "file").is_symlink()
    assert os.readlink(folder / depth / "gone") == "x"
    assert picture(outside) == before


def make_fifo(path):
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("mine", "theirs", "message"),
    [
        (lambda path: path.symlink_to("/tmp"), {"x": ("dir", None, {}), "x/f": ("file", b"", {})}, "has not"),
        (lambda path: path.write_text("mine"), {"x": ("dir", None, {})}, "has not"),
        (lambda path: path.mkdir(), {"x": ("file", b"", {})}, "has a directory"),
        (lambda path: path.mkdir(), {"x": ("link", "y", {})}, "has a directory"),
        (make_fifo, {"x": ("file", b"", {})}, "a fifo"),
        (make_fifo, {"x": ("link", "y", {})}, "a fifo"),
        (lambda path: os.mknod(path, stat.S_IFCHR, os.makedev(1, 3)), {"x": ("file", b"1", {})}, "a device"),
    ],
)
def test_what_is_in_the_way_is_not_written_over(folder, tmp_path, mine, theirs, message):
    mine(folder / "x")
    before = picture(folder)
    with pytest.raises(ConflictError, match=message):
        write_folder(small(tmp_path, theirs), folder)
    assert picture(folder) == before
    assert os.listdir(folder) == ["x"]


def test_an_image_of_nothing_is_an_empty_folder(folder):
    assert write_folder(MergedTree([]), folder) == LeftOut()
    assert os.listdir(folder) == []


def test_many_files_come_out_by_several_threads(folder, tmp_path):
    table = {f"f{number}": ("file", b"%d" % number, {}) for number in range(500)}
    write_folder(small(tmp_path, table), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: value for name, (_, value, _) in table.items()
    }


def test_a_tree_may_be_deeper_than_calls(folder, tmp_path):
    image = tmp_path / "image"
    image.mkdir()
    fd = os.open(image, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    write_folder(MergedTree([image]), folder)
    assert (folder / "/".join(["d"] * 1500)).is_dir()
    remove_tree(folder)
    remove_tree(image)
