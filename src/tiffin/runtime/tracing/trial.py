"""Whether calls can be answered here, and their callers be held: found by trying, with children."""

from __future__ import annotations

import os

from tiffin.linux import bpf, notify, prctl, ptrace, terminal
from tiffin.linux.sysnum import numbers
from tiffin.runtime.emulation.caller import unmarkable
from tiffin.runtime.tracing.holding import hold
from tiffin.runtime.tracing.memory import reachable

_CHILD_FAILED = 3


def missing() -> str:
    """Return why not, empty if all is there."""
    machine = os.uname().machine
    if machine not in ptrace.LAYOUTS:
        return f"programs of {machine} cannot be held yet"
    reason = unmarkable() or notify.missing(reachable())
    return reason or _try(machine)


def _try(machine: str) -> str:
    """Have a child ask, lend it a file, and let it act for us."""
    known = numbers(machine)
    program = bpf.instruction(bpf.LOAD_WORD, bpf.NUMBER_AT)
    program += bpf.instruction(bpf.JUMP_EQUAL, known["getcwd"], 0, 1)
    program += bpf.instruction(bpf.RETURN, bpf.NOTIFY) + bpf.instruction(bpf.RETURN, bpf.ALLOW)
    ours, theirs = terminal.socket_pair()
    child = os.fork()
    if child == 0:
        _ask(program, theirs)
    os.close(theirs)
    fd = terminal.receive_fd(ours)
    try:
        if fd is None:
            return "the attempt was killed"
        return _answer(notify.Listener(fd))
    except OSError as error:
        return f"other processes cannot be traced: {error.strerror}"
    finally:
        os.close(ours)
        if fd is not None:
            os.close(fd)
        os.kill(child, 9)
        os.waitpid(child, 0)


def _ask(program: bytes, socket: int) -> None:
    try:
        prctl.set_no_new_privs()
        listener = bpf.listen(program)
        terminal.send_fd(socket, listener)
        os.close(listener)
        os.getcwd()
    finally:
        os._exit(_CHILD_FAILED)


def _answer(listener: notify.Listener) -> str:
    call = listener.receive()
    if call is None:
        return "the attempt was killed"
    root = os.open("/", os.O_RDONLY | os.O_CLOEXEC)
    number = listener.lend(call, root)
    os.close(root)
    known = numbers(os.uname().machine)
    done = []

    def act(held: ptrace.Held) -> int:
        done.append(held.call(known["fchdir"], number))
        return 0

    hold(listener, call, act)
    return "" if done else "a process that is traced does not do what it is told to"
