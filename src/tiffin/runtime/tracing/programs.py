"""Answers to the calls that execute programs: the caller executes a file of the root, by its loader there."""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux.record import NamedTuple
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation import identity
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.lifting import lifted
from tiffin.runtime.emulation.site import descriptor
from tiffin.runtime.tracing import arguments, showing
from tiffin.runtime.tracing.heads import HEAD, Elf, Script, kind_of
from tiffin.runtime.tracing.holding import hold, put
from tiffin.runtime.tracing.meanings import inside
from tiffin.runtime.tracing.site import DONE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.linux.ptrace import Held
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.arguments import Word
    from tiffin.runtime.tracing.site import Done, Ground

_MACHINE = os.uname().machine
_EXECVE = numbers(_MACHINE)["execve"]
_NOFOLLOW = 0x100
_EMPTY_PATH = 0x1000
_MOST_INTERPRETERS = 5
_MOST_ARGUMENTS = 1 << 18
_PAGE = 4096
_POINTER = 8
_NAMED = b"--argv0"
_LIKE_MUSL = b"/ld-musl-"
_LARGEST_LOADER = 1 << 22


class _Wish(NamedTuple):
    """What is to be executed: found as O_PATH, by which name, with which arguments and environment."""

    fd: int
    name: bytes
    arguments: int
    environment: int


class _Program(NamedTuple):
    """What is executed for it: a file of the host, the arguments, and what runs then, within the root."""

    target: bytes
    words: list[Word]
    shown: bytes


def execute(ground: Ground, call: Call, meaning: Meaning) -> Answer | Done:
    """Let the caller become another program."""
    wish = _wish(ground, call, meaning)
    try:
        words: list[Word] = list(_pointers(ground, call, wish.arguments))
        chosen = os.dup(wish.fd)  # whose rights it gets is not asked by its path again: that may be exchanged
    except OSError:
        os.close(wish.fd)
        raise
    try:
        program = _program(ground, call, wish, words)
        if program is None:
            return None  # of memory, without a loader: it needs nothing of the root
        identity.execute_file(ground.site, call, ground.callers.named(chosen))
    finally:
        os.close(chosen)
    name = os.path.basename(wish.name.rstrip(b"/")) or b"program"
    path = ground.callers.names.path(program.target, program.shown, name)

    def act(held: Held) -> None:
        address = put(held, lambda at: arguments.block(path, program.words, at).data)
        made = arguments.block(path, program.words, address)
        ground.prepared[call.pid] = (made.path, made.arguments, wish.environment)
        held.leave(_EXECVE, made.path, made.arguments, wish.environment)

    hold(ground.callers.listener, call, act)
    return DONE


def _wish(ground: Ground, call: Call, meaning: Meaning) -> _Wish:
    args, callers = call.args, ground.callers
    directory, flags = AT_FDCWD, 0
    if meaning.name == "execveat":
        directory, flags = descriptor(args[0]), args[4]
        args = args[1:]
    path = callers.memory.string(call.pid, args[0])
    if not path and flags & _EMPTY_PATH and directory != AT_FDCWD:
        fd, name = callers.opened(call, directory), b"/dev/fd/%d" % directory
    else:
        fd = callers.open(call, directory, path, os.O_NOFOLLOW if flags & _NOFOLLOW else 0)
        name = (
            path if directory == AT_FDCWD or path.startswith(b"/") else b"/dev/fd/%d/%s" % (directory, path)
        )
    return _Wish(fd, name, args[1], args[2])


def _program(ground: Ground, call: Call, wish: _Wish, words: list[Word]) -> _Program | None:
    """Find what begins it, by way of scripts, and close what the wish has open. None for one of no root."""
    callers, fd, name = ground.callers, wish.fd, wish.name
    words = words or [b""]
    for _ in range(_MOST_INTERPRETERS + 1):
        try:
            kind, loader = _look(ground, call, fd)
            place = os.readlink(callers.named(fd))
        finally:
            os.close(fd)
        if isinstance(kind, Script):
            words = arguments.for_script(words, kind.interpreter, kind.argument, name)
            name = kind.interpreter
            fd = callers.open(call, AT_FDCWD, name, 0)
            continue
        if not place.startswith(callers.root + b"/"):
            if kind.is_static:
                return None
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        shown = inside(place, callers.root)
        if kind.is_static:
            return _Program(place, words, shown)
        return _by_loader(ground, call, (loader, callers.text(call, AT_FDCWD, name), shown), words)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def _by_loader(ground: Ground, call: Call, paths: tuple[bytes, bytes, bytes], words: list[Word]) -> _Program:
    loader, called, shown = paths
    fd = ground.callers.open(call, AT_FDCWD, loader, 0)
    try:
        place = os.readlink(ground.callers.named(fd))
        _check(ground, call, fd)
        knows_name = _knows_name(ground, fd, loader)
    finally:
        os.close(fd)
    words = arguments.for_loader(words, shown if knows_name else called, knows_name=knows_name)
    return _Program(place, words, shown)


def _look(ground: Ground, call: Call, fd: int) -> tuple[Script | Elf, bytes]:
    """Return what the file is, and the path of its loader."""
    _check(ground, call, fd)
    name = ground.callers.named(fd)
    opened = lifted(name, lambda: os.open(name, os.O_RDONLY | os.O_CLOEXEC))
    try:
        kind = kind_of(os.pread(opened, HEAD, 0), _MACHINE)
        if isinstance(kind, Script) or kind.is_static:
            return kind, b""
        return kind, os.pread(opened, kind.loader_size, kind.loader_at).split(b"\0", 1)[0]
    finally:
        os.close(opened)


def _check(ground: Ground, call: Call, fd: int) -> None:
    status = os.fstat(fd)
    if stat.S_ISLNK(status.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if not stat.S_ISREG(status.st_mode) or not showing.may(ground, call, (fd, status), 1, effective=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


_KNOWING: dict[tuple[int, int, int], bool] = {}
_MOST_LOADERS = 1 << 10


def _knows_name(ground: Ground, fd: int, loader: bytes) -> bool:
    """Tell whether the loader can be told what a program is to take for its name (glibc 2.33, musl)."""
    status = os.fstat(fd)
    key = status.st_dev, status.st_ino, status.st_mtime_ns
    knows = _KNOWING.get(key)
    if knows is None:
        if len(_KNOWING) >= _MOST_LOADERS:
            _KNOWING.clear()
        if _LIKE_MUSL in loader:
            knows = True
        else:
            with open(ground.callers.named(fd), "rb") as file:
                knows = _NAMED in file.read(_LARGEST_LOADER)
        _KNOWING[key] = knows
    return knows


def _pointers(ground: Ground, call: Call, address: int) -> list[int]:
    """Return the addresses in a list that ends with a zero."""
    found: list[int] = []
    while address:
        room = _PAGE - address % _PAGE
        size = room - room % _POINTER or _POINTER
        data = ground.callers.memory.read(call.pid, address, size)
        for at in range(0, size, _POINTER):
            each = int.from_bytes(data[at : at + _POINTER], "little")
            if not each:
                return found
            found.append(each)
        if len(found) > _MOST_ARGUMENTS:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
        address += size
    return found
