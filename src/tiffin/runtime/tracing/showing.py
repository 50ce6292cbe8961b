"""Answers to the calls that show files: with recorded owners, and root's in the place of our own."""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from tiffin.linux import statx
from tiffin.linux.libc import syscall
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation import showing
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.credentials import may_access
from tiffin.runtime.emulation.records import NONE
from tiffin.runtime.emulation.site import descriptor
from tiffin.runtime.tracing.caller import group_of
from tiffin.runtime.tracing.meanings import is_link_of_root, meaning_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.linux.ownerrecord import Record
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Ground

_NOFOLLOW = 0x100
_EACCESS = 0x200
_EMPTY_PATH = 0x1000
_WORD = 0xFFFFFFFF
_NOBODY = 65534
_STATFS_SIZE = 120
_STATFS = numbers(os.uname().machine)["statfs"]
_CARRIERS = (stat.S_IFREG, stat.S_IFDIR)
_OTHERS = (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK)


def show(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Write the status of a file to where the caller wants it."""
    args, callers = call.args, ground.callers
    mask = -1
    match meaning.name:
        case "fstat":
            return _show_open(ground, call, (descriptor(args[0]), args[1], mask))
        case "stat" | "lstat":
            directory, path_at, address = AT_FDCWD, args[0], args[1]
            flags = _NOFOLLOW if meaning.name == "lstat" else 0
        case "newfstatat":
            directory, path_at, address, flags = descriptor(args[0]), args[1], args[2], args[3]
        case _:
            directory, path_at, flags, address = descriptor(args[0]), args[1], args[2], args[4]
            mask = args[3] & _WORD
    path = callers.memory.string(call.pid, path_at) if path_at else b""
    if not path and flags & _EMPTY_PATH:
        if directory != AT_FDCWD:
            return _show_open(ground, call, (directory, address, mask))
        path = b"."
    fd = callers.open(call, directory, path, os.O_NOFOLLOW if flags & _NOFOLLOW else 0)
    try:
        if mask < 0:
            data = statx.fstatat(b"", _EMPTY_PATH, directory=fd)
        else:
            data = statx.statx(b"", _EMPTY_PATH, mask, directory=fd)
        _tell(ground, call, fd, (address, mask, data))
    finally:
        os.close(fd)
    return 0


def _show_open(ground: Ground, call: Call, question: tuple[int, int, int]) -> Answer:
    number, address, mask = question
    path = b"/proc/%d/fd/%d" % (call.pid, number)
    try:
        data = statx.fstatat(path, 0) if mask < 0 else statx.statx(path, 0, mask)
    except FileNotFoundError:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
    _tell(ground, call, path, (address, mask, data))
    return 0


def _tell(ground: Ground, call: Call, what: int | bytes, told: tuple[int, int, bytearray]) -> None:
    """Write the status of what is open as O_PATH, or at a path of /proc, as the container is to see it."""
    address, mask, data = told
    record = _record(ground, what, showing.kind_in(data, mask))
    if record is not None:
        showing.put(data, mask, record)
    else:
        for at, own in zip(showing.ids_at(mask), ground.callers.ids, strict=True):
            found = int.from_bytes(data[at : at + 4], "little")
            if found:
                data[at : at + 4] = (0 if found == own else _NOBODY).to_bytes(4, "little")
    ground.callers.tell(call, address, data)


def _record(ground: Ground, what: int | bytes, kind: int) -> Record | None:
    try:
        if kind in _CARRIERS:
            path = ground.callers.named(what) if isinstance(what, int) else what
            return ground.site.records.at(path, follow=True)
        if isinstance(what, int) and kind in _OTHERS:
            record = ground.site.records.of(what)
            return record if record != NONE else None
    except OSError:
        return None
    return None


def access(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Tell whether the caller may, by its own ids and what is recorded."""
    args = call.args
    directory, path_at, wanted, flags = AT_FDCWD, args[0], args[1], 0
    if meaning.name != "access":
        directory, path_at, wanted = descriptor(args[0]), args[1], args[2]
        flags = args[3] & _WORD if meaning.name == "faccessat2" else 0
    callers = ground.callers
    path = callers.memory.string(call.pid, path_at)
    if not path and flags & _EMPTY_PATH:
        fd = callers.opened(call, directory)
    else:
        fd = callers.open(call, directory, path, os.O_NOFOLLOW if flags & _NOFOLLOW else 0)
    try:
        status = os.fstat(fd)
        if not may(ground, call, (fd, status), wanted & 7, effective=bool(flags & _EACCESS)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    finally:
        os.close(fd)
    return 0


def may(
    ground: Ground, call: Call, found: tuple[int, os.stat_result], wanted: int, *, effective: bool
) -> bool:
    """Tell whether the caller may read (4), write (2) or execute (1) what is open as O_PATH."""
    fd, status = found
    if not wanted:
        return True
    if status.st_uid != ground.callers.ids[0]:  # a device, or a file of /proc: it is the kernel's
        return os.access(ground.callers.named(fd), wanted)
    who = ground.callers.who(call.pid)
    record = ground.site.records.at(ground.callers.named(fd), follow=True) or NONE
    mode = record.mode if record.mode and record.device is None else status.st_mode
    ids = (who.user.effective, who.group.effective) if effective else (who.user.real, who.group.real)
    if ids[0] == 0:
        return not wanted & 1 or stat.S_ISDIR(mode) or bool(mode & 0o111)
    return may_access(ids, who.groups, record[:2], mode, wanted)


def read_link(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Tell the text of a link."""
    args, callers = call.args, ground.callers
    directory, rest = (AT_FDCWD, args) if meaning.name == "readlink" else (descriptor(args[0]), args[1:])
    path = callers.memory.string(call.pid, rest[0])
    text = _text(ground, call, directory, path)[: rest[2] & 0x7FFFFFFF]
    if not text:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    callers.tell(call, rest[1], text)
    return len(text)


def _text(ground: Ground, call: Call, directory: int, path: bytes) -> bytes:
    callers = ground.callers
    if path or directory == AT_FDCWD:
        whole = callers.text(call, directory, path)
        if whole.rstrip(b"/") == b"/proc/self":
            return b"%d" % group_of(call.pid)
        found = meaning_of(whole)
        if found is not None and found.kind == "link" and not found.rest and not is_link_of_root(whole):
            return callers.link(call, found)
        fd = callers.find(call, whole, os.O_NOFOLLOW)
    else:
        fd = callers.opened(call, directory)
    try:
        return os.readlink(b"", dir_fd=fd)
    except FileNotFoundError:  # what is no link has no text, and the kernel says so by another word
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL)) from None
    finally:
        os.close(fd)


def working_directory(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Tell where the caller is."""
    place = ground.callers.place(call.pid, AT_FDCWD) + b"\0"
    if place.endswith(b" (deleted)\0"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    if call.args[1] < len(place):
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    ground.callers.tell(call, call.args[0], place)
    return len(place)


def file_system(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Tell of the file system that a file lies on."""
    callers = ground.callers
    fd = callers.open(call, AT_FDCWD, callers.memory.string(call.pid, call.args[0]), 0)
    try:
        name = ctypes.create_string_buffer(callers.named(fd))
        buffer = ctypes.create_string_buffer(_STATFS_SIZE)
        syscall("statfs", _STATFS, ctypes.addressof(name), ctypes.addressof(buffer))
    finally:
        os.close(fd)
    callers.tell(call, call.args[1], buffer.raw)
    return 0
