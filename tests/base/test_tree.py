import os
import stat

import pytest

from tiffin.base.tree import Owner, Tree
from tiffin.errors import CorruptError


@pytest.fixture
def tree(new_layer):
    return Tree(new_layer())


def test_links_are_followed_within_the_tree(tree):
    tree.make_directory("usr/bin")
    tree.link("bin", "usr/bin")
    tree.link("abs", "/usr")
    tree.write("bin/sh", b"one")
    tree.write("abs/../bin/up", b"two")
    assert (tree.layer.path / "usr/bin/sh").read_bytes() == b"one"
    assert (tree.layer.path / "usr/bin/up").read_bytes() == b"two"
    assert tree.resolve("abs/bin/sh") == "usr/bin/sh"
    assert "bin/sh" in tree
    assert "bin/ash" not in tree


@pytest.mark.parametrize("target", ["/etc", "../../../../etc", "../..//etc"])
def test_nothing_leads_outside(tree, target):
    tree.link("out", target)
    tree.write("out/tiffin-test", b"x")
    assert (tree.layer.path / "etc/tiffin-test").read_bytes() == b"x"
    assert not os.path.lexists("/etc/tiffin-test")


def test_a_directory_does_not_replace_a_link_to_one_nor_a_link_a_directory(tree):
    tree.make_directory("usr/lib")
    tree.link("lib", "usr/lib")
    tree.make_directory("lib", 0o700)
    assert tree.link_target("lib") == "usr/lib"
    assert stat.S_IMODE((tree.layer.path / "usr/lib").stat().st_mode) == 0o755
    tree.link("usr", "elsewhere")
    assert tree.is_directory("usr")


def test_a_file_replaces_a_link_and_not_what_it_points_to(tree):
    tree.write("real", b"kept")
    tree.link("name", "real")
    tree.write("name", b"new")
    assert tree.read("real") == b"kept"
    assert tree.read("name") == b"new"
    tree.make_directory("d")
    with pytest.raises(CorruptError, match="is a directory"):
        tree.write("d", b"")


def test_a_directory_replaces_a_dangling_link_nowhere(tree):
    tree.link("run", "/gone")
    tree.make_directory("run/lock")
    assert (tree.layer.path / "gone/lock").is_dir()


def test_circles_end(tree):
    tree.link("a", "b")
    tree.link("b", "a")
    with pytest.raises(CorruptError, match="links"):
        tree.write("a/x", b"")


def test_modes_and_owners(tree):
    tree.write("sudo", b"", 0o4755, Owner(0, 27))
    tree.set_directory("tmp", 0o1777)
    assert stat.S_IMODE((tree.layer.path / "sudo").stat().st_mode) == 0o4755
    assert stat.S_IMODE((tree.layer.path / "tmp").stat().st_mode) == 0o1777
    assert tree.layer.owners.changes == {str(tree.layer.path / "sudo"): (0, 27)}


def test_hard_links(tree):
    tree.write("one", b"x")
    tree.hard_link("dir/two", "one")
    assert (tree.layer.path / "dir/two").stat().st_ino == (tree.layer.path / "one").stat().st_ino
    with pytest.raises(CorruptError, match="not there"):
        tree.hard_link("three", "/etc/passwd")


def test_removal_takes_what_is_below(tree):
    tree.write("a/b/c", b"")
    tree.write("ab", b"")
    tree.link("a/l", "/ab")
    tree.remove("a")
    tree.remove("never")
    assert tree.paths() == ["ab"]
    assert sorted(os.listdir(tree.layer.path)) == ["ab"]


def test_what_others_wrote_is_learnt(tree):
    tree.write("mine", b"")
    (tree.layer.path / "mine").unlink()
    (tree.layer.path / "d").mkdir()
    (tree.layer.path / "d/f").write_bytes(b"x")
    (tree.layer.path / "l").symlink_to("d")
    tree.reload()
    assert tree.paths() == ["d", "d/f", "l"]
    assert tree.read("l/f") == b"x"
    assert tree.children("l") == ["f"]


def test_one_time_for_everything(tree):
    tree.write("d/f", b"")
    tree.link("d/l", "nowhere")
    tree.finish(1234)
    paths = ["", "d", "d/f", "d/l"]
    assert {os.lstat(tree.layer.path / path).st_mtime_ns for path in paths} == {1234 * 10**9}
