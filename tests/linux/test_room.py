"""What a disk has left, and what a quota does."""

import ctypes
import errno
import os

import pytest

from tiffin.linux import libc
from tiffin.linux.room import UNKNOWN, Room, check_reserve, in_words, room_of, under


def test_the_room_of_a_disk(tmp_path):
    room, status = room_of(tmp_path), os.statvfs(tmp_path)
    assert room.whole == status.f_blocks * status.f_frsize
    assert 0 < room.size < room.whole


def test_a_disk_that_does_not_say_what_it_has_is_not_full(tmp_path, monkeypatch):
    """As a file system in memory (ramfs), and some behind FUSE."""
    told = os.statvfs_result((4096, 4096, 0, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    room = room_of(tmp_path)
    assert (room.size, room.whole, room.files) == (UNKNOWN, UNKNOWN, None)
    assert room.told("/d") == "the disk of /d does not say what it has left"
    check_reserve(tmp_path, 1 << 60)


@pytest.mark.parametrize(("by_quota", "code"), [(False, errno.ENOSPC), (True, errno.EDQUOT)])
def test_a_reserve_that_is_not_there_is_a_full_disk_or_quota(tmp_path, monkeypatch, by_quota, code):
    monkeypatch.setattr("tiffin.linux.room.room_of", lambda _folder: Room(100, 2000, by_quota=by_quota))
    check_reserve(tmp_path, 100)
    with pytest.raises(OSError, match=str(tmp_path)) as caught:
        check_reserve(tmp_path, 101)
    assert caught.value.errno == code


@pytest.mark.parametrize(
    ("disk", "quota", "expected"),
    [
        (Room(1000, 2000, 50), (0, 300, 0, 7), Room(1000, 2000, 50)),
        (Room(1000, 2000, 50), (800, 300, 0, 7), Room(500, 800, 50, by_quota=True)),
        (Room(1000, 2000, 50), (800, 900, 0, 7), Room(0, 800, 50, by_quota=True)),
        (Room(1000, 2000, 50), (0, 300, 20, 7), Room(1000, 2000, 13, by_quota=True)),
        (Room(1000, 2000), (5000, 300, 20, 7), Room(1000, 2000, 13, by_quota=True)),
    ],
)
def test_the_smaller_of_disk_and_quota_counts(disk, quota, expected):
    assert under(disk, *quota) == expected


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (Room(1_000_000, 2_000_000), "the disk of /d has 1.0 MB of 2.0 MB left"),
        (Room(500, 800, by_quota=True), "your quota on /d has 0.0 MB of 0.0 MB left"),
        (Room(10**9, 10**11, 0), "the disk of /d has no room for another file, though 1,000.0 MB are left"),
    ],
)
def test_room_in_words(room, expected):
    assert room.told("/d") == expected


def test_sizes_in_words():
    assert [in_words(size) for size in (0, 1_234_567, 12_345_678_901)] == ["0.0 MB", "1.2 MB", "12.3 GB"]


def test_the_kernel_is_asked_for_the_quota_of_this_account(tmp_path, monkeypatch):
    """Few kernels of test machines have quotas: what one says is said by a double."""
    asked = []

    def call(what, number, *arguments, path):
        fd, command, uid, place = arguments
        asked.append((what, number, os.readlink(f"/proc/self/fd/{fd}"), command & 0xFFFFFFFF, uid, path))
        (ctypes.c_uint64 * 6).from_address(place)[:] = (4096, 0, 1 << 20, 0, 0, 7)
        return 0

    monkeypatch.setattr(libc, "syscall", call)
    room = room_of(tmp_path)
    assert (room.size, room.whole, room.by_quota) == (3 << 20, 4 << 20, True)
    assert asked == [("quotactl_fd", 443, str(tmp_path), 0x80000700, os.geteuid(), str(tmp_path))]


def test_where_there_are_no_quotas_the_disk_counts(tmp_path, monkeypatch):
    def call(*_arguments, path):
        raise OSError(errno.ESRCH, "quotactl_fd", path)

    monkeypatch.setattr(libc, "syscall", call)
    assert room_of(tmp_path).by_quota is False
