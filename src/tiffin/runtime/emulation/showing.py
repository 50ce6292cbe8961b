"""Answers to the calls that show files: what is recorded is seen in the place of what is on disk.

A file of which nothing is recorded is left to the kernel: that is the way of most, and the cheap one.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import statx
from tiffin.linux.record import NamedTuple
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.credentials import may_access
from tiffin.runtime.emulation.site import descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.linux.ownerrecord import Record
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer, Site

_NOFOLLOW = 0x100
_EACCESS = 0x200
_EMPTY_PATH = 0x1000
_WORD = 0xFFFFFFFF
# Where the mode, the user, the group and the number of a device lie in a struct stat, and in a struct statx.
_MACHINE = os.uname().machine
_STAT = {"x86_64": (24, 28, 32, 40), "aarch64": (16, 24, 28, 32)}
_STATX = (28, 20, 24, 128)
_TYPE = 0o170000


class _Question(NamedTuple):
    """Which file, by the flags of fstatat, and where the answer goes; `mask` is that of statx."""

    where: bytes
    flags: int
    address: int
    mask: int = -1


def show(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Write the status of a file that has a record to where the caller wants it."""
    try:
        question = _question(site, call, meaning.name)
        if question is None:
            return None
        record = site.records.at(question.where, follow=not question.flags & _NOFOLLOW)
        if record is None:
            return None
        data = _status(question, record)
        site.callers.tell(call, question.address, data)
    except OSError:
        return None  # the kernel finds the same, and tells it
    return 0


def access(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Refuse what others than root may not; what they may, the kernel looks at too."""
    who = site.callers.who(call.pid)
    args = call.args
    directory, path_at, wanted, flags = AT_FDCWD, args[0], args[1], 0
    if meaning.name != "access":
        directory, path_at, wanted = descriptor(args[0]), args[1], args[2]
        flags = args[3] & _WORD if meaning.name == "faccessat2" else 0
    effective = bool(flags & _EACCESS)
    if (who.user.effective if effective else who.user.real) == 0 or not wanted & 7:
        return None
    try:
        path = site.callers.memory.string(call.pid, path_at)
        follow = not flags & _NOFOLLOW
        where = site.callers.where(call, directory, path, follow=follow)
        mode = os.stat(where, follow_symlinks=follow).st_mode
        owner = site.records.at(where, follow=follow)
    except OSError:
        return None
    ids = (who.user.effective, who.group.effective) if effective else (who.user.real, who.group.real)
    if not may_access(ids, who.groups, owner[:2] if owner else (0, 0), mode, wanted & 7):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _question(site: Site, call: Call, name: str) -> _Question | None:
    args, callers = call.args, site.callers
    if name == "fstat":
        return _Question(callers.where(call, descriptor(args[0]), b""), 0, args[1])
    if name in ("stat", "lstat"):
        path = callers.memory.string(call.pid, args[0])
        flags = _NOFOLLOW if name == "lstat" else 0
        if not path:
            return None
        return _Question(callers.where(call, AT_FDCWD, path, follow=not flags), flags, args[1])
    directory, path = descriptor(args[0]), callers.memory.string(call.pid, args[1])
    flags, address, mask = (args[3], args[2], -1) if name == "newfstatat" else (args[2], args[4], args[3])
    flags &= _WORD
    if not path:
        if not flags & _EMPTY_PATH:
            return None
        flags &= ~_NOFOLLOW  # the name of a descriptor is a link, and this one is to be followed
    where = callers.where(call, directory, path, follow=not flags & _NOFOLLOW)
    return _Question(where, flags & ~_EMPTY_PATH, address, mask & _WORD if mask >= 0 else -1)


def _status(question: _Question, record: Record) -> bytearray:
    """Return what the kernel says, with what is recorded in its place."""
    if question.mask < 0:
        data = statx.fstatat(question.where, question.flags)
    else:
        data = statx.statx(question.where, question.flags, question.mask)
    put(data, question.mask, record)
    return data


def ids_at(mask: int) -> tuple[int, int]:
    """Return where the user and the group lie in a status: a struct stat if the mask of statx is negative."""
    return (_STAT[_MACHINE] if mask < 0 else _STATX)[1:3]


def kind_in(data: bytearray, mask: int) -> int:
    """Return which kind of file the status is of."""
    mode_at = (_STAT[_MACHINE] if mask < 0 else _STATX)[0]
    return int.from_bytes(data[mode_at : mode_at + 2], "little") & _TYPE


def put(data: bytearray, mask: int, record: Record) -> None:
    """Put what is recorded into a status."""
    mode_at, uid_at, gid_at, device_at = _STAT[_MACHINE] if mask < 0 else _STATX
    data[uid_at : uid_at + 4] = record.uid.to_bytes(4, "little")
    data[gid_at : gid_at + 4] = record.gid.to_bytes(4, "little")
    if record.mode and record.device is None:
        data[mode_at : mode_at + 2] = record.mode.to_bytes(2, "little")
    if record.device is not None:
        mode = int.from_bytes(data[mode_at : mode_at + 2], "little")
        mode = record.mode & _TYPE | stat.S_IMODE(mode)
        data[mode_at : mode_at + 2] = mode.to_bytes(2, "little")
        if mask < 0:
            data[device_at : device_at + 8] = record.device.to_bytes(8, "little")
        else:
            major, minor = os.major(record.device), os.minor(record.device)
            data[device_at : device_at + 8] = major.to_bytes(4, "little") + minor.to_bytes(4, "little")
