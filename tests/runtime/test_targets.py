"""Mount targets in a hostile root filesystem: nothing is found or made outside of it."""

import os

import pytest

from tiffin.runtime.targets import ensure, resolve


@pytest.fixture
def root(tmp_path):
    """A root filesystem beside files that must not be touched."""
    (tmp_path / "outside").mkdir()
    folder = tmp_path / "root"
    (folder / "a/b").mkdir(parents=True)
    (folder / "file").write_text("x")
    (folder / "absolute").symlink_to("/a/b")
    (folder / "up").symlink_to("../../../../outside")
    (folder / "dangling").symlink_to("/new/place")
    (folder / "chain").symlink_to("dangling")
    (folder / "loop").symlink_to("loop")
    (folder / "a/relative").symlink_to("../missing/part")
    (folder / "magic").symlink_to("/proc/self/root")
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    yield folder, fd
    os.close(fd)
    assert os.listdir(tmp_path / "outside") == []
    assert sorted(os.listdir(tmp_path)) == ["outside", "root"]


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/a/b", "a/b"),
        ("a/b/", "a/b"),
        ("/x/y/z", "x/y/z"),
        ("/absolute/c", "a/b/c"),
        ("/up", "outside"),
        ("/up/below", "outside/below"),
        ("/dangling", "new/place"),
        ("/dangling/more", "new/place/more"),
        ("/chain/more", "new/place/more"),
        ("/a/relative/x", "missing/part/x"),
        ("/../../outside/x", "outside/x"),
        ("/./a/../c", "c"),
        ("/", "."),
    ],
)
def test_directories_are_found_or_made_inside(root, path, made):
    folder, fd = root
    target = ensure(fd, path, directory=True)
    assert os.path.samestat(os.fstat(target), os.stat(folder / made))
    os.close(target)


@pytest.mark.parametrize(
    ("path", "made"), [("/file", "file"), ("/etc/new", "etc/new"), ("/dangling", "new/place")]
)
def test_files_are_found_or_made_inside(root, path, made):
    folder, fd = root
    target = ensure(fd, path, directory=False)
    assert (folder / made).is_file()
    assert os.path.samestat(os.fstat(target), os.stat(folder / made))
    os.close(target)


def test_what_is_made_belongs_to_root_and_is_for_all_to_read(root):
    folder, fd = root
    os.close(ensure(fd, "/x/file", directory=False))
    assert os.stat(folder / "x").st_mode & 0o777 & ~0o022 == 0o755
    assert os.stat(folder / "x/file").st_size == 0


@pytest.mark.parametrize(
    ("path", "directory", "error"),
    [
        ("/file", True, NotADirectoryError),
        ("/a", False, IsADirectoryError),
        ("/file/x", True, NotADirectoryError),
        ("/loop", True, OSError),
        ("/loop/x", True, OSError),
    ],
)
def test_what_is_in_the_way_is_an_error(root, path, directory, error):
    with pytest.raises(error):
        ensure(root[1], path, directory=directory)


def test_links_can_be_forbidden(root):
    with pytest.raises(OSError, match="symbolic links"):
        resolve(root[1], "/absolute", links=False)
    os.close(resolve(root[1], "/a/b", links=False))


def test_magic_links_are_refused():
    fd = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="symbolic links"):
            resolve(fd, "/proc/self/root/etc")
    finally:
        os.close(fd)
