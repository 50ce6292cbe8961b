import os
import random
import stat
import subprocess

import pytest

from tiffin.errors import InvalidError
from tiffin.snapshot.merged import MergedTree

root = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts and mounts need root")


def make(base, entries):
    """Directories end with a slash, links are `name -> target`, `!name` is a whiteout, `name/=` is opaque."""
    base.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        name, arrow, target = entry.partition(" -> ")
        if arrow:
            (base / name).symlink_to(target)
        elif entry.startswith("!"):
            os.mknod(base / entry[1:], stat.S_IFCHR, os.makedev(0, 0))
        elif entry.endswith("/="):
            (base / entry[:-2]).mkdir(exist_ok=True)
            os.setxattr(base / entry[:-2], "user.overlay.opaque", b"y")
        elif entry.endswith("/"):
            (base / entry).mkdir(exist_ok=True)
        else:
            (base / entry).write_text(f"{base.name}:{entry}")
    return base


def stack(tmp_path, *layers):
    """Layers bottom first, as they are written down; top first, as they are read."""
    return [make(tmp_path / f"layer{index}", entries) for index, entries in enumerate(layers)][::-1]


def test_the_topmost_file_wins(tmp_path):
    tree = MergedTree(stack(tmp_path, ["a", "b"], ["a"]))
    assert tree.read("/a") == b"layer1:a"
    assert tree.read("/b") == b"layer0:b"


def test_directories_merge(tmp_path):
    tree = MergedTree(stack(tmp_path, ["d/", "d/x"], ["d/", "d/y"]))
    assert [node.path for node in tree.walk(tree.root)] == ["/d", "/d/x", "/d/y"]


def test_a_file_hides_a_directory_and_the_other_way_round(tmp_path):
    tree = MergedTree(stack(tmp_path, ["d/", "d/x", "f"], ["d", "f/", "f/y"]))
    assert [node.path for node in tree.walk(tree.root)] == ["/d", "/f", "/f/y"]


@root
def test_whiteouts_hide_and_opaque_directories_do_not_merge(tmp_path):
    tree = MergedTree(stack(tmp_path, ["a", "d/", "d/x"], ["!a", "d/=", "d/y"]))
    assert [node.path for node in tree.walk(tree.root)] == ["/d", "/d/y"]
    assert tree.resolve("/a").node is None


@root
def test_what_comes_above_a_whiteout_is_new(tmp_path):
    tree = MergedTree(stack(tmp_path, ["d/", "d/x"], ["!d"], ["d/", "d/y"]))
    assert [node.path for node in tree.walk(tree.root)] == ["/d", "/d/y"]


@pytest.mark.parametrize(
    ("path", "canonical", "there"),
    [
        ("/", "/", True),
        ("", "/", True),
        ("usr/bin/env", "/usr/bin/env", True),
        ("/bin/env", "/usr/bin/env", True),
        ("/bin/new/file", "/usr/bin/new/file", False),
        ("/abs/env", "/usr/bin/env", True),
        ("/up/usr/bin", "/usr/bin", True),
        ("../../usr", "/usr", True),
        ("/usr/../usr/./bin/", "/usr/bin", True),
        ("/dangling", "/nowhere/at/all", False),
        ("/dangling/x", "/nowhere/at/all/x", False),
        ("/a/b/../c", "/a/c", False),
    ],
)
def test_resolve(tmp_path, path, canonical, there):
    layers = stack(
        tmp_path,
        ["usr/", "usr/bin/", "usr/bin/env", "bin -> usr/bin"],
        ["abs -> /usr/bin", "up -> ../../..", "dangling -> /nowhere/at/all"],
    )
    found = MergedTree(layers).resolve(path)
    assert found.path == canonical
    assert (found.node is not None) == there


def test_a_link_is_not_followed_when_it_is_the_object(tmp_path):
    tree = MergedTree(stack(tmp_path, ["f", "l -> f"]))
    assert tree.resolve("/l", follow=False).node.is_link


@pytest.mark.parametrize("path", ["/loop", "/loop/x", "/file/x"])
def test_what_cannot_be_resolved_is_an_error(tmp_path, path):
    tree = MergedTree(stack(tmp_path, ["loop -> loop", "file"]))
    with pytest.raises(InvalidError):
        tree.resolve(path)


def test_links_stay_inside_the_root(tmp_path):
    (tmp_path / "secret").write_text("host")
    tree = MergedTree(stack(tmp_path, ["out -> ../secret", f"far -> {tmp_path}/secret"]))
    assert tree.read("/out") == b""
    assert tree.read("/far") == b""


def test_no_layers_are_an_empty_tree():
    tree = MergedTree([])
    assert tree.resolve("/a/b").path == "/a/b"
    assert tree.read("/etc/passwd") == b""


def test_hidden_entries_do_not_exist(tmp_path):
    tree = MergedTree(stack(tmp_path, ["a", "d/", "d/x"]), lambda node: node.path in ("/a", "/d/x"))
    assert [node.path for node in tree.walk(tree.root)] == ["/d"]
    assert tree.resolve("/a").node is None


def random_layer(base, rng):
    base.mkdir()
    directories = [base]
    for _ in range(rng.randrange(1, 12)):
        place = rng.choice(directories)
        path = place / rng.choice("abcd")
        if os.path.lexists(path):
            continue
        kind = rng.choice(["file", "dir", "dir", "dir", "link", "whiteout", "opaque"])
        if kind == "file":
            path.write_text(base.name)
        elif kind == "link":
            path.symlink_to(rng.choice(["a", "../b", "/c/d"]))
        elif kind == "whiteout":
            os.mknod(path, stat.S_IFCHR, 0)
        else:
            path.mkdir()
            directories.append(path)
            if kind == "opaque":
                os.setxattr(path, "user.overlay.opaque", b"y")


def listing(top):
    found = {}
    for folder, names, files in os.walk(top):
        for name in names + files:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue  # overlayfs lists whiteouts of directories that do not merge, and then denies them
            content = ""
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                with open(path) as file:
                    content = file.read()
            found[path[len(str(top)) :]] = (stat.S_IFMT(status.st_mode), content)
    return found


def merged_listing(tree):
    found = {}
    for node in tree.walk(tree.root):
        content = ""
        if node.is_link:
            content = tree.readlink(node)
        elif stat.S_ISREG(node.status.st_mode):
            with open(node.host) as file:
                content = file.read()
        found[node.path] = (stat.S_IFMT(node.status.st_mode), content)
    return found


@pytest.mark.live
@root
@pytest.mark.parametrize("seed", range(40))
def test_the_view_is_what_overlayfs_shows(tmp_path, seed):
    rng = random.Random(seed)
    layers = [tmp_path / f"{index}" for index in range(rng.randrange(2, 5))]
    for layer in layers:
        random_layer(layer, rng)
    mount = tmp_path / "mount"
    mount.mkdir()
    lower = ":".join(map(str, layers))
    subprocess.run(
        ["mount", "-t", "overlay", "overlay", "-o", f"ro,userxattr,lowerdir={lower}", mount], check=True
    )
    try:
        assert merged_listing(MergedTree(layers)) == listing(mount)
    finally:
        subprocess.run(["umount", mount], check=True)
