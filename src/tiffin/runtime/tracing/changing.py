"""Answers to the calls that make, move, remove and change files: done here, on open directories and files."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct

from tiffin.linux.libc import syscall
from tiffin.linux.ownerrecord import CAPABILITY
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation import making, owning
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.lifting import lifted
from tiffin.runtime.emulation.site import descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Ground

    _Done = TypeVar("_Done")

_NUMBERS = numbers(os.uname().machine)
_WORD = 0xFFFFFFFF
_MODE = 0o7777
_NOFOLLOW = 0x100
_REMOVE_DIRECTORY = 0x200
_FOLLOW = 0x400
_EMPTY_PATH = 0x1000
_SIZE = 16
_NOW = struct.pack("=4q", 0, (1 << 30) - 1, 0, (1 << 30) - 1)


def make(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Make a directory, a link, a pipe or a socket; a device is an empty file that stands for it."""
    args = list(call.args)
    if meaning.name in ("link", "linkat"):
        return _link(ground, call, meaning)
    answer = making.make(ground.site, call, meaning)
    if answer is not None:
        return answer
    callers, pid = ground.callers, call.pid
    name, directory = meaning.name.removesuffix("at"), AT_FDCWD
    if name != meaning.name:
        directory = descriptor(args.pop(1 if name == "symlink" else 0))
    path = callers.memory.string(pid, args[1] if name == "symlink" else args[0])
    fd, entry = callers.parent(call, directory, path)
    try:
        if name == "symlink":
            text = callers.memory.string(pid, args[0])
            _within(ground, call, fd, lambda: os.symlink(text, entry, dir_fd=fd))
            return 0
        kind, mode = stat.S_IFMT(args[1]), args[1] & _MODE & ~callers.umask(pid)
        if name == "mkdir":
            _within(ground, call, fd, lambda: os.mkdir(entry, mode, dir_fd=fd))
        else:
            _within(ground, call, fd, lambda: os.mknod(entry, kind | mode, args[2] & _WORD, dir_fd=fd))
        callers.settle(fd, mode, entry)
    finally:
        os.close(fd)
    return 0


def _link(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    args, callers = call.args, ground.callers
    if meaning.name == "link":
        old_at, old_path, new_at, new_path, flags = AT_FDCWD, args[0], AT_FDCWD, args[1], 0
    else:
        old_at, old_path, new_at, new_path, flags = (
            *(descriptor(args[0]), args[1], descriptor(args[2]), args[3]),
            args[4] & _WORD,
        )
    source = callers.memory.string(call.pid, old_path)
    if not source and flags & _EMPTY_PATH:
        found = callers.opened(call, old_at)
    else:
        found = callers.open(call, old_at, source, 0 if flags & _FOLLOW else os.O_NOFOLLOW)
    try:
        fd, entry = callers.parent(call, new_at, callers.memory.string(call.pid, new_path))
        try:
            name, new = ctypes.create_string_buffer(callers.named(found)), ctypes.create_string_buffer(entry)
            addresses = ctypes.addressof(name), ctypes.addressof(new)
            number = _NUMBERS["linkat"]
            _within(
                ground,
                call,
                fd,
                lambda: syscall("link", number, AT_FDCWD, addresses[0], fd, addresses[1], _FOLLOW),
            )
        finally:
            os.close(fd)
    finally:
        os.close(found)
    return 0


def remove(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Remove a name."""
    args, directory, flags = call.args, AT_FDCWD, 0
    if meaning.name == "unlinkat":
        directory, flags = descriptor(args[0]), args[2] & _WORD
        args = args[1:]
    path = ground.callers.memory.string(call.pid, args[0])
    fd, name = ground.callers.parent(call, directory, path)
    try:
        if meaning.name == "rmdir" or flags & _REMOVE_DIRECTORY:
            _within(ground, call, fd, lambda: os.rmdir(name, dir_fd=fd))
        else:
            _within(ground, call, fd, lambda: os.unlink(name, dir_fd=fd))
    finally:
        os.close(fd)
    return 0


def rename(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Give something another name."""
    args, callers = call.args, ground.callers
    if meaning.name == "rename":
        args = (AT_FDCWD & _WORD, args[0], AT_FDCWD & _WORD, args[1], 0)
    flags = args[4] & _WORD if meaning.name == "renameat2" else 0
    paths = [callers.memory.string(call.pid, args[at]) for at in (1, 3)]
    old_fd, old = callers.parent(call, descriptor(args[0]), paths[0])
    try:
        new_fd, new = callers.parent(call, descriptor(args[2]), paths[1])
        try:
            texts = [ctypes.create_string_buffer(name) for name in (old, new)]
            before, after = map(ctypes.addressof, texts)
            number = _NUMBERS["renameat2"]

            def act() -> int:
                return syscall("rename", number, old_fd, before, new_fd, after, flags)

            _within(ground, call, old_fd, lambda: _within(ground, call, new_fd, act))
        finally:
            os.close(new_fd)
    finally:
        os.close(old_fd)
    return 0


def change_mode(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Change the mode of a file."""
    args = call.args
    if meaning.name == "fchmod":
        fd, mode = ground.callers.opened(call, descriptor(args[0])), args[1]
    elif meaning.name == "chmod":
        fd, mode = _find(ground, call, AT_FDCWD, args[0], 0), args[1]
    else:
        flags, mode = args[3] & _WORD if meaning.name == "fchmodat2" else 0, args[2]
        fd = _find(ground, call, descriptor(args[0]), args[1], flags)
    try:
        if not _is_machines(ground, fd):
            ground.callers.change_mode(fd, mode & _MODE)
    finally:
        os.close(fd)
    return 0


def change_owner(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Change the owners of a file."""
    args = call.args
    if meaning.name == "fchown":
        fd, ids = ground.callers.opened(call, descriptor(args[0])), args[1:3]
    elif meaning.name == "fchownat":
        fd, ids = _find(ground, call, descriptor(args[0]), args[1], args[4] & _WORD), args[2:4]
    else:
        fd = _find(ground, call, AT_FDCWD, args[0], _NOFOLLOW if meaning.name == "lchown" else 0)
        ids = args[1:3]
    try:
        if _is_machines(ground, fd):
            return 0
        done = owning.give(ground.site, call, fd, ids[0] & _WORD, ids[1] & _WORD)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            _drop_capabilities(ground.callers.named(fd))
        return done
    finally:
        os.close(fd)


def _drop_capabilities(path: bytes) -> None:
    """Drop those that are recorded, as the kernel drops its own at each change of owner."""
    with contextlib.suppress(OSError):  # it has none
        lifted(path, lambda: os.removexattr(path, CAPABILITY))


def change_times(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Change when a file was read and written."""
    args, memory = call.args, ground.callers.memory
    directory, flags = AT_FDCWD, 0
    if meaning.name in ("utimensat", "futimesat"):
        directory, args = descriptor(args[0]), (*args[1:], 0)
        flags = args[2] & _WORD if meaning.name == "utimensat" else 0
    if not args[0]:
        return None  # of what is open: no path is in it
    times = _NOW
    if args[1]:
        size = _SIZE if meaning.name == "utime" else 2 * _SIZE
        numbers_ = struct.unpack(f"={size // 8}q", memory.read(call.pid, args[1], size))
        if meaning.name == "utime":
            numbers_ = (numbers_[0], 0, numbers_[1], 0)
        elif meaning.name != "utimensat":
            numbers_ = (numbers_[0], numbers_[1] * 1000, numbers_[2], numbers_[3] * 1000)
        times = struct.pack("=4q", *numbers_)
    fd = _find(ground, call, directory, args[0], flags)
    try:
        if _is_machines(ground, fd):
            return 0
        name, buffer = (
            ctypes.create_string_buffer(ground.callers.named(fd)),
            ctypes.create_string_buffer(times),
        )
        addresses = ctypes.addressof(name), ctypes.addressof(buffer)
        syscall("times", _NUMBERS["utimensat"], AT_FDCWD, *addresses, 0)
    finally:
        os.close(fd)
    return 0


def truncate(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Change the size of a file."""
    fd = _find(ground, call, AT_FDCWD, call.args[0], 0)
    name = ground.callers.named(fd)
    try:
        _lift(ground, call, name, lambda: os.truncate(name, call.args[1]))
    finally:
        os.close(fd)
    return 0


def _is_machines(ground: Ground, fd: int) -> bool:
    """Tell whether it is a device, which nobody changes here. Raises PermissionError for what is in /proc."""
    status = os.fstat(fd)
    if status.st_dev == ground.proc_device:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _find(ground: Ground, call: Call, directory: int, path_at: int, flags: int) -> int:
    callers = ground.callers
    path = callers.memory.string(call.pid, path_at)
    if not path and flags & _EMPTY_PATH:
        if directory != AT_FDCWD:
            return callers.opened(call, directory)
        path = b"."
    return callers.open(call, directory, path, os.O_NOFOLLOW if flags & _NOFOLLOW else 0)


def _within(ground: Ground, call: Call, directory: int, act: Callable[[], _Done]) -> _Done:
    return _lift(ground, call, ground.callers.named(directory), act)


def _lift(ground: Ground, call: Call, path: bytes, act: Callable[[], _Done]) -> _Done:
    """Do it; if the mode of what is at the path forbids it to its owner, do it all the same for root."""
    try:
        return act()
    except PermissionError as error:
        if error.errno != errno.EACCES or ground.callers.who(call.pid).user.effective:
            raise
    return lifted(path, act)
