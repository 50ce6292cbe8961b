"""A layer and its parts: over any other layer both are the same tree."""

import os
import stat

import pytest
from tests.suites.images import open_engine

from tiffin.layer.tree import scan
from tiffin.layer.whiteout import make_opaque, make_whiteout
from tiffin.snapshot import split as module
from tiffin.snapshot.rootfs import rootfs_tar
from tiffin.snapshot.split import Part, split_layer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")
SITE = "usr/lib/python3/dist-packages"


@pytest.fixture
def layers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALLEST", 1)
    monkeypatch.setattr(module, "LARGE", 1 << 16)
    with open_engine(tmp_path) as engine:
        yield engine.layers


def commit(layers, fill):
    with layers.workspace() as place:
        tree = place / "tree"
        tree.mkdir(mode=0o755)
        fill(tree)
        for directory, _, names in os.walk(tree):
            for name in names:
                os.utime(f"{directory}/{name}", (1, 1), follow_symlinks=False)
            os.utime(directory, (2, 2))
        info = layers.describe(tree)
        layers.commit(tree, info)
    return info.diff_id


def below(tree):
    """What the layer to split stands on: files that it hides, and directories that it changes."""
    for path in ("app/old", "app/hidden/x", "etc/conf", f"{SITE}/click/core.py", "srv/gone/deep"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("below")


def everything(tree, version="8.1"):
    files = {
        f"{SITE}/torch/lib.so": "t" * 70_000,
        f"{SITE}/torch-2.dist-info/RECORD": "torch/lib.so,,\ntorch-2.dist-info/RECORD,,\n",
        f"{SITE}/click/core.py": version,
        f"{SITE}/click-8.dist-info/RECORD": "click/core.py,,\n",
        "usr/lib/libc.so": "c",
        "app/serve.py": "s",
        "app/hidden/y": "y",
        "opt/first": "linked",
    }
    for path, text in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    os.link(tree / "opt/first", tree / "usr/lib/second")
    (tree / "app/link").symlink_to("serve.py")
    (tree / "etc").mkdir()
    (tree / "var/empty").mkdir(parents=True)
    (tree / "var/empty").chmod(0o500)
    os.mkfifo(tree / "app/fifo", 0o640)
    (tree / "srv").mkdir()
    for directory, name in (("app", "old"), ("srv", "gone")):
        fd = os.open(tree / directory, os.O_RDONLY)
        make_whiteout(fd, name)
        os.close(fd)
    make_opaque(os.fspath(tree / "app/hidden"))
    os.chown(tree / "app", 33, 44)
    (tree / "app").chmod(0o2775)
    os.setxattr(tree / "app", "user.note", b"x")
    os.chown(tree / "app/serve.py", 33, 33)
    (tree / "app/serve.py").chmod(0o4755)
    tree.chmod(0o751)


def flat(layers, *diff_ids):
    return b"".join(rootfs_tar([("", layers.tree(diff_ids))], layers.owners, 0))


def test_the_tree_is_the_same(layers):
    base, whole = commit(layers, below), commit(layers, everything)
    parts = split_layer(layers, whole, 16)
    assert [part.name for part in parts] == ["system", "python: torch", "python packages", "the rest"]
    assert flat(layers, base, *(part.diff_id for part in parts)) == flat(layers, base, whole)
    assert flat(layers, *(part.diff_id for part in parts)) == flat(layers, whole)
    for part in parts:
        layers.verify(part.diff_id)
        assert layers.is_canonical(part.diff_id)
    layers.verify(whole)


def test_parts_take_no_space(layers):
    whole = commit(layers, everything)
    torch = next(part for part in split_layer(layers, whole, 16) if part.name == "python: torch")
    status = (layers.path(torch.diff_id) / SITE / "torch/lib.so").stat()
    assert status.st_ino == (layers.path(whole) / SITE / "torch/lib.so").stat().st_ino


def test_of_two_versions_only_one_part_differs(layers):
    one = split_layer(layers, commit(layers, everything), 16)
    two = split_layer(layers, commit(layers, lambda tree: everything(tree, "8.2")), 16)
    differing = [part.name for part, other in zip(one, two, strict=True) if part != other]
    assert differing == ["python packages"]


def test_parts_of_parts_are_they_themselves(layers):
    for part in split_layer(layers, commit(layers, everything), 16):
        assert [each.diff_id for each in split_layer(layers, part.diff_id, 16)] == [part.diff_id]


@pytest.mark.parametrize("most", [0, 1])
def test_without_room_it_stays_whole(layers, most):
    whole = commit(layers, everything)
    assert split_layer(layers, whole, most) == (Part(whole),)


def test_a_small_layer_stays_whole(layers, monkeypatch):
    monkeypatch.setattr(module, "SMALLEST", 1 << 30)
    whole = commit(layers, everything)
    assert split_layer(layers, whole, 16) == (Part(whole),)


def test_a_layer_that_only_hides_stays_whole(layers):
    def hide(tree):
        fd = os.open(tree, os.O_RDONLY)
        make_whiteout(fd, "app")
        os.close(fd)

    whole = commit(layers, hide)
    assert split_layer(layers, whole, 16) == (Part(whole),)
    assert [entry.kind for entry in scan(layers.path(whole), layers.owners)] == ["whiteout"]


def test_directories_that_nothing_may_be_added_to(layers):
    def locked(tree):
        everything(tree)
        (tree / "app").chmod(0o555)

    whole = commit(layers, locked)
    *_, last = split_layer(layers, whole, 16)
    assert stat.S_IMODE((layers.path(last.diff_id) / "app").stat().st_mode) == 0o555
