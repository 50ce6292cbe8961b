"""Answers to the calls that make files: what somebody else than root makes belongs to that one.

What root makes is root's already, unless the directory hands its group on; and what exists is opened by the
kernel. Everything else is made here, recorded, and handed over.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux.record import NamedTuple
from tiffin.runtime.emulation.caller import AT_FDCWD
from tiffin.runtime.emulation.calls import O_CREAT, O_TMPFILE
from tiffin.runtime.emulation.credentials import may_access
from tiffin.runtime.emulation.records import NONE
from tiffin.runtime.emulation.site import MKNOD, Gift, descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer, Site

_NEW = os.O_CREAT | os.O_WRONLY | os.O_TRUNC
_HOW_SIZE = 24
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
_MODE = 0o7777
_WORD = 0xFFFFFFFF
_WRITE_AND_SEARCH = 3
_ACCESS = (4, 2, 6, 6)
_NO_NAME = (b"", b".", b"..")
# What these are without the directory to begin from, and which argument that is.
_FROM_DIRECTORY = {
    "mkdirat": ("mkdir", 0),
    "mknodat": ("mknod", 0),
    "openat": ("open", 0),
    "openat2": ("openat2", 0),
    "symlinkat": ("symlink", 1),
}


class _Wish(NamedTuple):
    """What is to be made, and where; `mode` has the type of a node too."""

    kind: str
    directory: int
    path: bytes
    mode: int = 0o777
    flags: int = 0
    device: int = 0
    text: bytes = b""

    @property
    def is_device(self) -> bool:
        """Whether it is a device node, which the kernel does not let us make."""
        return self.kind == "mknod" and stat.S_IFMT(self.mode) in _DEVICES and self.device != 0


class _RefusedError(Exception):
    """Who wants to make it may not write in the directory."""


class _Spot(NamedTuple):
    """Where it is made: the directory, open, the name, the mode after the umask, and whose it will be."""

    fd: int
    name: bytes
    mode: int
    owner: tuple[int, int]


def make(site: Site, call: Call, meaning: Meaning) -> Answer:
    """Make a directory, a link or a node, or open a file that may have to be made."""
    wish = None
    try:
        wish = _wish(site, call, meaning)
        spot = _spot(site, call, wish) if wish is not None else None
    except OSError:
        return None  # the kernel finds the same, and tells it
    except _RefusedError:
        assert wish is not None
        return _open_existing(site, call, wish, denied=True)
    if wish is None or spot is None:
        return None
    try:
        match wish.kind:
            case "mkdir":
                os.mkdir(spot.name, spot.mode, dir_fd=spot.fd)
            case "symlink":
                os.symlink(wish.text, spot.name, dir_fd=spot.fd)
            case "mknod" if wish.is_device:
                return _stand_in(site, spot, wish)
            case "mknod":
                os.mknod(spot.name, stat.S_IFMT(wish.mode) | spot.mode, dir_fd=spot.fd)
            case _:
                return _open(site, call, spot, wish)
        if wish.kind != "symlink":
            site.callers.settle(spot.fd, spot.mode, spot.name)
        fd = os.open(spot.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spot.fd)
        try:
            site.records.set(fd, *spot.owner)
        except OSError:
            (os.rmdir if wish.kind == "mkdir" else os.unlink)(spot.name, dir_fd=spot.fd)
            raise
        finally:
            os.close(fd)
    finally:
        os.close(spot.fd)
    return 0


def check_existing(site: Site, call: Call, meaning: Meaning) -> None:
    """Raise PermissionError if the caller may not open what is there, by a call that makes files."""
    if site.callers.who(call.pid).user.files:
        wish = _wish(site, call, meaning)
        if wish is not None:
            _open_existing(site, call, wish)


def _open_existing(site: Site, call: Call, wish: _Wish, *, denied: bool = False) -> Answer:
    """Leave what is there already to the kernel, if the caller may open it; if `denied`, make nothing new."""
    who = site.callers.who(call.pid)
    follow = wish.kind == "open"
    try:
        path = site.callers.where(call, wish.directory, wish.path, follow=follow)
        mode = os.stat(path, follow_symlinks=follow).st_mode
        owner = (site.records.at(path, follow=follow) or NONE)[:2]
    except FileNotFoundError:
        if not denied:
            return None
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from None
    except OSError:
        return None
    if wish.kind != "open" or wish.flags & os.O_EXCL or stat.S_ISCHR(mode):
        return None
    wanted = _ACCESS[wish.flags & os.O_ACCMODE] | (2 if wish.flags & os.O_TRUNC else 0)
    if not may_access((who.user.files, who.group.files), who.groups, owner, mode, wanted):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return None


def _wish(site: Site, call: Call, meaning: Meaning) -> _Wish | None:
    """Read what is wanted; None if nothing can be made by it. Raises OSError."""
    memory, pid, args = site.callers.memory, call.pid, list(call.args)
    kind, directory = meaning.name, AT_FDCWD
    if kind in _FROM_DIRECTORY:
        kind, place = _FROM_DIRECTORY[kind]
        directory = descriptor(args.pop(place))
    if kind == "symlink":
        return _Wish(kind, directory, memory.string(pid, args[1]), text=memory.string(pid, args[0]))
    path = memory.string(pid, args[0])
    match kind:
        case "mkdir":
            return _Wish(kind, directory, path.rstrip(b"/"), args[1])
        case "mknod":
            return _Wish(kind, directory, path, args[1], device=args[2] & _WORD)
        case "creat":
            return _Wish("open", directory, path, args[1], _NEW)
        case "open":
            return _Wish(kind, directory, path, args[2], args[1])
        case _:
            return _wish_of_structure(site, call, directory, path)


def _wish_of_structure(site: Site, call: Call, directory: int, path: bytes) -> _Wish | None:
    """Read what openat2 is asked for."""
    how = site.callers.memory.read(call.pid, call.args[2], _HOW_SIZE)
    flags, mode, resolve = (int.from_bytes(how[at : at + 8], "little") for at in (0, 8, 16))
    if resolve or not flags & (O_CREAT | O_TMPFILE):
        return None  # of those that also say how far the path may lead, no new file is somebody else's
    return _Wish("open", directory, path, mode, flags)


def _spot(site: Site, call: Call, wish: _Wish) -> _Spot | None:
    """Find where it is to be made; None if the kernel makes it as it has to be. Raises OSError."""
    callers = site.callers
    who = callers.who(call.pid)
    parent, name = _split(wish)
    if name in _NO_NAME and not wish.flags & O_TMPFILE:
        return None
    place = callers.where(call, wish.directory, parent)
    directory = os.stat(place).st_mode
    group = who.group.files
    if who.user.files != 0 or directory & stat.S_ISGID:
        found = (site.records.at(place, follow=True) or NONE)[:2]
        if not may_access((who.user.files, group), who.groups, found, directory, _WRITE_AND_SEARCH):
            raise _RefusedError
        group = found[1] if directory & stat.S_ISGID else group
    owner = who.user.files, group
    if (owner == (0, 0) and not wish.is_device) or wish.flags & os.O_PATH:
        return None
    if wish.is_device and not site.may(who, MKNOD):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    mode = wish.mode & _MODE & ~callers.umask(call.pid)
    fd = callers.open(call, wish.directory, parent, os.O_DIRECTORY)
    if not callers.listener.is_waiting(call):
        os.close(fd)
        return None
    return _Spot(fd, name, mode, owner)


def _split(wish: _Wish) -> tuple[bytes, bytes]:
    if wish.flags & O_TMPFILE:
        return wish.path, b""
    parent, slash, name = wish.path.rpartition(b"/")
    return (parent or slash) or b".", name


def _open(site: Site, call: Call, spot: _Spot, wish: _Wish) -> Answer:
    """Open a new file; one that exists, and any error, are the kernel's."""
    flags = (wish.flags & _WORD) | os.O_CLOEXEC
    try:
        if flags & O_TMPFILE:
            fd = os.open(site.callers.named(spot.fd), flags, spot.mode)
        else:
            fd = os.open(spot.name, flags | os.O_EXCL | os.O_NOFOLLOW, spot.mode, dir_fd=spot.fd)
    except FileExistsError:
        return _open_existing(site, call, wish)
    except OSError:
        return None
    cloexec = bool(wish.flags & os.O_CLOEXEC)
    gift = Gift(fd, cloexec, os.dup(spot.fd), spot.name) if spot.name else Gift(fd, cloexec)
    try:
        site.callers.settle(fd, spot.mode)
        site.records.set_new(fd, spot.owner)
    except BaseException:
        gift.take_back()
        gift.close()
        raise
    return gift


def _stand_in(site: Site, spot: _Spot, wish: _Wish) -> int:
    """Make an empty file that stands for a device node."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(spot.name, flags, 0o600, dir_fd=spot.fd)
    try:
        os.fchmod(fd, spot.mode)
        site.records.set_node(fd, stat.S_IFMT(wish.mode) | spot.mode, wish.device, spot.owner)
    except OSError as error:
        os.unlink(spot.name, dir_fd=spot.fd)
        if error.errno != errno.EOPNOTSUPP:  # it is of no layer, where nothing can be recorded
            raise
    finally:
        os.close(fd)
    return 0
