"""Namespaces and the processes in them: clone, unshare, setns, uid and gid maps, pidfds."""

from __future__ import annotations

import ctypes
import errno
import os
import time

from tiffin.linux.libc import check, failure, function, syscall
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import NoReturn

NEWTIME = 0x80
NEWNS = 0x20000
NEWCGROUP = 0x2000000
NEWUTS = 0x4000000
NEWIPC = 0x8000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

_PIDFD = 0x1000
_PARENT = 0x8000
_SIGCHLD = 17
_CLONE = {"x86_64": 56, "aarch64": 220}
_PIDFD_SEND_SIGNAL = 424
_PIDFD_OPEN = 434
_CLOSE_RANGE = 436
_CLOSE_RANGE_CLOEXEC = 4
_MOMENTS = 50

_unshare = function("unshare", ctypes.c_int)
_setns = function("setns", ctypes.c_int, ctypes.c_int)

_EVERY_ID = ["0", "0", "4294967295"]
_sethostname = function("sethostname", ctypes.c_char_p, ctypes.c_size_t)
_setdomainname = function("setdomainname", ctypes.c_char_p, ctypes.c_size_t)

# Unlike the calls in libc, this one keeps the interpreter's lock: the child must be born holding it.
_locked_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_locked_syscall.argtypes = [ctypes.c_long] * 6
_locked_syscall.restype = ctypes.c_long


class IdMap(NamedTuple):
    """One line of a uid or gid map: `size` ids from `inside` on are those from `outside` on."""

    inside: int
    outside: int
    size: int


def host_id(maps: Sequence[IdMap], inside: int) -> int | None:
    """Return which id outside the namespace the id inside is, or None if it is not mapped."""
    for line in maps:
        if line.inside <= inside < line.inside + line.size:
            return line.outside + inside - line.inside
    return None


def clone(flags: int, *, sibling: bool = False) -> tuple[int, int]:
    """Fork with new namespaces; return (pid, pidfd) in the parent and (0, -1) in the child.

    The child is a copy of this process in which only the calling thread goes on, so the caller must be the
    only thread. With `sibling` the child's parent is the parent of the caller, and there is no pidfd.
    """
    if not sibling and not _alone():
        message = "a process with several threads cannot be cloned"
        raise RuntimeError(message)
    pidfd = ctypes.c_int(-1)
    flags |= _SIGCHLD | (_PARENT if sibling else _PIDFD)
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = _locked_syscall(_CLONE[os.uname().machine], flags, 0, ctypes.addressof(pidfd), 0, 0)
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
        return 0, -1
    error = failure("creating a process in new namespaces") if pid == -1 else None
    ctypes.pythonapi.PyOS_AfterFork_Parent()
    if error:
        raise error
    return pid, pidfd.value


def _alone() -> bool:
    """Tell whether this thread is the only one; one that was joined may take a moment to be gone."""
    for _ in range(_MOMENTS):
        if len(os.listdir("/proc/self/task")) == 1:
            return True
        time.sleep(0.001)
    return False


def unshare(flags: int) -> None:
    """Move this process into new namespaces of the kinds in `flags`."""
    check(_unshare(flags), "creating namespaces")


def setns(fd: int, flags: int) -> None:
    """Join the namespace that `fd` is, or those kinds of the process whose pidfd it is."""
    check(_setns(fd, flags), "joining namespaces")


def set_hostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    encoded = os.fsencode(name)
    check(_sethostname(encoded, len(encoded)), "setting the host name", name)


def set_domainname(name: str) -> None:
    """Set the NIS domain name of this UTS namespace."""
    encoded = os.fsencode(name)
    check(_setdomainname(encoded, len(encoded)), "setting the domain name", name)


def is_first() -> bool:
    """Tell whether this process is in the first user namespace: that has every id, and no other does."""
    try:
        with open("/proc/self/uid_map", encoding="ascii") as file:
            return file.read().split() == _EVERY_ID
    except OSError:
        return False


def pidfd_open(pid: int) -> int:
    """Return a file descriptor that means this very process, even after its number is used again."""
    return syscall(f"opening process {pid}", _PIDFD_OPEN, pid, 0)


def pidfd_send_signal(pidfd: int, number: int) -> None:
    """Send a signal to the process of the pidfd; `ProcessLookupError` when it has ended."""
    syscall(f"sending signal {number}", _PIDFD_SEND_SIGNAL, pidfd, number, 0, 0)


def close_from(first: int) -> None:
    """Close every file descriptor from `first` on."""
    if not _has_closed(first, 0):
        for fd in _open_from(first):
            try:
                os.close(fd)
            except OSError:
                continue


def close_on_exec_from(first: int) -> None:
    """Let no file descriptor from `first` on pass to the program that is executed next."""
    if not _has_closed(first, _CLOSE_RANGE_CLOEXEC):
        for fd in _open_from(first):
            try:
                os.set_inheritable(fd, False)
            except OSError:
                continue


def _has_closed(first: int, flags: int) -> bool:
    """Tell whether the kernel has done it; it can from Linux 5.9 on, with the flag from 5.11 on."""
    try:
        syscall("closing file descriptors", _CLOSE_RANGE, first, 0xFFFFFFFF, flags)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL, errno.EPERM):
            raise
        return False
    return True


def _open_from(first: int) -> Iterable[int]:
    """Return descriptors from `first` on, at least all that are open."""
    try:
        return [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd >= first]
    except OSError:  # a root filesystem without /proc
        return range(first, os.sysconf("SC_OPEN_MAX"))


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(
            error.errno, f"writing {text.strip()!r}: {os.strerror(error.errno or 0)}", path
        ) from None
    finally:
        os.close(fd)


def map_text(maps: Sequence[IdMap]) -> str:
    """Return the maps as the kernel reads them."""
    return "".join(f"{line.inside} {line.outside} {line.size}\n" for line in maps)


def write_maps(pid: int, uids: Sequence[IdMap], gids: Sequence[IdMap]) -> None:
    """Set the maps of the user namespace of a process; needs SETUID and SETGID over the ids outside."""
    _write(f"/proc/{pid}/uid_map", map_text(uids))
    _write(f"/proc/{pid}/gid_map", map_text(gids))


def enter_user_namespace(uids: Sequence[IdMap], gids: Sequence[IdMap], *, mounts: bool = True) -> None:
    """Move this process, which has one thread, into a user namespace with these maps, where it is root.

    With `mounts` into a mount namespace of its own too. One line that maps the caller's own id needs no
    privilege, but denies setgroups; more are written by `newuidmap` and `newgidmap`, or by ourselves if we
    have the capabilities. It cannot be undone; when it fails, the process should end.
    """
    pid = os.getpid()
    alone = (
        len(uids) == len(gids) == 1 and uids[0][1:] == (os.geteuid(), 1) and gids[0][1:] == (os.getegid(), 1)
    )
    writer = None if alone else _Writer(pid, uids, gids)
    try:
        unshare(NEWUSER | (NEWNS if mounts else 0))
        if writer is None:
            _write(f"/proc/{pid}/setgroups", "deny")
            write_maps(pid, uids, gids)
        else:
            writer.write()
    finally:
        if writer is not None:
            writer.close()


def join_user_namespace(pid: int) -> None:
    """Move this process, which has one thread, into the user namespace of `pid`, which this account made.

    It has a mount namespace of its own there. It cannot be undone.
    """
    fd = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(fd, NEWUSER)
    finally:
        os.close(fd)
    unshare(NEWNS)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


class _Writer:
    """A process that stays outside the new user namespace and, when told to, writes its maps."""

    def __init__(self, pid: int, uids: Sequence[IdMap], gids: Sequence[IdMap]) -> None:
        go_read, self._go = os.pipe()
        self._answer, answer_write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._go)
            os.close(self._answer)
            _write_from_outside(pid, uids, gids, go_read, answer_write)
        os.close(go_read)
        os.close(answer_write)

    def write(self) -> None:
        """Have the maps written; raise what went wrong."""
        os.write(self._go, b"1")
        message = b""
        while part := os.read(self._answer, 4096):
            message += part
        if message:
            raise OSError(1, message.decode(errors="replace"))

    def close(self) -> None:
        """End the process, if it still waits."""
        os.close(self._go)
        os.close(self._answer)
        os.waitpid(self._pid, 0)


def _write_from_outside(
    pid: int, uids: Sequence[IdMap], gids: Sequence[IdMap], go: int, answer: int
) -> NoReturn:
    try:
        if os.read(go, 1):
            if os.geteuid() == 0:
                write_maps(pid, uids, gids)
            else:
                _map_with_tool("newuidmap", pid, uids)
                _map_with_tool("newgidmap", pid, gids)
    except OSError as error:
        os.write(answer, f"{error.strerror or error}".encode())
    finally:
        os._exit(0)


def _map_with_tool(tool: str, pid: int, maps: Sequence[IdMap]) -> None:
    """Run the set-user-id program that maps the subordinate ids of the user."""
    words = [str(number) for line in maps for number in line]
    errors_read, errors_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(errors_write, 1)
        os.dup2(errors_write, 2)
        try:
            os.execvp(tool, [tool, str(pid), *words])  # noqa: S606 # a fixed program with numbers
        finally:
            os._exit(127)
    os.close(errors_write)
    said = b""
    while part := os.read(errors_read, 4096):
        said += part
    os.close(errors_read)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status:
        text = said.decode(errors="replace").strip() or f"it ended with status {status}"
        raise OSError(1, f"{tool} could not map {' '.join(words)}: {text}")
