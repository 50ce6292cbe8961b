"""Answers to the calls that read and write extended attributes.

Our records are not among them. File capabilities, which only root of the machine may set, are recorded.
"""

from __future__ import annotations

import errno
import os

from tiffin.linux.ownerrecord import CAPABILITY
from tiffin.runtime.emulation import owning
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.site import SETFCAP, descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Ground

_PLAIN = ("setxattr", "getxattr", "listxattr", "removexattr")
_OURS = b"user.tiffin."
_CAPABILITY = b"security.capability"
_RECORDED = CAPABILITY.encode()
_LARGEST = 1 << 16
_PAGE = 4096
_WORD = 0xFFFFFFFF


def answer(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Do what is asked for."""
    callers, name = ground.callers, meaning.name
    what = name[1:] if name[1:] in _PLAIN else name
    if name.startswith("f"):
        fd = callers.opened(call, descriptor(call.args[0]))
    else:
        flags = 0 if what == name else os.O_NOFOLLOW
        fd = callers.open(call, AT_FDCWD, callers.memory.string(call.pid, call.args[0]), flags)
    try:
        path = callers.named(fd)
        if what == "listxattr":
            return _give(ground, call, call.args[1:3], _listed(path))
        attribute = callers.memory.string(call.pid, call.args[1])
        if what == "setxattr":
            return _set(ground, call, meaning, path, attribute)
        if attribute.startswith(_OURS):
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        attribute = _RECORDED if attribute == _CAPABILITY else attribute
        if what == "getxattr":
            return _give(ground, call, call.args[2:4], os.getxattr(path, attribute))
        os.removexattr(path, attribute)
    finally:
        os.close(fd)
    return 0


def _listed(path: bytes) -> bytes:
    names = [os.fsencode(name) for name in os.listxattr(path)]
    shown = [name for name in names if not name.startswith(_OURS)]
    shown += [_CAPABILITY] if _RECORDED in names else []
    return b"".join(name + b"\0" for name in shown)


def _set(ground: Ground, call: Call, meaning: Meaning, path: bytes, attribute: bytes) -> Answer:
    args, callers = call.args, ground.callers
    if attribute == _CAPABILITY:
        if not ground.site.may(callers.who(call.pid), SETFCAP):
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        attribute = _RECORDED
    else:
        done = owning.setxattr(ground.site, call, meaning)
        if done is not None:
            return done
    size = args[3]
    if size > _LARGEST:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    value = b""
    while len(value) < size:
        value += callers.memory.read(call.pid, args[2] + len(value), min(_PAGE, size - len(value)))
    os.setxattr(path, attribute, value, args[4] & _WORD)
    return 0


def _give(ground: Ground, call: Call, room: tuple[int, ...], data: bytes) -> int:
    address, size = room
    if 0 < size < len(data):
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    if size and data:
        ground.callers.tell(call, address, data)
    return len(data)
