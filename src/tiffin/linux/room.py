"""What a disk has left for this account: bytes and files, of the file system and of the account's quota.

Standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os

from tiffin.linux import libc
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["UNKNOWN", "Room", "check_reserve", "in_words", "room_of", "under"]

UNKNOWN = 2**63 - 1
"""The bytes of a file system that does not say how many it has, as in memory (ramfs) or behind FUSE."""

_QUOTACTL_FD = 443  # Linux 5.14, the same number on every architecture
_GET_USER_QUOTA = (0x800007 << 8) - (1 << 32)  # QCMD(Q_GETQUOTA, USRQUOTA), an int
_UNIT = 1024  # what limits are counted in; what is used is in bytes
_NO_QUOTA = frozenset(
    (
        errno.ENOSYS,
        errno.ESRCH,
        errno.EPERM,
        errno.EACCES,
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.ENODEV,
        errno.ENOTTY,
    )
)


class Room(NamedTuple):
    """What is left of `whole` bytes; `files` is None where a file system makes as many as one wants.

    With `by_quota` it is the account that may have no more, and not the disk.
    """

    size: int
    whole: int
    files: int | None = None
    by_quota: bool = False

    def told(self, folder: Path) -> str:
        """Say what there is left where `folder` lies."""
        whose = f"your quota on {folder}" if self.by_quota else f"the disk of {folder}"
        if self.size == UNKNOWN:
            return f"{whose} does not say what it has left"
        if self.files == 0 and self.size:
            return f"{whose} has no room for another file, though {in_words(self.size)} are left"
        return f"{whose} has {in_words(self.size)} of {in_words(self.whole)} left"


def in_words(size: int) -> str:
    """Bytes as people read them.

    >>> in_words(1_234_567), in_words(12_345_678_901)
    ('1.2 MB', '12.3 GB')
    """
    return f"{size / 1e9:,.1f} GB" if size >= 10**10 else f"{size / 1e6:,.1f} MB"


class _Quota(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_uint64)
            for name in ("hard", "soft", "used", "hard_files", "soft_files", "used_files")
        ),
        *((name, ctypes.c_uint64) for name in ("grace", "grace_files")),
        ("valid", ctypes.c_uint32),
    )


def room_of(folder: Path) -> Room:
    """Return what is left where `folder` lies, the smaller of what the disk and what the quota has."""
    status = os.statvfs(folder)
    size = status.f_bavail * status.f_frsize if status.f_blocks else UNKNOWN
    whole = status.f_blocks * status.f_frsize or UNKNOWN
    found = Room(size, whole, status.f_favail if status.f_files else None)
    quota = _quota(folder)
    return (
        found
        if quota is None
        else under(found, quota.hard * _UNIT, quota.used, quota.hard_files, quota.used_files)
    )


def check_reserve(folder: Path, reserve: int) -> None:
    """Raise OSError, as of a disk or a quota that is full, if less than `reserve` bytes are left there."""
    room = room_of(folder)
    if room.size < reserve:
        code = errno.EDQUOT if room.by_quota else errno.ENOSPC
        raise OSError(code, os.strerror(code), str(folder))


def under(disk: Room, limit: int, used: int, most_files: int, files: int) -> Room:
    """Return what is left under a quota; a limit of 0 is none.

    >>> under(Room(1000, 2000, 50), 800, 300, 0, 7)
    Room(size=500, whole=800, files=50, by_quota=True)
    """
    left, spare = max(limit - used, 0), max(most_files - files, 0)
    if limit and left < disk.size:
        disk = disk._replace(size=left, whole=limit, by_quota=True)
    if most_files and (disk.files is None or spare < disk.files):
        disk = disk._replace(files=spare, by_quota=True)
    return disk


def _quota(folder: Path) -> _Quota | None:
    quota = _Quota()
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            arguments = (fd, _GET_USER_QUOTA, os.geteuid(), ctypes.addressof(quota))
            libc.syscall("quotactl_fd", _QUOTACTL_FD, *arguments, path=str(folder))
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in _NO_QUOTA:
            raise
        return None
    return quota
