"""Letting a caller do what only itself can: it is held, does other calls in the place of its own, goes on."""

from __future__ import annotations

import errno
import os

from tiffin.linux import ptrace
from tiffin.linux.sysnum import numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.linux.notify import Call, Listener
    from tiffin.linux.ptrace import Held

_NUMBERS = numbers(os.uname().machine)
_BASE = 0x2000_0000_0000
_SLOT = 1 << 18
_SLOTS = 1 << 10
_READ_WRITE = 3
_PRIVATE = 0x22
_NOT_OVER_OTHERS = 0x100000


def hold(listener: Listener, call: Call, act: Callable[[Held], int | None]) -> None:
    """Answer the call by what `act` has its caller do: its result, or None if it has gone on already.

    Raises OSError if the caller cannot be held; then it still waits, or has ended.
    """
    held = ptrace.Held(call.pid)
    held.seize()
    if not listener.is_waiting(call):
        held.leave_alone()
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    listener.fail(call, ptrace.BEGIN_ANEW)
    try:
        held.settle(call.number, call.args)
        try:
            result = act(held)
        except ptrace.BeginAnewError:
            held.begin_anew()
            return
        except OSError as error:
            result = -(error.errno or errno.EIO)
        except Exception:  # noqa: BLE001 # begun anew it would come to the same, for ever
            result = -errno.ENOSYS
        if result is not None:
            held.end(result)
    except BaseException as error:
        held.release()
        if not isinstance(error, OSError):  # that it was killed
            raise


def put(held: Held, make: Callable[[int], bytes]) -> int:
    """Return where in the memory of the caller those bytes are now that are made for that address.

    Where its stack ends nobody knows, and it may share its memory with its parent (vfork): so it gets a place
    of its own, the same for the next time.
    """
    address = _BASE + held.tid % _SLOTS * _SLOT
    data = make(address)
    if len(data) <= _SLOT:
        try:
            write(held.tid, address, data)
        except OSError:
            pass
        else:
            return address
    size = max(_SLOT, len(data))
    try:
        address = held.call(
            _NUMBERS["mmap"], address, size, _READ_WRITE, _PRIVATE | _NOT_OVER_OTHERS, (1 << 64) - 1, 0
        )
    except OSError:
        address = held.call(_NUMBERS["mmap"], 0, size, _READ_WRITE, _PRIVATE, (1 << 64) - 1, 0)
    write(held.tid, address, make(address))
    return address


def write(tid: int, address: int, data: bytes) -> None:
    """Write into the memory of a thread that is held. Raises OSError."""
    fd = os.open(b"/proc/%d/mem" % tid, os.O_RDWR | os.O_CLOEXEC)
    try:
        if os.pwrite(fd, data, address) != len(data):
            raise OSError(errno.EFAULT, os.strerror(errno.EFAULT))
    finally:
        os.close(fd)
