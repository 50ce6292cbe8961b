"""Answers to the calls that read and write extended attributes: our records are not among them."""

from __future__ import annotations

import errno
import os

from tiffin.runtime.emulation import owning
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.lifting import lifted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.tracing.site import Ground

_OURS = b"user.tiffin."
_LARGEST = 1 << 16
_PAGE = 4096
_WORD = 0xFFFFFFFF


def answer(ground: Ground, call: Call, meaning: Meaning) -> Answer:
    """Do what is asked for."""
    name = meaning.name
    if name in ("setxattr", "lsetxattr", "fsetxattr"):
        done = owning.setxattr(ground.site, call, meaning)
        if done is not None or name == "fsetxattr":
            return done
    if name == "flistxattr":
        return owning.listxattr(ground.site, call, meaning)
    callers = ground.callers
    path = callers.memory.string(call.pid, call.args[0])
    fd = callers.open(
        call, AT_FDCWD, path, os.O_NOFOLLOW if name.startswith("l") and name[1:] in _OF_LINKS else 0
    )
    try:
        return _do(ground, call, name.removeprefix("l") if name[1:] in _OF_LINKS else name, callers.named(fd))
    finally:
        os.close(fd)


_OF_LINKS = ("setxattr", "getxattr", "listxattr", "removexattr")


def _do(ground: Ground, call: Call, name: str, path: bytes) -> Answer:
    args, callers = call.args, ground.callers
    if name == "listxattr":
        names = [os.fsencode(each) + b"\0" for each in os.listxattr(path)]
        return _give(ground, call, (args[1], args[2]), b"".join(n for n in names if not n.startswith(_OURS)))
    attribute = callers.memory.string(call.pid, args[1])
    if attribute.startswith(_OURS):
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
    if name == "getxattr":
        return _give(ground, call, (args[2], args[3]), lifted(path, lambda: os.getxattr(path, attribute)))
    if name == "removexattr":
        lifted(path, lambda: os.removexattr(path, attribute))
        return 0
    size = args[3]
    if size > _LARGEST:
        raise OSError(errno.E2BIG, os.strerror(errno.E2BIG))
    value = b""
    while len(value) < size:
        value += callers.memory.read(call.pid, args[2] + len(value), min(_PAGE, size - len(value)))
    lifted(path, lambda: os.setxattr(path, attribute, value, args[4] & _WORD))
    return 0


def _give(ground: Ground, call: Call, room: tuple[int, int], data: bytes) -> int:
    address, size = room
    if 0 < size < len(data):
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    if size and data:
        ground.callers.tell(call, address, data)
    return len(data)
