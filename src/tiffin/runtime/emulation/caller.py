"""The process that waits for an answer: its memory, its ids, and what its paths mean.

Where the kernel has one user only, a process is marked with who it is by a limit that nothing heeds. Children
inherit it, a new program keeps it, and we may set it from outside: so nobody has to follow every fork. What
programs such as sudo and PAM do with limits leaves this one as it is.

The answering process has the container's root as its own, and the /proc of its own side as its working
directory: `PID/cwd/…` leads where the caller's path leads, and no link leads out.
"""

from __future__ import annotations

import errno
import os
import resource

from tiffin.linux import files
from tiffin.linux.notify import Memory
from tiffin.runtime.emulation.calls import MARK
from tiffin.runtime.emulation.credentials import ROOT, Credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call, Listener

AT_FDCWD = -100
_TAG = 1 << 40
_MOST_IDENTITIES = 1 << 16
_FIRST_LINES = 200
_OPENED = {b"/dev/stdin": 0, b"/dev/stdout": 1, b"/dev/stderr": 2}
_OPENED_BELOW = (b"/proc/self/fd/", b"/dev/fd/")


def unmarkable() -> str:
    """Return why processes cannot be marked here; empty if they can."""
    most = resource.getrlimit(MARK)[1]
    if most == resource.RLIM_INFINITY or most >= _TAG + _MOST_IDENTITIES:
        return ""
    return "the hard limit of real-time programs (RLIMIT_RTTIME) is not unlimited"


class Callers:
    """Those who call: who they are."""

    proc = b""
    """How the paths of /proc begin where this process is."""
    proc_folder = "."
    ids = (0, 0)
    """The user and group that all files belong to, as this process knows them."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.memory = Memory()
        self.changed_root = False
        """Whether any process has changed its root: then the path of each is looked at from there."""
        self._known = [ROOT]
        self._numbers = {ROOT: 0}

    def who(self, pid: int) -> Credentials:
        """Return who the process is; root if it was never told."""
        try:
            number = resource.prlimit(pid, MARK)[0] - _TAG
        except OSError:
            return ROOT
        return self._known[number] if 0 <= number < len(self._known) else ROOT

    def become(self, pid: int, who: Credentials) -> None:
        """Let the process be somebody. Raises OSError where that cannot be kept."""
        number = self._numbers.get(who)
        if number is None:
            if len(self._known) >= _MOST_IDENTITIES:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
            number = self._numbers[who] = len(self._known)
            self._known.append(who)
        resource.prlimit(pid, MARK, (_TAG + number, resource.prlimit(pid, MARK)[1]))

    def where(self, call: Call, directory: int, path: bytes, *, follow: bool = True) -> bytes:
        """Return the path by which to look at what the caller's path means: only to look. Raises OSError."""
        if self.changed_root and path and os.readlink(b"%d/root" % call.pid) != b"/":
            fd = self.open(call, directory, path, 0 if follow else os.O_NOFOLLOW)
            try:
                return os.readlink(self.named(fd))
            finally:
                os.close(fd)
        if path.startswith(b"/"):
            return path
        if directory == AT_FDCWD:
            return b"%d/cwd/%s" % (call.pid, path)
        return b"%d/fd/%d/%s" % (call.pid, directory, path) if path else b"%d/fd/%d" % (call.pid, directory)

    def open(self, call: Call, directory: int, path: bytes, flags: int) -> int:
        """Return what the path means as O_PATH, found as the caller would, but by no link of /proc.

        Raises OSError; ProcessLookupError if the caller has gone meanwhile.
        """
        number = _opened(path)
        if number is not None and not flags & os.O_NOFOLLOW:
            return self.opened(call, number)
        if path.startswith(b"/"):
            if not self.changed_root:
                return files.open_here(AT_FDCWD, path, os.O_PATH | flags)
            base = self._base(call, b"%d/root" % call.pid)
        else:
            kind = b"cwd" if directory == AT_FDCWD else b"fd/%d" % directory
            base = self._base(call, b"%d/%s" % (call.pid, kind))
        try:
            return files.open_here(base, path, os.O_PATH | flags, inside=path.startswith(b"/"))
        finally:
            os.close(base)

    def opened(self, call: Call, number: int) -> int:
        """Return what the caller has open under this number, as O_PATH."""
        if number < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._base(call, b"%d/fd/%d" % (call.pid, number))

    def tell(self, call: Call, address: int, data: bytes | bytearray) -> None:
        """Put the bytes where the caller wants them. Raises OSError."""
        self.listener.write(call, address, data, proc=self.proc_folder)

    def named(self, fd: int) -> bytes:
        """Return the path by which this process finds what it has open."""
        return self.proc + b"self/fd/%d" % fd

    def umask(self, pid: int) -> int:
        """Return the mode bits that files of the process do not get."""
        fd = os.open(self.proc + b"%d/status" % pid, os.O_RDONLY | os.O_CLOEXEC)
        try:
            begin = os.read(fd, _FIRST_LINES)
        finally:
            os.close(fd)
        _, found, rest = begin.partition(b"\nUmask:")
        return int(rest.split(b"\n", 1)[0], 8) if found else 0o022

    def settle(self, fd: int, mode: int, name: bytes = b"") -> None:
        """See to it that what was just made has this mode: what is open, or has the name in what is open."""

    def _base(self, call: Call, path: bytes) -> int:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not self.listener.is_waiting(call):
            os.close(fd)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return fd


def _opened(path: bytes) -> int | None:
    """Return the number of the descriptor that the path names, None for a path of another kind."""
    if path in _OPENED:
        return _OPENED[path]
    for prefix in _OPENED_BELOW:
        if path.startswith(prefix) and path[len(prefix) :].isdigit():
            return int(path[len(prefix) :])
    return None
