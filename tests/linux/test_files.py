"""What the kernel promises about files, as `linux.files` passes it on."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiffin.linux import files
from tiffin.linux.files import RootPath


@pytest.fixture
def root(tmp_path):
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / "etc").mkdir()
    (inside / "etc" / "passwd").write_text("inside")
    (inside / "up").symlink_to("../../../../etc/passwd")
    (inside / "absolute").symlink_to("/etc/passwd")
    (inside / "escape").symlink_to("../secret")
    (inside / "host").symlink_to("/proc/self/root")
    fd = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def read(fd):
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    "path", ["etc/passwd", "/etc/passwd", "up", "absolute", "../../etc/./passwd", "/../etc/passwd"]
)
def test_every_way_to_a_file_ends_inside_the_root(root, path):
    assert read(files.open_in_root(root, RootPath(path), os.O_RDONLY)) == b"inside"


@pytest.mark.parametrize("path", ["../secret", "escape", "/secret", "host/etc/passwd"])
def test_what_lies_outside_does_not_exist(root, path):
    with pytest.raises(FileNotFoundError) as caught:
        files.open_in_root(root, RootPath(path), os.O_RDONLY)
    assert caught.value.filename == path


def test_magic_links_are_refused():
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError) as caught:
            files.open_in_root(proc, RootPath("self/root/etc"), os.O_RDONLY)
        assert caught.value.errno == errno.ELOOP
    finally:
        os.close(proc)


def test_the_empty_path_is_the_root_itself(root):
    fd = files.open_in_root(root, RootPath(""), os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert os.path.samestat(os.fstat(fd), os.fstat(root))
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)


def test_a_zero_byte_does_not_shorten_the_path(root):
    with pytest.raises(OSError, match="zero byte"):
        files.open_in_root(root, RootPath("etc/passwd\0junk"), os.O_RDONLY)


def test_a_file_is_made_with_its_mode(root):
    os.close(files.open_in_root(root, RootPath("etc/n\udcffw"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640))
    assert os.stat(b"etc/n\xffw", dir_fd=root).st_mode & 0o7777 == 0o640


def copy(tmp_path, source, size):
    target = tmp_path / "target"
    with source.open("rb") as reading, target.open("wb") as writing:
        files.copy_data(reading.fileno(), writing.fileno(), size)
    return target


@pytest.mark.parametrize("size", [0, 1, 4096, 3_000_001])
def test_a_copy_has_the_same_bytes(tmp_path, size):
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    assert copy(tmp_path, source, size).read_bytes() == source.read_bytes()


def test_a_copy_of_a_part_is_that_part(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * 100)
    assert copy(tmp_path, source, 1000).read_bytes() == source.read_bytes()[:1000]


def test_a_copy_keeps_holes(tmp_path):
    source = tmp_path / "source"
    with source.open("wb") as stream:
        stream.truncate(64 << 20)
        stream.seek(32 << 20)
        stream.write(b"island")
    if source.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system has no holes")
    target = copy(tmp_path, source, 64 << 20)
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks * 512 < 1 << 20


def test_a_copy_works_where_the_kernel_cannot_copy(tmp_path, monkeypatch):
    def refuse(*_args):
        raise OSError(errno.EXDEV, "no")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    source = tmp_path / "source"
    source.write_bytes(os.urandom(2_500_000))
    assert copy(tmp_path, source, 2_500_000).read_bytes() == source.read_bytes()


def test_a_file_that_shrank_is_an_error_and_not_a_file_of_zeros(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"short")
    with (
        source.open("rb") as reading,
        (tmp_path / "t").open("wb") as writing,
        pytest.raises(OSError, match="shorter"),
    ):
        files._copy_range(reading.fileno(), writing.fileno(), 0, 100)


def test_a_clone_shares_or_says_that_it_cannot(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 8192)
    with source.open("rb") as reading, target.open("wb") as writing:
        done = files.reflink(reading.fileno(), writing.fileno())
    assert target.read_bytes() == (source.read_bytes() if done else b"")


def test_an_atomic_write_replaces_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file"
    files.atomic_write(path, b"old")
    files.atomic_write(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path) == ["file"]


def test_an_atomic_write_ignores_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        files.atomic_write(tmp_path / "file", b"", 0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o644


def test_a_failed_atomic_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def full(_fd):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        files.atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_an_exclusive_lock_excludes(tmp_path):
    path = tmp_path / "lock"
    with files.lock(path), pytest.raises(BlockingIOError) as caught, files.lock(path, blocking=False):
        pass
    assert caught.value.filename == str(path)
    with files.lock(path, blocking=False):
        pass


def test_shared_locks_stand_side_by_side(tmp_path):
    path = tmp_path / "lock"
    with (
        files.lock(path, exclusive=False),
        files.lock(path, exclusive=False, blocking=False),
        pytest.raises(BlockingIOError),
        files.lock(path, blocking=False),
    ):
        pass


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, pathlib; from tiffin.linux.files import lock\n"
        "with lock(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), files.lock(path, blocking=False):
            pass
        child.kill()
        child.wait()
        with files.lock(path, blocking=False):
            pass


def test_a_lock_whose_file_was_removed_is_taken_on_the_new_file(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    flock = files.fcntl.flock

    def removed_meanwhile(fd, how):
        monkeypatch.setattr(files.fcntl, "flock", flock)
        path.unlink()
        flock(fd, how)

    monkeypatch.setattr(files.fcntl, "flock", removed_meanwhile)
    with files.lock(path) as fd:
        assert os.path.samestat(os.fstat(fd), path.stat())


def test_attributes_are_those_of_the_link_itself(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.touch()
    link.symlink_to("file")
    try:
        files.setxattr(path, "user.one", b"\0\xff")
    except OSError as error:
        pytest.skip(f"no user attributes here: {error}")
    assert files.getxattrs(path)["user.one"] == b"\0\xff"
    assert "user.one" not in files.getxattrs(link)
    with path.open() as stream:
        assert files.getxattrs(stream.fileno())["user.one"] == b"\0\xff"
        files.setxattr(stream.fileno(), "user.two", b"2")
    assert files.getxattrs(path)["user.two"] == b"2"


@pytest.mark.parametrize("rename", [files.rename_noreplace, files._rename_by_claim])
def test_a_rename_never_replaces(tmp_path, rename):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    (tmp_path / "d").mkdir()
    (tmp_path / "e").mkdir()
    (tmp_path / "d" / "inner").touch()
    with pytest.raises(FileExistsError):
        rename(tmp_path / "a", tmp_path / "b")
    with pytest.raises(FileExistsError):
        rename(tmp_path / "d", tmp_path / "e")
    assert (tmp_path / "b").read_text() == "b"
    rename(tmp_path / "a", tmp_path / "new")
    rename(tmp_path / "d", tmp_path / "newdir")
    assert sorted(os.listdir(tmp_path)) == ["b", "e", "new", "newdir"]
    assert os.listdir(tmp_path / "newdir") == ["inner"]
    with pytest.raises(FileNotFoundError):
        rename(tmp_path / "gone", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_the_module_needs_nothing_but_the_standard_library():
    code = "import sys; sys.path.insert(0, sys.argv[1]); import tiffin.linux.files; print(*sys.modules)"
    source = str(Path(files.__file__).parents[2])
    loaded = subprocess.check_output([sys.executable, "-IS", "-c", code, source], text=True).split()
    outside = (
        {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) - {"tiffin", "__main__"}
    )
    assert not outside


def test_writing_can_begin_early_and_changes_nothing(tmp_path):
    with (tmp_path / "file").open("w+b") as file:
        file.write(b"content")
        file.flush()
        files.begin_writing(file.fileno(), 0, 7)
        assert (tmp_path / "file").read_bytes() == b"content"
