"""Holding a thread of another process for a moment, to let it do calls: ptrace(2) without following anybody.

For a thread that waits for the answer to a system call (`notify`). It is seized and told to stop, its call is
answered so that it begins anew, and before it does it stops: then it does other calls, one after another,
with the very instruction of its own one, and is let go.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from tiffin.linux.libc import syscall
from tiffin.linux.record import NamedTuple

BEGIN_ANEW = 513
"""An errno by which a call that was answered with it begins anew (ERESTARTNOINTR); no program sees it."""

_PTRACE = {"x86_64": 101, "aarch64": 117}
_SINGLE_STEP, _DETACH = 9, 17
_GET_REGISTERS, _SET_REGISTERS = 0x4204, 0x4205
_SEIZE, _INTERRUPT = 0x4206, 0x4207
_GENERAL = 1
_ALL_THREADS = 0x40000000
_TRAP = 5
_EVENT_STOP = _TRAP | 128 << 8
_LEAST = -4095
_RESTART = 512
_RESTARTS = (_RESTART, BEGIN_ANEW, 514, 516)
"""Results by which the kernel lets a call begin anew after a signal, or end with EINTR."""
_WORD = (1 << 64) - 1


class Layout(NamedTuple):
    """Where in the general registers of a machine lies what is needed of a call; all are words of 64 bits.

    `back` is how long the instruction is, where the kernel goes back before it only after the stop.
    """

    number: int
    original: int
    result: int
    arguments: tuple[int, ...]
    counter: int
    back: int
    words: int


LAYOUTS = {
    "x86_64": Layout(10, 15, 10, (14, 13, 12, 7, 9, 8), 16, 2, 27),
    "aarch64": Layout(8, -1, 0, (0, 1, 2, 3, 4, 5), 32, 0, 34),
}


class BeginAnewError(Exception):
    """A signal has come, and the call that may wait has not been done: the thread's own call begins anew."""


class Held:
    """A thread that is being held. After `seize` answer its call with `BEGIN_ANEW`, then `settle`.

    Then it does any number of `call`s, until `end`, `leave`, `begin_anew` or `release` lets it go. Signals
    that come meanwhile wait for that.
    """

    def __init__(self, tid: int) -> None:
        self.tid = tid
        machine = os.uname().machine
        self._ptrace = _PTRACE[machine]
        self._layout = LAYOUTS[machine]
        self._form = struct.Struct(f"={self._layout.words}Q")
        self._buffer = ctypes.create_string_buffer(self._form.size)
        self._vector = (ctypes.c_ulong * 2)(ctypes.addressof(self._buffer), self._form.size)
        self._first: list[int] = []
        self._signals: list[int] = []
        self._at = 0

    def seize(self) -> None:
        """Begin, while it waits. Raises OSError, PermissionError if another one traces it."""
        self._do(_SEIZE)
        self._do(_INTERRUPT)

    def settle(self, number: int, arguments: tuple[int, ...]) -> None:
        """Wait until it has stopped; `number` is that of its own call.

        Raises ProcessLookupError if it has ended.
        """
        self._note(self._wait())
        self._first = registers = self._read()
        layout = self._layout
        self._at = registers[layout.counter] - layout.back
        registers[layout.counter] = self._at
        registers[layout.number] = number
        for place, value in zip(layout.arguments, arguments, strict=True):
            registers[place] = value
        if layout.original >= 0:
            registers[layout.original] = _WORD

    def call(self, number: int, *arguments: int, may_wait: bool = False) -> int:
        """Return what a call returns that it does now. Raises OSError as the call does.

        Raises BeginAnewError for one that `may_wait` if there is a signal.
        """
        self._write(self._prepared(number, arguments))
        while True:
            if may_wait and self._signals:
                raise BeginAnewError
            self._do(_SINGLE_STEP)
            stopped = self._wait()
            if stopped == _TRAP:
                break
            self._note(stopped)
        result = self._read()[self._layout.result]
        signed = result - (1 << 64) if result >> 63 else result
        if -signed in _RESTARTS:
            raise BeginAnewError
        if _LEAST <= signed < 0:
            raise OSError(-signed, os.strerror(-signed))
        return result

    def leave(self, number: int, *arguments: int) -> None:
        """Let it go with this call in the place of its own one."""
        self._write(self._prepared(number, arguments))
        self._let_go()

    def end(self, result: int) -> None:
        """Let it go; its own call returns this."""
        registers = self._first.copy()
        registers[self._layout.counter] = self._at + (self._layout.back or 4)
        registers[self._layout.result] = result & _WORD
        self._write(registers)
        self._let_go()

    def begin_anew(self) -> None:
        """Let it go with the signal; its handler decides whether the call begins anew, or ends with EINTR."""
        layout = self._layout
        if layout.original < 0:
            self.end(-errno.EINTR)
            return
        registers = self._first.copy()
        registers[layout.original] = registers[layout.number]
        registers[layout.result] = -_RESTART & _WORD
        registers[layout.counter] = self._at + layout.back
        self._write(registers)
        self._let_go()

    def leave_alone(self) -> None:
        """Let it go as it is: it was not the one that was meant, who has ended and had its number."""
        self._note(self._wait())
        self._let_go()

    def release(self) -> None:
        """Let it make its own call again, if it is still held."""
        try:
            if self._first:
                self._write(self._first)
            self._let_go()
        except OSError:
            self._bury()

    def _let_go(self) -> None:
        first, *more = self._signals or [0]
        self._do(_DETACH, first)
        for number in more:
            os.kill(self.tid, number)

    def _note(self, stopped: int) -> None:
        """Keep a signal for later."""
        if not stopped >> 8 and stopped != _TRAP:
            self._signals.append(stopped)

    def _prepared(self, number: int, arguments: tuple[int, ...]) -> list[int]:
        layout = self._layout
        registers = self._first.copy()
        registers[layout.number] = number
        for place, value in zip(layout.arguments, arguments, strict=False):
            registers[place] = value & _WORD
        return registers

    def _wait(self) -> int:
        """Wait for a stop, and tell which. How a process ends is for its parent, which may be this one."""
        while True:
            try:
                found = os.waitid(os.P_PID, self.tid, os.WSTOPPED | _ALL_THREADS)
            except InterruptedError:
                continue
            except ChildProcessError:
                self._bury()
                raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from None
            if found is not None:
                return found.si_status

    def _bury(self) -> None:
        """Let the parent of who has been killed hear of it, unless that is this process, which waits for it.

        Until we have, it is ours alone.
        """
        try:
            with open(f"/proc/{self.tid}/status", "rb", buffering=0) as file:
                lines = file.read().split(b"\n")
        except OSError:
            return
        found = dict(line.split(b":\t", 1) for line in lines if b":\t" in line)
        own = os.getpid()
        is_parent = int(found[b"PPid"]) == own and int(found[b"Tgid"]) == self.tid
        if not is_parent and os.path.exists(f"/proc/{own}/task/{int(found[b'TracerPid'])}"):
            try:
                os.waitid(os.P_PID, self.tid, os.WEXITED | _ALL_THREADS)
            except ChildProcessError:
                return

    def _read(self) -> list[int]:
        self._vector[1] = self._form.size
        self._do(_GET_REGISTERS, ctypes.addressof(self._vector), _GENERAL)
        return list(self._form.unpack(self._buffer.raw))

    def _write(self, registers: list[int]) -> None:
        self._form.pack_into(self._buffer, 0, *registers)
        self._vector[1] = self._form.size
        self._do(_SET_REGISTERS, ctypes.addressof(self._vector), _GENERAL)

    def _do(self, request: int, data: int = 0, address: int = 0) -> None:
        syscall("tracing", self._ptrace, request, self.tid, address, data)
