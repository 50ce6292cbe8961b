"""System calls that another process answers: seccomp's user notification, seccomp_unotify(2).

A filter that was loaded by `bpf.listen` lets its callers wait until the process with the descriptor has
answered. What that reads of a caller may be another's by then, and what a caller points at may change: act on
descriptors, after `is_waiting` has said whose they are.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import struct

from tiffin.linux import bpf, libc, prctl
from tiffin.linux.record import NamedTuple

_RECEIVE = 0xC0502100
_SEND = 0xC0182101
_VALID = 0x40082102
_ADD_FD = 0x40182103
_SET_FLAGS = 0x40082104
_SYNC_WAKE_UP = 1
_CONTINUE = 1
_ADD_FD_SEND = 2
_CALL = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_GIVEN = struct.Struct("=QIIII")
_ID = struct.Struct("=Q")
_PAGE = 4096
_SIGNED = 63
"""Addresses with this bit are no places in a file, nor in a program."""
_MEMORY = {"x86_64": 310, "aarch64": 270}
_NOTHING = bytes(_CALL.size)


class Call(NamedTuple):
    """A call that waits: who made it, a thread, and with which registers."""

    id: int
    pid: int
    number: int
    architecture: int
    args: tuple[int, ...]


class Listener:
    """The calls of a filter, one after another."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self._buffer = bytearray(_CALL.size)
        try:
            # Who answers runs where the caller ran: half the price of waking another processor (Linux 6.6).
            fcntl.ioctl(fd, _SET_FLAGS, _SYNC_WAKE_UP)
        except OSError:
            return

    def receive(self) -> Call | None:
        """Return the next call; None when nobody is left who could make one."""
        while True:
            for _, events in self._poll.poll():
                if not events & select.POLLIN:
                    return None
            self._buffer[:] = _NOTHING
            try:
                fcntl.ioctl(self.fd, _RECEIVE, self._buffer)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR):  # the caller was killed meanwhile
                    continue
                raise
            number, pid, _, call, architecture, _, *args = _CALL.unpack(self._buffer)
            return tuple.__new__(Call, (number, pid, call, architecture, tuple(args)))  # it is called often

    def result(self, call: Call, value: int) -> None:
        """Let the call return `value`."""
        self._send(call, value, 0, 0)

    def fail(self, call: Call, code: int) -> None:
        """Let the call fail with this errno."""
        self._send(call, 0, -code, 0)

    def proceed(self, call: Call) -> None:
        """Leave the call to the kernel."""
        self._send(call, 0, 0, _CONTINUE)

    def is_waiting(self, call: Call) -> bool:
        """Tell whether the caller still waits: then what was found below /proc by its pid was its own."""
        try:
            fcntl.ioctl(self.fd, _VALID, _ID.pack(call.id))
        except OSError:
            return False
        return True

    def give(self, call: Call, fd: int, *, cloexec: bool) -> None:
        """Let the call return a descriptor for what `fd` is."""
        flags = os.O_CLOEXEC if cloexec else 0
        try:
            fcntl.ioctl(self.fd, _ADD_FD, _GIVEN.pack(call.id, _ADD_FD_SEND, fd, 0, flags))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Before Linux 5.14 in two steps.
            given = bytearray(_GIVEN.pack(call.id, 0, fd, 0, flags))
            self.result(call, fcntl.ioctl(self.fd, _ADD_FD, given))

    def write(self, call: Call, address: int, data: bytes | bytearray, proc: str = "/proc") -> None:
        """Put the bytes where the caller wants them; `proc` is a /proc that knows its number. Raises OSError.

        By a file that is opened before it is sure whose it is: the number could be another process's by now.
        """
        fd = os.open(f"{proc}/{call.pid}/mem", os.O_WRONLY | os.O_CLOEXEC)
        try:
            if not self.is_waiting(call):
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
            written = 0 if address >> _SIGNED else os.pwrite(fd, data, address)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            written = 0
        finally:
            os.close(fd)
        if written != len(data):
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))

    def lend(self, call: Call, fd: int) -> int:
        """Return the number under which the caller, who still waits, now has open what `fd` is."""
        given = bytearray(_GIVEN.pack(call.id, 0, fd, 0, os.O_CLOEXEC))
        number: int = fcntl.ioctl(self.fd, _ADD_FD, given)
        return number

    def _send(self, call: Call, value: int, code: int, flags: int) -> None:
        try:
            fcntl.ioctl(self.fd, _SEND, _ANSWER.pack(call.id, value, code, flags))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINPROGRESS):  # it is gone
                raise


class Memory:
    """The memory of other processes, which we may trace; what cannot be read is an `OSError`.

    With `proc`, a /proc, it is read by the files there: filters in use refuse the call for it, and not these.
    No file is kept open: the number may be another process's next time, or the process another program.
    """

    def __init__(self, proc: str = "") -> None:
        self._proc = proc
        self._read = _MEMORY.get(os.uname().machine, -1)
        self._buffer = ctypes.create_string_buffer(_PAGE)
        self._local = (ctypes.c_ulong * 2)(ctypes.addressof(self._buffer), 0)
        self._remote = (ctypes.c_ulong * 2)()
        self._vectors = ctypes.addressof(self._local), ctypes.addressof(self._remote)

    def read(self, pid: int, address: int, size: int) -> bytes:
        """Return `size` bytes at the address, at most a page."""
        data = self._part(pid, address, size)
        if len(data) != size:
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
        return data

    def string(self, pid: int, address: int) -> bytes:
        """Return what is at the address up to a zero byte, which must come within a page."""
        found = b""
        while len(found) < _PAGE:
            # To the end of a page and no farther: the next one may not be there.
            part = self._part(pid, address, min(_PAGE - address % _PAGE, _PAGE - len(found)))
            end = part.find(b"\0")
            if end >= 0:
                return found + part[:end]
            found += part
            address += len(part)
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))

    def _part(self, pid: int, address: int, size: int) -> bytes:
        if self._proc:
            return _of_file(f"{self._proc}/{pid}/mem", address, size)
        self._local[1] = size
        self._remote[0], self._remote[1] = address, size
        size = libc.syscall("memory", self._read, pid, self._vectors[0], 1, self._vectors[1], 1, 0)
        return self._buffer.raw[:size]


def _of_file(path: str, address: int, size: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = b"" if address >> _SIGNED else os.pread(fd, size, address)
    finally:
        os.close(fd)
    if not data:  # what has ended has no memory
        raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    return data


def missing(memory: Memory | None = None) -> str:
    """Return why calls cannot be answered here, empty if they can: found by trying, in a child.

    `memory` is how that of a process is read, by the call for it if none is given.
    """
    told, telling = os.pipe()
    held, holding = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(holding)
        _try(telling, held)
    os.close(telling)
    os.close(held)
    try:
        reason = os.read(told, 200).decode()
        if reason == "yes":
            (memory or Memory()).read(child, ctypes.addressof(_TRIED), 1)
            return ""
    except OSError as error:
        return f"the memory of other processes is closed: {error.strerror or error}"
    finally:
        os.close(told)
        os.close(holding)
        os.waitpid(child, 0)
    return reason or "the attempt was killed"


def _gives(listener: int) -> bool:
    """Tell whether who waits can be given a descriptor; then calls can be left to the kernel too."""
    try:
        fcntl.ioctl(listener, _ADD_FD, _GIVEN.pack(0, 0, listener, 0, 0))
    except OSError as error:
        return error.errno == errno.ENOENT  # nobody waits by that number
    return True


_TRIED = ctypes.create_string_buffer(b"1")


def _try(telling: int, held: int) -> None:
    try:
        prctl.set_no_new_privs()
        listener = bpf.listen(bpf.instruction(bpf.RETURN, bpf.ALLOW))
        os.write(telling, b"yes" if _gives(listener) else b"the kernel is older than Linux 5.9")
        os.read(held, 1)
    except OSError as error:
        os.write(telling, f"{error.strerror or error}".encode())
    finally:
        os._exit(0)
