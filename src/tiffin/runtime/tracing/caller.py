"""Those who call, where none has a root of its own: what their paths mean within a directory.

Paths are resolved by the kernel as if the directory were the root, by no link of /proc. What leads below
/proc and /dev is of the machine, if it is not a file of the root. The answering process reaches it all by its
own paths: nothing that it finds by a caller's word lies outside the root, but for these.
"""

from __future__ import annotations

import errno
import os
import stat
import threading

from tiffin.linux import files
from tiffin.runtime.emulation.caller import AT_FDCWD, Callers
from tiffin.runtime.emulation.records import Records
from tiffin.runtime.tracing.meanings import inside, is_link_of_root, joined, meaning_of
from tiffin.runtime.tracing.memory import ThreadsMemory
from tiffin.runtime.tracing.names import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.notify import Call, Listener
    from tiffin.runtime.emulation.credentials import Credentials
    from tiffin.runtime.tracing.meanings import Meaning

_EXECUTED = 31
_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_PUBLIC = (b"", b"stat", b"statm", b"status", b"cmdline", b"comm", b"cgroup")
_STOOD_IN = (b"mounts", b"mountinfo", b"mountstats")
_STATUS = 4096
_ENTRY = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OURS = {stat.S_IFREG: 0o600, stat.S_IFDIR: 0o700}


class Tracees(Callers):
    """The callers; `root` is the directory, by the path that the kernel tells of it."""

    proc = b"/proc/"
    proc_folder = "/proc"

    def __init__(self, listener: Listener, root: bytes) -> None:
        super().__init__(listener)
        self.memory = ThreadsMemory()
        self._turn = threading.Lock()
        self.ids = os.geteuid(), os.getegid()
        self.top = os.open(root, _DIRECTORY)
        self._machine = os.open("/proc", _DIRECTORY)
        self.root = os.readlink(self.named(self.top))
        self.own_umask = super().umask(os.getpid())
        self._apart = self.root + b"/proc", self.root + b"/dev"
        self.records = Records(-1, [], root=self.root, proc=self.proc)
        self.names = Names(self.root + b".names")

    def become(self, pid: int, who: Credentials) -> None:
        """Let the process be somebody. Raises OSError where that cannot be kept."""
        with self._turn:
            super().become(pid, who)

    def program(self, pid: int) -> bytes:
        """Return the path of the program that the process runs, within the root; empty if it is not known."""
        with open(b"/proc/%d/auxv" % pid, "rb", buffering=0) as file:
            data = file.read(_STATUS)
        for at in range(0, len(data) - 15, 16):
            if int.from_bytes(data[at : at + 8], "little") == _EXECUTED:
                address = int.from_bytes(data[at + 8 : at + 16], "little")
                return self.names.program(self.memory.string(pid, address))
        return b""

    def text(self, call: Call, directory: int, path: bytes) -> bytes:
        """Return the caller's path as an absolute one within the root. Raises OSError."""
        if path.startswith(b"/"):
            return path
        if not path:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return joined(self.place(call.pid, directory), path)

    def place(self, pid: int, directory: int) -> bytes:
        """Return where within the root the directory lies that a process has open, or is in."""
        if directory == AT_FDCWD:
            host = os.readlink(b"/proc/%d/cwd" % pid)
        else:
            try:
                host = os.readlink(b"/proc/%d/fd/%d" % (pid, directory))
            except FileNotFoundError:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None
        if host.startswith((self.root, b"/proc", b"/dev/")):
            return inside(host, self.root)
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))

    def where(self, call: Call, directory: int, path: bytes, *, follow: bool = True) -> bytes:
        """Return the path by which to look at what the caller's path means: only to look. Raises OSError."""
        if not path:
            return b"/proc/%d/fd/%d" % (call.pid, directory)
        fd = self.open(call, directory, path, 0 if follow else os.O_NOFOLLOW)
        try:
            return os.readlink(self.named(fd))
        finally:
            os.close(fd)

    def open(self, call: Call, directory: int, path: bytes, flags: int) -> int:
        """Return what the path means as O_PATH, found as the caller would.

        Raises OSError; ProcessLookupError if the caller has gone meanwhile.
        """
        return self.find(call, self.text(call, directory, path), flags)

    def find(self, call: Call, text: bytes, flags: int = 0, *, again: bool = True) -> int:
        """Return what an absolute path means, as O_PATH."""
        meaning = meaning_of(text)
        if meaning is not None and not (flags & os.O_NOFOLLOW and is_link_of_root(text)):
            return self._find_apart(call, meaning, flags)
        fd = files.open_here(self.top, text, os.O_PATH | flags, inside=True)
        try:
            place = os.readlink(self.named(fd))
        except OSError:  # longer than paths may be: nothing of the machine
            return fd
        if again and place.startswith(self._apart) and not flags & os.O_NOFOLLOW:
            found = inside(place, self.root)
            if meaning_of(found) is not None:
                os.close(fd)
                return self.find(call, found, flags, again=False)
        return fd

    def parent(self, call: Call, directory: int, path: bytes) -> tuple[int, bytes]:
        """Return the directory of what the path names, open as O_PATH, and the name, with a final slash."""
        text = self.text(call, directory, path)
        whole = text.rstrip(b"/")
        above, _, name = whole.rpartition(b"/")
        fd = self.find(call, above or b"/", os.O_DIRECTORY)
        return fd, (name + text[len(whole) :][:1] if name else b".")

    def opened(self, call: Call, number: int) -> int:
        """Return what the caller has open under this number, as O_PATH."""
        if number < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        try:
            return self._base(call, b"/proc/%d/fd/%d" % (call.pid, number))
        except FileNotFoundError:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF)) from None

    def link(self, call: Call, meaning: Meaning) -> bytes:
        """Return the text of a link that the kernel follows by magic, within the root."""
        pid = self.process(call, meaning)
        if meaning.link == b"exe":
            return self.program(pid)
        if meaning.link == b"root":
            return b"/"
        return inside(os.readlink(b"/proc/%d/%s" % (pid, meaning.link)), self.root)

    def process(self, call: Call, meaning: Meaning) -> int:
        """Return the number of the process that is meant. Raises PermissionError for secrets of this one."""
        pid = meaning.process or group_of(call.pid)
        secret = meaning.kind == "link" or meaning.rest not in _PUBLIC
        if secret and group_of(pid) == os.getpid():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return pid

    def settle(self, fd: int, mode: int, name: bytes = b"") -> None:
        """See to it that what was just made has this mode, whatever our own umask."""
        needed = _OURS[stat.S_IFDIR] if name else _OURS[stat.S_IFREG]
        if not mode & self.own_umask and mode & needed == needed:
            return
        made = os.open(name.rstrip(b"/"), _ENTRY, dir_fd=fd) if name else os.dup(fd)
        try:
            self.change_mode(made, mode | os.fstat(made).st_mode & stat.S_ISGID)
        finally:
            os.close(made)

    def change_mode(self, fd: int, mode: int) -> None:
        """Give what is open as O_PATH this mode: what would shut ourselves out is recorded."""
        path = self.named(fd)
        kind = stat.S_IFMT(os.fstat(fd).st_mode)
        ours = mode | _OURS.get(kind, 0)
        os.chmod(path, ours)
        if kind in _OURS:
            self.records.set_mode(path, kind | mode, hidden=ours != mode)

    def _find_apart(self, call: Call, meaning: Meaning, flags: int) -> int:
        if meaning.kind == "device":
            return os.open(b"/dev/" + meaning.rest, os.O_PATH | os.O_CLOEXEC | flags)
        if meaning.kind == "machine":
            return files.open_here(self._machine, meaning.rest, os.O_PATH | flags, inside=True)
        pid = self.process(call, meaning)
        if meaning.kind == "process":
            if meaning.rest in _STOOD_IN:
                return files.open_here(self.top, b"/proc/self/" + meaning.rest, os.O_PATH, inside=True)
            below = b"%d/%s" % (pid, meaning.rest)
            return files.open_here(self._machine, below, os.O_PATH | flags, inside=True)
        path = b"/proc/%d/%s" % (pid, meaning.link)
        if not meaning.rest:
            if flags & os.O_NOFOLLOW:
                return self._base(call, path, os.O_NOFOLLOW)
            if meaning.link.startswith(b"fd/"):
                return self._base(call, path)
        target = self.link(call, meaning)
        if not target.startswith(b"/"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return self.find(call, target + (b"/" + meaning.rest if meaning.rest else b""), flags, again=False)

    def _base(self, call: Call, path: bytes, flags: int = 0) -> int:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
        if not self.listener.is_waiting(call):
            os.close(fd)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
        return fd


def group_of(tid: int) -> int:
    """Return the process that the thread is of."""
    fd = os.open(b"/proc/%d/status" % tid, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = os.read(fd, _STATUS).partition(b"\nTgid:\t")[2]
    finally:
        os.close(fd)
    return int(found.partition(b"\n")[0])
