"""What paths mean to a process without a /proc: a table."""

import pytest

from tiffin.runtime.procpaths import Meaning, meaning_of


@pytest.mark.parametrize(
    ("path", "meaning"),
    [
        ("/proc/self/exe", Meaning("link", 0, "exe")),
        ("/proc//self/./exe", Meaning("link", 0, "exe")),
        ("/proc/thread-self/comm", Meaning("file", 0, "comm", public=True)),
        ("/proc/12/environ", Meaning("file", 12, "environ")),
        ("/proc/12/status", Meaning("file", 12, "status", public=True)),
        ("/proc/12/task/13/stat", Meaning("file", 13, "stat", public=True)),
        ("/proc/self/fd", Meaning("listing", 0, "fd")),
        ("/proc/self/fd/63", Meaning("link", 0, "fd/63")),
        ("/proc/self/fdinfo/3", Meaning("file", 0, "fdinfo/3")),
        ("/proc/self/net/dev", Meaning("machine", name="net/dev")),
        ("/proc/meminfo", Meaning("machine", name="meminfo")),
        ("/proc", Meaning("processes")),
        ("//proc/.", Meaning("processes")),
        ("/dev/fd/63", Meaning("link", 0, "fd/63")),
        ("/dev/stdout", Meaning("link", 0, "fd/1")),
        ("/dev/ptmx", Meaning("terminals")),
        ("/dev/pts/ptmx", Meaning("terminals")),
        ("/dev/pts/3", Meaning("terminal", 3)),
    ],
)
def test_what_is_meant(path, meaning):
    assert meaning_of(path.encode()) == meaning


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/proc/self",
            "/process/self/exe",
            "/proc/self/root",
            "/proc/self/root/etc/shadow",
            "/proc/self/mem",
        ),
        *("/proc/self/fd/3/..", "/proc/self/cwd/x", "/proc/self/../1/root", "/proc/self/task/1/task/2/exe"),
        *("/proc/kcore", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/self/ns/mnt"),
        *("/proc/self/mounts", "/dev/null", "/dev/pts/x", "/dev/fd/x", "/proc/net/../kcore", "/dev/stdin/x"),
    ],
)
def test_what_is_left_to_the_root_filesystem(path):
    assert meaning_of(path.encode()) is None


def test_a_name_that_is_no_text_means_a_file():
    assert meaning_of(b"/proc/self/\xff") is None
