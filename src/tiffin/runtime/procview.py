"""What /proc and terminals are to a process where neither can be mounted: opened for it by its launcher.

A filter lets every opening and every reading of a link wait for a thread of the launcher, which answers what
is meant for /proc and for terminals and leaves all else to the kernel. Files are handed in by descriptor,
and opened with the rights of who asks. Nothing but files is: from a directory of the real /proc, `..` would
lead out of the root. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import threading

from tiffin.linux import bpf, files, notify, prctl, terminal
from tiffin.linux.libc import syscall
from tiffin.linux.remove import remove_at
from tiffin.linux.sysnum import numbers
from tiffin.runtime.orphans import below
from tiffin.runtime.procpaths import Meaning, meaning_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.linux.notify import Call

__all__ = ["missing", "program", "serve"]

_OPENS = {"open": 1, "openat": 2}
_LINKS = ("readlink", "readlinkat")
_TIOCGPTN = 0x80045430
_TERMINALS = 136
_KEPT = 64
_PLACE = ".tiffin"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_READ_ONLY = os.O_ACCMODE | os.O_TRUNC
_NOT_ANSWERED = {"machine": _READ_ONLY, "processes": _READ_ONLY | os.O_PATH}


def program(machine: str) -> bytes:
    """Return the filter: what may create a file is not heard, nor any call of another architecture."""
    known = numbers(machine)
    parts = [
        bpf.instruction(bpf.LOAD_WORD, bpf.ARCH_AT),
        bpf.instruction(bpf.JUMP_EQUAL, bpf.ARCHITECTURES[machine], 1, 0),
        bpf.instruction(bpf.RETURN, bpf.ALLOW),
        bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT),
    ]
    for name in filter(known.__contains__, _LINKS):
        parts.append(bpf.instruction(bpf.JUMP_EQUAL, known[name], 0, 1))
        parts.append(bpf.instruction(bpf.RETURN, bpf.NOTIFY))
    for name, flags in _OPENS.items():
        if name in known:
            parts.append(bpf.instruction(bpf.JUMP_EQUAL, known[name], 0, 4))
            parts.append(bpf.instruction(bpf.LOAD_WORD, bpf.ARGS_AT + 8 * flags))
            parts.append(bpf.instruction(bpf.JUMP_BITS, os.O_CREAT, 0, 1))
            parts.append(bpf.instruction(bpf.RETURN, bpf.ALLOW))
            parts.append(bpf.instruction(bpf.RETURN, bpf.NOTIFY))
    parts.append(bpf.instruction(bpf.RETURN, bpf.ALLOW))
    return b"".join(parts)


def serve(socket: int, root: str) -> None:
    """Answer, in a thread, the calls of the filter that comes by the socket, to their end."""

    def run() -> None:
        try:
            fd = terminal.receive_fd(socket)
        finally:
            os.close(socket)
        if fd is not None:
            try:
                with contextlib.closing(_View(notify.Listener(fd), root)) as view:
                    view.run()
            finally:
                os.close(fd)  # so that calls fail from here on: whoever made one would wait for ever

    threading.Thread(target=run, name="proc", daemon=True).start()


def missing() -> str:
    """Return why nobody could answer here, empty if somebody can: found by trying, in a child."""
    return notify.missing(notify.Memory("/proc"))


class _View:
    def __init__(self, listener: notify.Listener, root: str) -> None:
        self._listener = listener
        self._root = os.path.realpath(root)
        self._top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._memory = notify.Memory("/proc")
        self._names = {number: name for name, number in numbers(os.uname().machine).items()}
        self._ids = _Ids()
        self._terminals: set[int] = set()
        self._listings: list[str] = []

    def run(self) -> None:
        while (call := self._listener.receive()) is not None:
            try:
                self._answer(call)
            except OSError as error:
                self._listener.fail(call, error.errno or errno.EIO)
            except Exception:  # noqa: BLE001 # one call that nobody understands must not be the last
                self._listener.proceed(call)

    def close(self) -> None:
        os.close(self._top)

    def _answer(self, call: Call) -> None:
        name = self._names[call.number]
        first = 1 if name.endswith("at") else 0
        try:
            path = self._read(call, call.args[first])
        except OSError:  # of a process that we may not look into, or no address: the kernel knows
            self._listener.proceed(call)
            return
        found = meaning_of(path) if path.startswith((b"/proc", b"/dev/")) else None
        its_own_link = name in _LINKS and path.startswith(b"/dev/")
        if found is None or its_own_link or not self._may(call, found):
            self._listener.proceed(call)
        elif name in _LINKS:
            self._read_link(call, found, *call.args[first + 1 : first + 3])
        else:
            self._open(call, found, call.args[first + 1] & 0xFFFFFFFF)

    def _read(self, call: Call, address: int) -> bytes:
        try:
            return self._memory.string(call.pid, address)
        except PermissionError:
            self._ids.become(call.pid)
        return self._memory.string(call.pid, address)

    def _may(self, call: Call, found: Meaning) -> bool:
        """Whether it is about the caller itself, or the machine; of the others only what is no secret."""
        if found.process in (0, call.pid) or os.path.exists(f"/proc/{call.pid}/task/{found.process}"):
            return True
        return found.public and self._is_ours(found.process)

    def _host(self, call: Call, found: Meaning) -> str:
        if found.kind == "machine":
            return f"/proc/{found.name}"
        return f"/proc/{found.process or call.pid}/{found.name}"

    def _read_link(self, call: Call, found: Meaning, buffer: int, size: int) -> None:
        if found.kind != "link":
            self._listener.proceed(call)
            return
        self._ids.become(call.pid)
        text = os.fsencode(self._inside(os.readlink(self._host(call, found))))[:size]
        self._listener.write(call, buffer, text)
        self._listener.result(call, len(text))

    def _inside(self, text: str) -> str:
        """The text of a link as it is within the root."""
        return text[len(self._root) :] or "/" if f"{text}/".startswith(f"{self._root}/") else text

    def _open(self, call: Call, found: Meaning, flags: int) -> None:
        if flags & _NOT_ANSWERED.get(found.kind, 0):
            self._listener.proceed(call)
            return
        if found.name == "stat" and found.kind == "file" and not found.process:
            os.close(self._list_processes())  # ps looks for its own directory before it lists all
        self._ids.become(call.pid)
        wanted = flags & ~os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
        if found.kind == "listing":
            self._ids.become(os.getpid())
            fd = self._list(self._host(call, found))
        elif found.kind == "processes":
            fd = self._list_processes()
        elif found.kind == "terminals":
            fd = os.open("/dev/ptmx", wanted)
            self._know(fd)
        elif found.kind == "terminal":
            if found.process not in self._terminals:
                self._listener.proceed(call)
                return
            fd = os.open(f"/dev/pts/{found.process}", wanted)
        else:
            fd = os.open(self._host(call, found), wanted)
        try:
            self._listener.give(call, fd, cloexec=bool(flags & os.O_CLOEXEC))
        finally:
            os.close(fd)

    def _know(self, main: int) -> None:
        """Let the other end of the terminal be opened, and be seen by those who look before."""
        number = int.from_bytes(fcntl.ioctl(main, _TIOCGPTN, bytes(4)), "little")
        self._terminals.add(number)
        try:
            place = self._enter("dev/pts")
        except OSError:
            return  # the container has another /dev
        try:
            os.mknod(str(number), stat.S_IFCHR | 0o620, os.makedev(_TERMINALS, number), dir_fd=place)
        except OSError:
            return  # it is there
        finally:
            os.close(place)

    def _list(self, host: str) -> int:
        """Make a directory in the root with what is in one of /proc, and return it, open."""
        place = self._enter("proc", _PLACE)
        try:
            made = os.urandom(6).hex()
            os.mkdir(made, 0o755, dir_fd=place)
            self._listings.append(made)
            if len(self._listings) > _KEPT:
                remove_at(place, self._listings.pop(0))
            fd = files.open_directory_here(place, made)
        finally:
            os.close(place)
        try:
            for name in os.listdir(host):
                try:
                    text = self._inside(os.readlink(f"{host}/{name}"))
                except OSError:
                    text = "."
                os.symlink(text, name, dir_fd=fd)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _list_processes(self) -> int:
        """Return /proc, open, with a directory of the right owner for each process of the root.

        That is enough for those who look for the numbers: their files are opened here.
        """
        now = dict(self._processes())
        self._ids.become(os.getpid())
        fd = self._enter("proc")
        for name in filter(str.isdigit, os.listdir(fd)):
            if name not in now:
                with contextlib.suppress(OSError):  # not ours
                    os.rmdir(name, dir_fd=fd)
        for name, owner in now.items():
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o555, dir_fd=fd)
            os.chown(name, *owner, dir_fd=fd, follow_symlinks=False)
        return fd

    def _processes(self) -> Iterator[tuple[str, tuple[int, int]]]:
        """The processes that have the root, and their owners."""
        for name in filter(str.isdigit, os.listdir("/proc")):
            if self._is_ours(int(name)):
                with contextlib.suppress(OSError):  # it has ended
                    status = os.stat(f"/proc/{name}")
                    yield name, (status.st_uid, status.st_gid)

    def _is_ours(self, pid: int) -> bool:
        """Whether it has the root; of who cannot be looked at, whether it has come from us."""
        try:
            self._ids.become(pid)
            return os.path.samestat(os.stat(f"/proc/{pid}/root"), os.fstat(self._top))
        except PermissionError:
            return pid in below(os.getpid())
        except OSError:
            return False  # it has ended

    def _enter(self, path: str, below: str = "") -> int:
        """Open a directory of the root, with one `below` that is made. By no link: it would lead out."""
        fd = files.open_in_root(self._top, path, _DIRECTORY, links=False)
        if not below:
            return fd
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(below, 0o755, dir_fd=fd)
            return files.open_directory_here(fd, below)
        finally:
            os.close(fd)


class _Ids:
    """Whose rights this thread has, alone of its process: the kernel keeps them for each."""

    def __init__(self) -> None:
        self._calls = numbers(os.uname().machine)
        self._now = (0, 0, 0, 0)

    def become(self, pid: int) -> None:
        """Take the user and group of a process. Ours stay in reserve, so that we can come back."""
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            lines = [line.split() for line in file if line.startswith(("Uid:", "Gid:"))]
        ids = (int(lines[0][1]), int(lines[1][1]), int(lines[0][4]), int(lines[1][4]))
        if ids == self._now:
            return
        same = (1 << 64) - 1
        for name, *args in (
            ("setfsuid", 0),
            ("setresgid", ids[1], same, same),
            ("setresuid", ids[0], same, same),
            ("setfsgid", ids[3]),
            ("setfsuid", ids[2]),
        ):
            syscall("changing the user", self._calls[name], *args)
        self._now = ids
        prctl.set_dumpable(True)
