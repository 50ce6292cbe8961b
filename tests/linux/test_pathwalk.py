"""The walk does what the kernel does: the same paths on the same tree, by the call and by hand."""

import errno
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tiffin.linux import files, openat2, pathwalk

NAMES = [*("a", "b", "f", "up", "abs", "out", "loop", "gone", "deep", "slash", "top", "chain"), ".", "..", ""]
FLAGS = [
    os.O_RDONLY,
    os.O_PATH,
    os.O_PATH | os.O_NOFOLLOW,
    os.O_RDONLY | os.O_DIRECTORY,
    os.O_RDONLY | os.O_NOFOLLOW,
    os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW,
    os.O_WRONLY,
]
RULES = [
    openat2.IN_ROOT,
    openat2.BENEATH,
    openat2.IN_ROOT | openat2.NO_SYMLINKS,
    0,
    openat2.NO_SYMLINKS | openat2.NO_XDEV,
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    place = tmp_path_factory.mktemp("walked")
    (place / "secret").write_text("outside")
    top = place / "root"
    for name in ("a", "b", "a/b", "a/b/a"):
        (top / name).mkdir(parents=True)
    links = {"up": "..", "abs": "/b", "out": "../../../secret", "loop": "loop", "gone": "nowhere", "top": "/"}
    links |= {"deep": "a/../a/b/./f", "slash": "a/", "chain": "deep"}
    for directory in (top, top / "a", top / "b", top / "a/b"):
        (directory / "f").write_text("")
        for name, target in links.items():
            (directory / name).symlink_to(target)
    fd = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def outcome(act, *arguments):
    """Which file it is and whether it can be read, or which error."""
    try:
        fd = act(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]
    try:
        status = os.fstat(fd)
        return status.st_dev, status.st_ino, os.get_inheritable(fd)
    finally:
        os.close(fd)


def by_call(root, path, flags, mode, rules):
    return openat2._call(root, path, flags, mode, rules, path)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(NAMES), max_size=7).map("/".join),
    st.sampled_from(FLAGS),
    st.sampled_from(RULES),
)
@example("loop/f", os.O_RDONLY, openat2.IN_ROOT)
@example("slash/", os.O_PATH | os.O_NOFOLLOW, openat2.IN_ROOT)
@example("/".join(["a", ".."] * 60 + ["f"]), os.O_RDONLY, openat2.IN_ROOT)
@example("/".join(["top"] * 41 + ["f"]), os.O_RDONLY, openat2.IN_ROOT)
@example("x" * 5000, os.O_RDONLY, openat2.IN_ROOT)
def test_what_the_kernel_opens_the_walk_opens(root, path, flags, rules):
    path = path.encode() or b"."
    assert outcome(pathwalk.walk, root, path, flags, 0, rules) == outcome(
        by_call, root, path, flags, 0, rules
    )


@pytest.mark.parametrize(
    "path", ["new", "b/new", "f", "gone", "a/gone", "loop", "b", "no/new", "abs/new", "."]
)
@pytest.mark.parametrize("flags", [os.O_CREAT, os.O_CREAT | os.O_EXCL, os.O_CREAT | os.O_NOFOLLOW])
def test_files_are_made_where_the_kernel_makes_them(root, path, flags):
    def made(act):
        before = set(found())
        told = outcome(act, root, path.encode(), flags | os.O_WRONLY, 0o640, openat2.IN_ROOT)
        new = sorted(set(found()) - before)
        for name in new:
            os.unlink(name, dir_fd=root)
        return told if isinstance(told, str) else "made", new

    def found():
        for place, _, names, _ in os.fwalk(".", dir_fd=root):
            yield from (f"{place}/{name}" for name in names)

    assert made(pathwalk.walk) == made(by_call)


@pytest.mark.parametrize(
    "path",
    [
        "self/mounts",
        "self/root/etc",
        "self/exe",
        "self/cwd",
        "self/fd/0",
        "mounts",
        "self/status",
        "thread-self",
    ],
)
def test_links_of_proc_that_mean_more_than_they_say_are_refused(path):
    proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        walked = outcome(pathwalk.walk, proc, path.encode(), os.O_PATH, 0, openat2.IN_ROOT)
        assert walked == outcome(by_call, proc, path.encode(), os.O_PATH, 0, openat2.IN_ROOT)
    finally:
        os.close(proc)


def test_a_mount_point_is_not_entered_where_that_is_asked(root):
    rules = openat2.NO_SYMLINKS | openat2.NO_XDEV
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert outcome(pathwalk.walk, top, b"proc", os.O_RDONLY, 0, rules) == "EXDEV"
    finally:
        os.close(top)


def test_what_is_swapped_for_a_link_meanwhile_leads_nowhere(tmp_path, monkeypatch):
    """Between two steps the directory becomes a link out of the root."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "root/a/b").mkdir(parents=True)
    step = pathwalk._Walk._to

    def swap(self, name, fd):
        step(self, name, fd)
        if name == b"b":
            (tmp_path / "root/a").rename(tmp_path / "moved")
            (tmp_path / "root/a").symlink_to(tmp_path)

    monkeypatch.setattr(pathwalk._Walk, "_to", swap)
    fd = os.open(tmp_path / "root", os.O_PATH)
    try:
        told = outcome(pathwalk.walk, fd, b"a/b/../secret", os.O_RDONLY, 0, openat2.IN_ROOT)
        assert told in ("ENOTDIR", "ENOENT")
    finally:
        os.close(fd)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM])
def test_without_the_call_paths_are_walked(root, monkeypatch, code):
    def missing(*_arguments, path=None):
        raise OSError(code, "no such call", path)

    monkeypatch.setattr(openat2.libc, "syscall", missing)
    fd = files.open_in_root(root, "abs/f", os.O_RDONLY)
    os.close(fd)
    with pytest.raises(FileNotFoundError) as caught:
        files.open_in_root(root, "out", os.O_RDONLY, links=True)
    assert caught.value.filename == "out"
