"""Answers to calls by which the caller itself gets to a path: where it is, its sockets, its watches.

What the path means is opened here and lent to the caller, who does the call by the number of that.
"""

from __future__ import annotations

import errno
import os
import struct

from tiffin.linux import files
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation import identity
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.lifting import lifted
from tiffin.runtime.emulation.records import NONE
from tiffin.runtime.tracing import showing
from tiffin.runtime.tracing.holding import hold, put, write
from tiffin.runtime.tracing.meanings import inside
from tiffin.runtime.tracing.site import DONE, LaterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.linux.notify import Call
    from tiffin.linux.ptrace import Held
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.caller import Tracees
    from tiffin.runtime.tracing.site import Done, Ground

_NUMBERS = numbers(os.uname().machine)
_UNIX = 1
_FAMILY = 2
_LONGEST = 110
_WRITE_AND_SEARCH = 3
_WORD = 0xFFFFFFFF
_NOT_LINKS = 0x02000000
_BEYOND = 1 << 32
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_CREDENTIALS = struct.Struct("=III")
_KEEP, _DUMPABLE, _NO_NEW_PRIVILEGES = 8, 4, 39


def change_directory(ground: Ground, call: Call, _meaning: Meaning) -> Answer | Done:
    """Let the caller go to a directory."""
    callers = ground.callers
    fd = callers.open(call, AT_FDCWD, callers.memory.string(call.pid, call.args[0]), os.O_DIRECTORY)
    try:
        if not showing.may(ground, call, (fd, os.fstat(fd)), 1, effective=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        number = _lend(ground, call, fd)
    finally:
        os.close(fd)
    hold(callers.listener, call, _closing(number, lambda held: held.call(_NUMBERS["fchdir"], number)))
    return DONE


def open_itself(ground: Ground, call: Call, fd: int, flags: int) -> Done:
    """Let the caller open what was found as O_PATH: what it may wait for, or what nobody can hand over."""
    callers = ground.callers
    number, name = _lend_above(ground, call, os.dup(fd))

    def act(held: Held) -> int:
        args = number, put(held, lambda _at: name + b"\0"), flags | os.O_NOFOLLOW, 0
        return _do(ground, call, held, _NUMBERS["openat"], args)

    hold(callers.listener, call, _closing(number, act))
    return DONE


def change_root(ground: Ground, call: Call, _meaning: Meaning) -> Answer:
    """Refuse any other root than the one that there is."""
    callers = ground.callers
    path = callers.memory.string(call.pid, call.args[0])
    if callers.where(call, AT_FDCWD, path) != callers.root:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return 0


def address(ground: Ground, call: Call, meaning: Meaning, *, may_wait: bool = False) -> Answer | Done:
    """Let the caller bind a socket to a path, connect it to one, or send something there."""
    place = 4 if meaning.name == "sendto" else 1
    at, size = call.args[place], call.args[place + 1] & _WORD
    data = ground.callers.memory.read(call.pid, at, min(size, _LONGEST)) if size > _FAMILY and at else b""
    path = data[_FAMILY:].split(b"\0", 1)[0]
    if int.from_bytes(data[:_FAMILY], "little") != _UNIX or not path:
        return None
    if not may_wait:
        raise LaterError
    if meaning.name == "bind":
        return _bind(ground, call, path)
    number, name = _lend_above(ground, call, ground.callers.open(call, AT_FDCWD, path, 0))
    _by_number(ground, call, number, (place, *_address(number, name)))
    return DONE


def _bind(ground: Ground, call: Call, path: bytes) -> Done:
    fd, name = ground.callers.parent(call, AT_FDCWD, path)
    try:
        if not showing.may(ground, call, (fd, os.fstat(fd)), _WRITE_AND_SEARCH, effective=True):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        number = _lend(ground, call, fd)
        _by_number(
            *(ground, call, number, (1, *_address(number, name))), lambda: _own(ground, call, fd, name)
        )
    finally:
        os.close(fd)
    return DONE


def _address(number: int, name: bytes) -> tuple[bytes, int]:
    """Return the address of what has the name in a directory that the caller has open, and its size."""
    whole = _UNIX.to_bytes(_FAMILY, "little") + b"/proc/self/fd/%d/%s\0" % (number, name)
    return whole, len(whole)


def watch(ground: Ground, call: Call, _meaning: Meaning, *, may_wait: bool = False) -> Answer | Done:
    """Let the caller watch a path."""
    if not may_wait:
        raise LaterError
    callers = ground.callers
    flags = os.O_NOFOLLOW if call.args[2] & _NOT_LINKS else 0
    path = callers.memory.string(call.pid, call.args[1])
    number, name = _lend_above(ground, call, callers.open(call, AT_FDCWD, path, flags))
    _by_number(ground, call, number, (1, b"/proc/self/fd/%d/%s\0" % (number, name), -1))
    return DONE


def _lend_above(ground: Ground, call: Call, fd: int) -> tuple[int, bytes]:
    """Lend the directory of what is open as O_PATH, which is closed; return its number and the name."""
    try:
        place = os.readlink(ground.callers.named(fd))
    finally:
        os.close(fd)
    above, name = _above(ground.callers, place)
    try:
        return _lend(ground, call, above), name
    finally:
        os.close(above)


def _above(callers: Tracees, place: bytes) -> tuple[int, bytes]:
    """Return the directory that has what lies at the place, as O_PATH, and the name there.

    Within the root by no link: the container may have put one on the way since the place was told.
    """
    if place == callers.root:
        return os.dup(callers.top), b"."
    above, _, name = place.rpartition(b"/")
    if not place.startswith(callers.root + b"/"):
        return os.open(above, _DIRECTORY), name
    path = os.fsdecode(inside(above, callers.root))
    return files.open_in_root(callers.top, path, _DIRECTORY, links=False), name


def _lend(ground: Ground, call: Call, directory: int) -> int:
    """Return the number under which the caller now has the directory open that is open as O_PATH."""
    path = ground.callers.named(directory)
    fd = lifted(path, lambda: os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    try:
        return ground.callers.listener.lend(call, fd)
    finally:
        os.close(fd)


def _by_number(
    ground: Ground,
    call: Call,
    number: int,
    told: tuple[int, bytes, int],
    done: Callable[[], None] = lambda: None,
) -> None:
    """Let the caller do its own call with another text at a place of its arguments, then its size.

    What is to be `done` if it succeeds is done before it goes on.
    """
    place, text, size = told

    def act(held: Held) -> int:
        args = list(call.args)
        args[place] = put(held, lambda _at: text)
        if size >= 0:
            args[place + 1] = size
        result = _do(ground, call, held, call.number, tuple(args))
        done()
        return result

    hold(ground.callers.listener, call, _closing(number, act))


def _do(ground: Ground, call: Call, held: Held, number: int, args: tuple[int, ...]) -> int:
    """Let it do a call of those that are answered; it is left to the kernel."""
    ground.prepared[call.pid] = args
    try:
        return held.call(number, *args, may_wait=True)
    finally:
        ground.prepared.pop(call.pid, None)


def _closing(number: int, act: Callable[[Held], int]) -> Callable[[Held], int]:
    def whole(held: Held) -> int:
        try:
            return act(held)
        except OSError as error:
            return -(error.errno or errno.EIO)
        finally:
            held.call(_NUMBERS["close"], number)

    return whole


def _own(ground: Ground, call: Call, directory: int, name: bytes) -> None:
    """Record whose a socket is that was just bound."""
    who = ground.callers.who(call.pid)
    owner = who.user.files, who.group.files
    if owner != NONE[:2]:
        try:
            fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        except OSError:
            return
        try:
            ground.site.records.set(fd, *owner)
        finally:
            os.close(fd)


def peer(ground: Ground, call: Call, _meaning: Meaning) -> Answer | Done:
    """Tell whom the process at the other end of a socket takes itself for."""

    def act(held: Held) -> int:
        args = call.args
        # The filter looks at the whole of a number, the call itself at half of it.
        held.call(call.number, args[0], args[1] | _BEYOND, args[2] | _BEYOND, *args[3:5])
        size = int.from_bytes(ground.callers.memory.read(call.pid, args[4], 4), "little")
        if size >= _CREDENTIALS.size:
            found = ground.callers.memory.read(call.pid, args[3], _CREDENTIALS.size)
            pid, uid, gid = _CREDENTIALS.unpack(found)
            if (uid, gid) == ground.callers.ids:
                who = ground.callers.who(pid)
                told = _CREDENTIALS.pack(pid, who.user.effective, who.group.effective)
                write(call.pid, args[3], told)
        return 0

    hold(ground.callers.listener, call, act)
    return DONE


def attribute(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Answer what is asked of, and set for, a process itself."""
    option = call.args[0] & _WORD
    if option == _DUMPABLE:
        return 0  # who cannot be looked into cannot be answered
    if option == _NO_NEW_PRIVILEGES:
        return int(ground.site.no_new_privs)
    return identity.keep(ground.site, call, meaning)
