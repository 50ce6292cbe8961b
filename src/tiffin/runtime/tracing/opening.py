"""Answers to the calls that open files: found in the root, opened here, and handed over."""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import files
from tiffin.runtime.emulation import making
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.calls import O_TMPFILE
from tiffin.runtime.emulation.lifting import lifted
from tiffin.runtime.emulation.site import Gift, descriptor
from tiffin.runtime.tracing import acting, contents
from tiffin.runtime.tracing.meanings import inside, meaning_of
from tiffin.runtime.tracing.site import LaterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Done, Ground

_WORD = 0xFFFFFFFF
_MODE = 0o7777
_HOW = 24
_NEW = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
_FINDING = os.O_DIRECTORY | os.O_NOFOLLOW
_MAKING = os.O_CREAT | os.O_EXCL
_PATH_ONLY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READABLE = (stat.S_IFREG, stat.S_IFDIR)
_TERMINAL = os.makedev(5, 0)
_FIRST_TERMINAL = 136


def answer(ground: Ground, call: Call, meaning: Meaning, *, may_wait: bool = False) -> Answer | Done:
    """Open what is there, or make it. Raises LaterError for a pipe, unless it `may_wait`."""
    args, memory = call.args, ground.callers.memory
    directory, mode, resolve = AT_FDCWD, 0, 0
    match meaning.name:
        case "open":
            path_at, flags, mode = args[0], args[1], args[2]
        case "creat":
            path_at, flags, mode = args[0], _NEW, args[1]
        case "openat":
            directory, path_at, flags, mode = descriptor(args[0]), args[1], args[2], args[3]
        case _:
            directory, path_at = descriptor(args[0]), args[1]
            if args[3] < _HOW:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            how = memory.read(call.pid, args[2], _HOW)
            flags, mode, resolve = (int.from_bytes(how[at : at + 8], "little") for at in (0, 8, 16))
    flags &= _WORD
    path = memory.string(call.pid, path_at)
    if resolve:
        return _restricted(ground, call, (directory, path), (flags, mode & _MODE, resolve), may_wait)
    if flags & os.O_PATH:
        flags &= _PATH_ONLY
    elif flags & (os.O_CREAT | O_TMPFILE):
        return _open_or_make(ground, call, meaning, (directory, path, flags, mode & _MODE), may_wait)
    text = ground.callers.text(call, directory, path)
    fd = ground.callers.find(call, text, flags & _FINDING)
    return _reopen(ground, call, fd, flags, may_wait=may_wait)


def _restricted(
    ground: Ground, call: Call, where: tuple[int, bytes], how: tuple[int, int, int], may_wait: bool
) -> Answer | Done:
    """Open where the caller itself says how far the path may lead: the kernel sees to it.

    Raises OSError (EXDEV) for paths that begin in /proc or /dev of the machine: `self` would be this process.
    """
    flags, mode, resolve = how
    callers, path = ground.callers, where[1]
    kept = resolve & (files.RESOLVE_BENEATH | files.RESOLVE_IN_ROOT)
    begin = b"/" if path.startswith(b"/") and not kept else callers.place(call.pid, where[0])
    if meaning_of(begin) is not None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    base = callers.find(call, begin)
    try:
        if flags & O_TMPFILE != O_TMPFILE:
            finding = flags & _FINDING | (os.O_NOFOLLOW if flags & _MAKING == _MAKING else 0)
            try:
                fd = files.open_restricted(base, path, os.O_PATH | finding, 0, resolve)
            except FileNotFoundError:
                if not flags & os.O_CREAT:
                    raise
            else:
                if flags & _MAKING == _MAKING:
                    os.close(fd)
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                return _reopen(ground, call, fd, flags & ~_MAKING, may_wait=may_wait)
        mode &= ~callers.umask(call.pid)
        new = _unhindered(flags, lambda wanted: files.open_restricted(base, path, wanted, mode, resolve))
    finally:
        os.close(base)
    callers.settle(new, mode)
    return Gift(new, cloexec=bool(flags & os.O_CLOEXEC))


def _unhindered(flags: int, make: Callable[[int], int]) -> int:
    """Make a file; a pipe that has got its name meanwhile is not waited for."""
    fd = make(flags | os.O_NONBLOCK)
    if not flags & os.O_NONBLOCK:
        os.set_blocking(fd, True)
    return fd


def _open_or_make(
    ground: Ground, call: Call, meaning: Meaning, wish: tuple[int, bytes, int, int], may_wait: bool
) -> Answer | Done:
    directory, path, flags, mode = wish
    callers = ground.callers
    if flags & O_TMPFILE != O_TMPFILE:
        try:
            nofollow = os.O_NOFOLLOW if flags & (os.O_EXCL | os.O_NOFOLLOW) else 0
            fd = callers.open(call, directory, path, nofollow)
        except FileNotFoundError:
            pass
        else:
            code = errno.EEXIST if flags & os.O_EXCL else errno.EISDIR
            if flags & os.O_EXCL or stat.S_ISDIR(os.fstat(fd).st_mode):
                os.close(fd)
                raise OSError(code, os.strerror(code))
            making.check_existing(ground.site, call, meaning)
            return _reopen(ground, call, fd, flags & ~_MAKING, may_wait=may_wait)
    made = making.make(ground.site, call, meaning)
    if made is not None:
        return made
    mode &= ~callers.umask(call.pid)
    if flags & O_TMPFILE == O_TMPFILE:
        fd = callers.open(call, directory, path, os.O_DIRECTORY)
        try:
            new = lifted(callers.named(fd), lambda: os.open(callers.named(fd), flags | os.O_CLOEXEC, mode))
        finally:
            os.close(fd)
    else:
        new = _make(ground, call, callers.text(call, directory, path), flags, mode)
    callers.settle(new, mode)
    return Gift(new, cloexec=bool(flags & os.O_CLOEXEC))


def _make(ground: Ground, call: Call, text: bytes, flags: int, mode: int) -> int:
    """Make the file, where a dangling link leads to if it does; who else makes it meanwhile has made it."""
    try:
        top = ground.callers.top
        return _unhindered(flags, lambda wanted: files.open_here(top, text, wanted, inside=True, mode=mode))
    except PermissionError as error:
        if error.errno != errno.EACCES or ground.callers.who(call.pid).user.effective:
            raise
    fd, name = ground.callers.parent(call, AT_FDCWD, text)
    try:
        opened = flags | os.O_NOFOLLOW | os.O_CLOEXEC
        return _unhindered(
            opened,
            lambda wanted: lifted(ground.callers.named(fd), lambda: os.open(name, wanted, mode, dir_fd=fd)),
        )
    finally:
        os.close(fd)


def _reopen(ground: Ground, call: Call, fd: int, flags: int, *, may_wait: bool) -> Answer | Done:
    """Hand over what was found as O_PATH, opened as it is wanted."""
    cloexec = bool(flags & os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        kind = stat.S_IFMT(status.st_mode)
        name = ground.callers.named(fd)
        if flags & os.O_PATH:
            # The kernel hands over no file that is open as a path alone: one that can be read does as well.
            if kind not in _READABLE:
                if not may_wait:
                    raise LaterError
                return acting.open_itself(ground, call, fd, flags)
            flags = flags & ~os.O_PATH | os.O_NONBLOCK
        if kind == stat.S_IFLNK:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if kind == stat.S_IFIFO and not flags & os.O_NONBLOCK and os.readlink(name).startswith(b"/"):
            if not may_wait:
                raise LaterError
            return acting.open_itself(ground, call, fd, flags)
        if kind == stat.S_IFCHR and status.st_rdev == _TERMINAL:
            name = _terminal(call.pid)
        elif status.st_dev == ground.proc_device and kind == stat.S_IFREG:
            made = _content(ground, call, fd)
            if made is not None:
                return Gift(made, cloexec)
        wanted = flags & ~os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
        new = _open_lifted(ground, call, name, wanted)
    finally:
        os.close(fd)
    return Gift(new, cloexec)


def _open_lifted(ground: Ground, call: Call, name: bytes, flags: int) -> int:
    try:
        return os.open(name, flags)
    except PermissionError as error:
        if error.errno != errno.EACCES or ground.callers.who(call.pid).user.effective:
            raise
    return lifted(name, lambda: os.open(name, flags))


def _content(ground: Ground, call: Call, fd: int) -> int | None:
    """Return a file with what a process is to be told of itself, where the kernel tells of its outside."""
    place = os.readlink(ground.callers.named(fd))
    meaning = meaning_of(inside(place, ground.callers.root))
    if meaning is None or meaning.kind != "process":
        return None
    return contents.of(ground, call, meaning.process, meaning.rest)


def _terminal(pid: int) -> bytes:
    """Return the terminal that the process is controlled by. Raises OSError if it has none."""
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
        number = int(file.read().rpartition(b")")[2].split()[4])
    major, minor = os.major(number), os.minor(number)
    if major < _FIRST_TERMINAL:
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
    return b"/dev/pts/%d" % ((major - _FIRST_TERMINAL) * 256 + minor)
