"""Answers to the calls that change owners, and to those that set attributes."""

from __future__ import annotations

import errno
import os

from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.credentials import NOBODY, may_give
from tiffin.runtime.emulation.site import CHOWN, descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer, Site

_NOFOLLOW = 0x100
_EMPTY_PATH = 0x1000
_SHORT_NOBODY = 0xFFFF
_PAGE = 4096
_CAPABILITY = b"security.capability"
_OURS = (b"user.tiffin.", b"user.overlay.")
_HIGHER = (b"security.", b"trusted.")


def chown(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Change the owners of a file: the kernel does what belongs to it, and the owners are recorded."""
    args = call.args
    if meaning.name == "fchownat":
        directory, path_at, ids, flags = descriptor(args[0]), args[1], args[2:4], args[4]
    else:
        directory, path_at, ids = AT_FDCWD, args[0], args[1:3]
        flags = _NOFOLLOW if meaning.name == "lchown" else 0
    try:
        if meaning.name == "fchown":
            fd = site.callers.opened(call, descriptor(args[0]))
        else:
            fd = _find(site, call, directory, path_at, flags)
    except OSError:
        return None  # the kernel finds the same, and tells it
    try:
        return give(site, call, fd, *(_id(each, narrow=meaning.narrow) for each in ids))
    finally:
        os.close(fd)


def _find(site: Site, call: Call, directory: int, path_at: int, flags: int) -> int:
    path = site.callers.memory.string(call.pid, path_at)
    if not path and flags & _EMPTY_PATH:
        if directory == AT_FDCWD:
            return site.callers.open(call, directory, b".", 0)
        return site.callers.opened(call, directory)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return site.callers.open(call, directory, path, os.O_NOFOLLOW if flags & _NOFOLLOW else 0)


def _id(value: int, *, narrow: bool) -> int:
    if narrow:
        return NOBODY if value & _SHORT_NOBODY == _SHORT_NOBODY else value & _SHORT_NOBODY
    return value & NOBODY


def give(site: Site, call: Call, fd: int, uid: int, gid: int) -> int:
    """Give what is open as O_PATH to these owners; NOBODY leaves one as it is."""
    who = site.callers.who(call.pid)
    owner = site.records.of(fd)
    if not site.may(who, CHOWN) and not may_give(who, owner[:2], (uid, gid)):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    if not site.callers.listener.is_waiting(call):
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    # To the only owner that there is: the layer gets its copy, set-id bits and capabilities go, the time of
    # the change is now, and what cannot be changed, such as a read-only mount, is an error.
    ids = site.callers.ids
    os.chown(site.callers.named(fd), -1 if uid == NOBODY else ids[0], -1 if gid == NOBODY else ids[1])
    new = owner.uid if uid == NOBODY else uid, owner.gid if gid == NOBODY else gid
    if new != owner[:2]:
        site.records.set(fd, *new)
    return 0


def setxattr(site: Site, call: Call, _meaning: Meaning) -> Answer:
    """Let attributes that only root of the machine may set seem set: no layer has them, here or in Docker.

    Capabilities of files are the kernel's matter, which keeps them; the records are ours.
    """
    try:
        name = site.callers.memory.string(call.pid, call.args[1])
    except OSError:
        return None
    if name.startswith(_OURS):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    if name.startswith(_HIGHER) and name != _CAPABILITY:
        return 0
    return None


def listxattr(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Leave our records out of the list: programs that copy attributes would copy owners by them."""
    address, room = call.args[1], call.args[2]
    follow = meaning.name != "llistxattr"
    try:
        if meaning.name == "flistxattr":
            where = site.callers.where(call, descriptor(call.args[0]), b"")
        else:
            path = site.callers.memory.string(call.pid, call.args[0])
            where = site.callers.where(call, AT_FDCWD, path, follow=follow)
        names = [os.fsencode(name) + b"\0" for name in os.listxattr(where, follow_symlinks=follow)]
        shown = b"".join(name for name in names if not name.startswith(_OURS))
        if len(shown) == sum(map(len, names)) or len(shown) > _PAGE:
            return None
        if room >= len(shown) > 0:
            site.callers.tell(call, address, shown)
    except OSError:
        return None  # the kernel finds the same, and tells it
    if 0 < room < len(shown):
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    return len(shown)


def chroot(site: Site, _call: Call, _meaning: Meaning) -> Answer:
    """Note that paths mean different things to different processes from now on."""
    site.callers.changed_root = True
    return None
