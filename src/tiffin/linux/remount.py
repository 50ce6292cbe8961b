"""mount_setattr(2) as it can be had before Linux 5.12: by remounting, as soon as a mount is attached.

A detached mount cannot be remounted. What is asked for it waits until `mount.move_mount` has put it
somewhere; until then nobody can see it. `check_settled` raises if anything still waits.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import os

from tiffin.linux import mount, pathwalk
from tiffin.linux.openat2 import IN_ROOT, NO_SYMLINKS
from tiffin.linux.record import NamedTuple

_IDMAP = 0x100000
_FLAGS = {0x1: 1, 0x2: 2, 0x4: 4, 0x8: 8, 0x10: 1024, 0x20: 1 << 24, 0x80: 2048, 0x200000: 256}
"""Attributes of a mount, and what mount(2) calls them."""
_KEPT = 0x1 | 0x2 | 0x4 | 0x8
"""Flags that a remount takes away if they are not named; statvfs(3) calls them the same."""


class Wanted(NamedTuple):
    """What a mount is to have, as `mount.mount_setattr` is told it."""

    attributes: int
    recursive: bool
    propagation: int
    cleared: int
    what: str


_waiting: dict[int, list[Wanted]] = {}


def set_attributes(mount_fd: int, wanted: Wanted) -> None:
    """Give the mount these attributes, now or when it is attached. Raises OSError for a map of owners."""
    if wanted.attributes & _IDMAP:
        code = errno.ENOSYS
        raise OSError(code, f"mapping the owners of: {os.strerror(code)}", wanted.what)
    number = pathwalk.mount_id(mount_fd)
    if number in {line.number for line in _lines()}:
        _apply(mount_fd, number, wanted)
    else:
        _waiting.setdefault(number, []).append(wanted)


def settle(mount_fd: int) -> None:
    """Give the mount, which has just been attached, all that waits for that."""
    number = pathwalk.mount_id(mount_fd)
    for wanted in _waiting.pop(number, ()):
        _apply(mount_fd, number, wanted)


def check_settled() -> None:
    """Raise OSError if a mount was never attached for which something was asked."""
    if _waiting:
        names = ", ".join(wanted.what for each in _waiting.values() for wanted in each)
        raise OSError(errno.EBUSY, "its mount attributes could not be set", names)


def _apply(fd: int, number: int, wanted: Wanted) -> None:
    _remount(fd, wanted)
    if wanted.recursive:
        for path, below in _below(number):
            try:
                inner = pathwalk.walk(fd, path, os.O_PATH | os.O_NOFOLLOW, 0, IN_ROOT | NO_SYMLINKS)
            except OSError:
                continue  # hidden below another mount
            try:
                if pathwalk.mount_id(inner) == below:
                    _remount(inner, wanted)
            finally:
                os.close(inner)


def _remount(fd: int, wanted: Wanted) -> None:
    place = f"/proc/self/fd/{fd}"
    flags = sum(flag for attribute, flag in _FLAGS.items() if attribute & wanted.attributes)
    cleared = sum(flag for attribute, flag in _FLAGS.items() if attribute & wanted.cleared)
    if flags or cleared:
        kept = os.fstatvfs(fd).f_flag & _KEPT & ~cleared
        mount.change(place, mount.MS_REMOUNT | mount.MS_BIND | flags | kept, wanted.what)
    if wanted.propagation:
        mount.set_propagation(place, wanted.propagation)


class _Line(NamedTuple):
    number: int
    parent: int
    point: bytes


def _lines() -> list[_Line]:
    with open("/proc/self/mountinfo", "rb", buffering=0) as file:
        found = [line.split(b" ", 5) for line in file.read().splitlines()]
    return [_Line(int(fields[0]), int(fields[1]), fields[4]) for fields in found]


def _below(number: int) -> list[tuple[bytes, int]]:
    """Return the mounts below one, each by its path from there and its number."""
    lines = _lines()
    top = next((line.point.rstrip(b"/") for line in lines if line.number == number), b"")
    family, found = {number}, []
    for line in lines:  # a mount comes after the one that it is on
        if line.parent in family and line.number not in family:
            family.add(line.number)
            found.append((_plain(line.point[len(top) :]), line.number))
    return found


def _plain(field: bytes) -> bytes:
    """Undo the escapes: a blank is a backslash and 040."""
    head, *rest = field.split(b"\\")
    return head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest)
