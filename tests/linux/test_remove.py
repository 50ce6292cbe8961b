import errno
import os
import subprocess
import sys

import pytest

from tiffin.linux.remove import remove_at, remove_tree


def deep(base, depth):
    """Nest directories beyond every limit of paths, frames and descriptors; a file in each hundredth."""
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY)
    for number in range(depth):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
        if number % 100 == 0:
            os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_a_tree_goes_with_all_that_is_in_it_and_nothing_else(tmp_path):
    outside = tmp_path / "outside"
    (outside / "keep").mkdir(parents=True)
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "f").touch()
    (tree / "a" / "link").symlink_to(outside)
    os.mkfifo(tree / "fifo")
    remove_tree(tree)
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["keep"]


@pytest.mark.parametrize("kind", ["file", "link", "nothing"])
def test_what_is_no_tree_goes_too(tmp_path, kind):
    (tmp_path / "target").mkdir()
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    elif kind == "link":
        path.symlink_to("target")
    remove_tree(path)
    remove_tree(tmp_path / "no" / "parent")
    assert os.listdir(tmp_path) == ["target"]


def test_a_tree_deeper_than_any_path(tmp_path):
    (tmp_path / "tree").mkdir()
    deep(tmp_path / "tree", 5000)
    before = len(os.listdir("/proc/self/fd"))
    remove_tree(tmp_path / "tree")
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_modes_do_not_keep_an_ordinary_user_out(tmp_path):
    tree = tmp_path / "tree"
    (tree / "locked" / "inner" / "x").mkdir(parents=True)
    (tree / "locked" / "inner").chmod(0)
    (tree / "locked").chmod(0o500)
    drop = ""
    if os.geteuid() == 0:
        tmp_path.chmod(0o777)
        for path in [*tree.rglob("*"), tree]:
            os.chown(path, 4242, 4242)
        for parent in list(tmp_path.parents)[:2]:  # those that pytest made
            parent.chmod(parent.stat().st_mode | 0o011)
        drop = "os.setgid(4242); os.setuid(4242)"
    code = (
        "import os, sys; from pathlib import Path; from tiffin.linux.remove import remove_tree\n"
        f"{drop}\n"
        "remove_tree(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tree], check=True)
    assert not tree.exists()


@pytest.mark.live
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_mount_is_never_emptied(tmp_path):
    (tmp_path / "host").mkdir()
    (tmp_path / "host" / "precious").touch()
    (tmp_path / "tree" / "a").mkdir(parents=True)
    code = (
        "import subprocess, sys; from pathlib import Path; from tiffin.linux.remove import remove_tree\n"
        "base = Path(sys.argv[1])\n"
        "subprocess.run(['mount', '--bind', base / 'host', base / 'tree' / 'a'], check=True)\n"
        "try: remove_tree(base / 'tree')\n"
        "except OSError as error: print(error.errno)"
    )
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", code, tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) in (errno.EXDEV, errno.EBUSY)
    assert (tmp_path / "host" / "precious").exists()


def test_an_error_names_the_path(tmp_path, monkeypatch):
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "f").touch()
    unlink = os.unlink

    def refuse(name, *, dir_fd):
        if name == "f":
            raise OSError(errno.EIO, "broken disk", name)
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(OSError) as caught:
        remove_tree(tmp_path / "tree")
    assert caught.value.filename.startswith(str(tmp_path / "tree"))


def test_an_entry_can_be_removed_beneath_an_open_directory(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_at(fd, "a")
        remove_at(fd, "a")
    finally:
        os.close(fd)
    assert os.listdir(tmp_path) == []


def test_what_somebody_adds_meanwhile_goes_too(tmp_path, monkeypatch):
    tree, remove = tmp_path / "tree", os.rmdir
    (tree / "a").mkdir(parents=True)
    (tree / "a" / "f").touch()
    added = []

    def late(name, **words):
        if name == "tree" and len(added) < 2:
            added.append(name)
            (tree / f"late{len(added)}").touch()
        remove(name, **words)

    monkeypatch.setattr(os, "rmdir", late)
    remove_tree(tree)
    assert (added, os.listdir(tmp_path)) == (["tree", "tree"], [])


def test_it_is_not_tried_for_ever(tmp_path, monkeypatch):
    (tmp_path / "tree" / "a").mkdir(parents=True)

    def full(_name, **_words):
        raise OSError(errno.ENOTEMPTY, "Directory not empty")

    monkeypatch.setattr(os, "rmdir", full)
    with pytest.raises(OSError, match="not empty"):
        remove_tree(tmp_path / "tree")
