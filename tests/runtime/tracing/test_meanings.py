"""What paths below /proc and /dev mean to a process that has no root of its own: tables."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.runtime.tracing.meanings import Meaning, inside, joined, meaning_of

ROOT = b"/store/root"


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("/proc", Meaning("machine")),
        ("/proc/meminfo", Meaning("machine", rest=b"meminfo")),
        ("//proc/./sys//kernel/ostype", Meaning("machine", rest=b"sys/kernel/ostype")),
        ("/proc/self", Meaning("process")),
        ("/proc/self/status", Meaning("process", rest=b"status")),
        ("/proc/thread-self/comm", Meaning("process", rest=b"comm")),
        ("/proc/12/task/13/stat", Meaning("process", 13, rest=b"stat")),
        ("/proc/mounts", Meaning("process", rest=b"mounts")),
        ("/proc/net/dev", Meaning("process", rest=b"net/dev")),
        ("/proc/self/exe", Meaning("link", link=b"exe")),
        ("/proc/12/root/etc/passwd", Meaning("link", 12, b"root", b"etc/passwd")),
        ("/proc/self/cwd/a", Meaning("link", link=b"cwd", rest=b"a")),
        ("/proc/self/fd/3/a/b", Meaning("link", link=b"fd/3", rest=b"a/b")),
        ("/proc/self/fd", Meaning("process", rest=b"fd")),
        ("/proc/12/../13/stat", Meaning("process", 13, rest=b"stat")),
        ("/dev/null", Meaning("device", rest=b"null")),
        ("/dev/../dev/null", Meaning("device", rest=b"null")),
        ("/dev/tty", Meaning("device", rest=b"tty")),
        ("/dev/pts/3", Meaning("device", rest=b"pts/3")),
        ("/dev/ptmx", Meaning("device", rest=b"ptmx")),
        ("/dev/fd/63", Meaning("link", link=b"fd/63")),
        ("/dev/stdout", Meaning("link", link=b"fd/1")),
    ],
)
def test_what_is_meant(path, meaning):
    assert meaning_of(path.encode()) == meaning


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/etc/passwd", "/process", "/devices", "/dev", "/dev/shm/x", "/dev/sda", "/dev/null/x"),
        *("/proc/../etc/passwd", "/proc/self/../../etc", "/proc/self/root/../etc", "/proc/self/fd/3/../x"),
        *("/proc/self/cwd/..", "/pro\u00e7", "/proc/\u00fc"),
    ],
)
def test_what_is_of_the_root(path):
    assert meaning_of(path.encode()) is None


@given(
    st.lists(st.sampled_from(["proc", "dev", "self", "..", ".", "", "etc", "fd", "12", "sys"]), max_size=8)
)
def test_a_way_back_leads_to_nothing_else_of_the_machine(words):
    path = "/" + "/".join(words)
    meaning = meaning_of(path.encode())
    folded = posixpath.normpath(path).lstrip("/")
    if meaning is not None:
        assert folded.startswith(("proc", "dev"))


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        (ROOT, b"/"),
        (ROOT + b"/etc", b"/etc"),
        (ROOT + b"2/etc", ROOT + b"2/etc"),
        (b"pipe:[12]", b"pipe:[12]"),
        (b"/dev/pts/1", b"/dev/pts/1"),
    ],
)
def test_the_text_of_a_link_within_the_root(host, shown):
    assert inside(host, ROOT) == shown


@pytest.mark.parametrize(
    ("place", "path", "whole"),
    [
        (b"/etc", b"passwd", b"/etc/passwd"),
        (b"/etc", b"../a", b"/etc/../a"),
        (b"/proc/12", b"stat", b"/proc/12/stat"),
        (b"/proc/12", b"../uptime", b"/proc/uptime"),
        (b"/proc/12/fd", b"../../../etc/passwd", b"/etc/passwd"),
        (b"/proc/12", b"./../..", b"/"),
        (b"/dev/pts", b"3", b"/dev/pts/3"),
    ],
)
def test_what_a_relative_path_means(place, path, whole):
    assert joined(place, path) == whole
