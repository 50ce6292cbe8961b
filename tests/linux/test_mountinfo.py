"""Lines of mountinfo, as proc(5) has them."""

from tiffin.linux.mountinfo import Mounted, below, mount_of, parse_mounts, read_mounts, shows_whole_proc

LINES = rb"""21 1 0:19 / / rw,relatime shared:1 - ext4 /dev/sda rw
22 21 0:20 / /srv rw master:7 - tmpfs none rw
23 21 0:21 / /srv/a\040b rw shared:8 master:9 - tmpfs none rw
24 22 0:22 / /srv rw - xfs /dev/sdb rw
25 21 0:23 / /srvice rw propagate_from:3 - proc proc rw
"""


def test_lines_are_read():
    assert parse_mounts(LINES) == [
        Mounted("/", "ext4", ("shared",)),
        Mounted("/srv", "tmpfs", ("master",)),
        Mounted("/srv/a b", "tmpfs", ("shared", "master")),
        Mounted("/srv", "xfs", ()),
        Mounted("/srvice", "proc", ("propagate_from",)),
    ]


def test_the_mount_of_a_path_is_the_last_of_the_nearest():
    mounts = parse_mounts(LINES)
    assert mount_of(mounts, "/srv/x").kind == "xfs"
    assert mount_of(mounts, "/srv/a b").peers == ("shared", "master")
    assert mount_of(mounts, "/srvice/x").kind == "proc"
    assert mount_of(mounts, "/srvices").kind == "ext4"


def test_what_is_below_a_path():
    mounts = parse_mounts(LINES)
    assert below(mounts, "/srv") == ["a b"]
    assert below(mounts, "/") == ["srv", "srv/a b", "srvice"]
    assert below(mounts, "/srv/a b") == []


def test_this_machine_has_a_proc():
    assert mount_of(read_mounts(), "/proc/self").kind == "proc"


def proc(*covers):
    lines = [b"30 1 0:24 / /proc rw - proc proc rw"]
    lines += [b"31 30 0:25 %b %b rw - %b none rw" % each for each in covers]
    return parse_mounts(b"\n".join(lines))


def test_a_proc_with_hidden_parts_is_told_from_a_whole_one():
    assert shows_whole_proc(proc())
    assert shows_whole_proc(proc((b"/", b"/proc/sys/fs/binfmt_misc", b"autofs")))
    assert not shows_whole_proc(proc((b"/null", b"/proc/kcore", b"devtmpfs")))
    assert not shows_whole_proc(proc((b"/sys", b"/proc/sys", b"proc")))
    # LXD keeps a whole one beside that which it has covered; a part of one is none.
    assert shows_whole_proc(
        proc((b"/cpuinfo", b"/proc/cpuinfo", b"fuse"), (b"/", b"/dev/.lxc/proc", b"proc"))
    )
    assert not shows_whole_proc(proc((b"/null", b"/proc/kcore", b"devtmpfs"), (b"/sys", b"/mnt", b"proc")))
    assert not shows_whole_proc(parse_mounts(b""))
