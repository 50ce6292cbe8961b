"""The init of a container that asked for one: it passes signals on, and waits for every process that ends.

It is the child that set the container up, which stays as the first process and starts the program as its
own child. It needs nothing of the image, and loads nothing: all it uses is loaded before it begins. Its
memory and its program are those of an interpreter on the host, so no process of the container may look
into it: it is not dumpable, and only who has rights in the launcher's user namespace could, all the same.
Standard library only, and little of it.
"""

from __future__ import annotations

import ctypes
import os

from tiffin.linux import prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable
    from typing import NoReturn
else:
    import _signal as signal  # as in `process`

__all__ = ["NAME", "split"]

NAME = "tiffin-init"
_DESCRIPTORS = 1 << 20
_SIGNALED = 128
_LOST = 125
_ARGUMENTS = slice(45, 47)
"""Where /proc/self/stat tells where the command line lies, counted after the name and the state."""


def split(*, terminal: bool) -> None:
    """Return in a new child, which is to become the program; this process stays, and never returns.

    With a `terminal` the program is in its foreground. Raises OSError if there can be no further process.
    """
    prctl.set_dumpable(False)
    ours = signal.valid_signals() - _own_faults()
    signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    program = os.fork()
    if program == 0:
        os.setpgid(0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpid())
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return
    try:
        os.closerange(3, _DESCRIPTORS)  # the launcher waits for the end of one of them
        prctl.set_name(NAME)
        _rename()
        _watch(program, ours)
    finally:
        os._exit(_LOST)  # the kernel kills what is left


def _own_faults() -> set[int]:
    """Signals that tell of a fault of this very process."""
    return {
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGTRAP,
        signal.SIGABRT,
        signal.SIGSYS,
    }


def _watch(program: int, ours: Iterable[int]) -> NoReturn:
    """Pass on what comes, reap who ends, and end as the program did."""
    while True:
        number = signal.sigwait(ours)
        if number == signal.SIGCHLD:
            _reap(program)
        elif number not in (signal.SIGTTIN, signal.SIGTTOU):
            try:
                os.kill(program, number)
            except (ProcessLookupError, PermissionError):
                continue  # it has ended, or become a user whom this one may not signal


def _reap(program: int) -> None:
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            return
        if ended == program:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else _SIGNALED - code)


def _rename() -> None:
    """Put the name in the place of the command line, which tells of the host; not where there is no /proc."""
    try:
        stat = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    text = os.read(stat, 4096)
    os.close(stat)
    start, end = map(int, text[text.rindex(b")") + 2 :].split()[_ARGUMENTS])
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, NAME.encode(), min(len(NAME), end - start - 1))
