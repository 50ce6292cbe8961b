"""The process that answers a container's calls, beside it: how it is started, and what it does.

It has the container's root as its own and is in none of its other namespaces: nobody inside sees it, and
nothing that it looks up by the container's word lies outside. It ends with the last process whose calls it
hears, and whatever goes wrong with one call, the next is answered.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os

from tiffin.linux import namespace, notify, prctl, terminal
from tiffin.linux.record import NamedTuple
from tiffin.runtime import handing
from tiffin.runtime.emulation import identity, making, owning, peers, showing
from tiffin.runtime.emulation.caller import Callers
from tiffin.runtime.emulation.calls import (
    ASKING,
    ATTRIBUTES,
    LISTING,
    MAKING,
    OPENING,
    OWNERS,
    SHOWING,
    table,
)
from tiffin.runtime.emulation.credentials import whole
from tiffin.runtime.emulation.records import Records
from tiffin.runtime.emulation.site import Gift, Site

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from tiffin.linux.notify import Call, Listener
    from tiffin.runtime.emulation.calls import Meaning
    from tiffin.runtime.emulation.site import Answer
    from tiffin.runtime.process import Process

_ENOSYS = 38
_NAME = "tiffin-owners"
_NULL = "/dev/null"


class Emulation(NamedTuple):
    """How owners are kept for a process: the filter, the file of entries, and the layers, top first."""

    program: bytes
    journal: str = ""
    layers: tuple[str, ...] = ()


_HANDLERS: dict[str, Callable[[Site, Call, Meaning], Answer]] = {
    **dict.fromkeys(OWNERS, owning.chown),
    **dict.fromkeys(ATTRIBUTES, owning.setxattr),
    **dict.fromkeys(LISTING, owning.listxattr),
    **dict.fromkeys((*MAKING, *OPENING), making.make),
    **dict.fromkeys(SHOWING, showing.show),
    **dict.fromkeys(ASKING, showing.access),
    **dict.fromkeys(("getuid", "geteuid", "getgid", "getegid"), identity.ask),
    **dict.fromkeys(("getresuid", "getresgid"), identity.ask_three),
    **dict.fromkeys(
        ("setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid"),
        identity.change,
    ),
    "getgroups": identity.ask_groups,
    "setgroups": identity.change_groups,
    "execve": identity.execute,
    "execveat": identity.execute,
    "chroot": owning.chroot,
    **dict.fromkeys(("setrlimit", "prlimit64"), identity.limit),
    "prctl": identity.keep,
    "getsockopt": peers.ask,
}


def hand_over(program: bytes, socket: int) -> None:
    """Load the filter, in the process that becomes the container's, and let the other end answer from now on.

    Raises OSError if it cannot be loaded, or nobody answers.
    """
    mounts = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    terminal.send_fd(socket, mounts)
    os.close(mounts)
    handing.hand_over(program, socket)


def start(process: Process, pid: int, socket: int) -> None:
    """Start what answers the calls of the process, which calls `hand_over` with the other end of the socket.

    It is nobody's child: it may outlive both its starter and the process, if that leaves others behind.
    """
    middle = os.fork()
    if middle:
        os.waitpid(middle, 0)
        return
    try:
        if os.fork() == 0:
            _run(process, pid, socket)
    finally:
        os._exit(0)


def _run(process: Process, pid: int, socket: int) -> NoReturn:
    try:
        emulation = Emulation(*process.owners)
        os.setsid()
        prctl.set_name(_NAME)
        site, listener = _settle(emulation, process, pid, socket)
        _answer_all(site, listener, pid)
    finally:
        os._exit(0)


def _settle(emulation: Emulation, process: Process, pid: int, socket: int) -> tuple[Site, Listener]:
    """Let go of all that the starter had open, and move to where the container's paths mean something."""
    layers = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in emulation.layers]
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    journal = os.open(emulation.journal, flags, 0o600) if emulation.journal else -1
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    null = os.open(_NULL, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    _close_but({socket, proc, *layers, *([journal] if journal >= 0 else [])})
    mounts, heard = terminal.receive_fd(socket), terminal.receive_fd(socket)
    if mounts is None or heard is None:
        os._exit(0)  # the container could not begin
    namespace.setns(mounts, namespace.NEWNS)
    os.close(mounts)
    os.fchdir(proc)
    os.umask(0)
    listener = notify.Listener(heard)
    callers = Callers(listener)
    if process.groups:
        callers.become(pid, whole(0, 0, process.groups))
    site = Site(callers, Records(journal, layers), process.bounding, process.no_new_privs)
    os.write(socket, b"1")
    os.close(socket)
    return site, listener


def _close_but(kept: set[int]) -> None:
    begin = 3
    for fd in sorted(kept):
        os.closerange(begin, fd)
        begin = fd + 1
    namespace.close_from(begin)


def _answer_all(site: Site, listener: Listener, first: int) -> None:
    meanings = table(os.uname().machine)
    # Until its program begins, the first process is the runtime, and has every right.
    starting: Site | None = site._replace(capabilities=-1)
    while (call := listener.receive()) is not None:
        meaning = meanings.get((call.architecture, call.number))
        if meaning is None:
            listener.proceed(call)
            continue
        where = site
        if starting is not None and call.pid == first:
            where = starting
            if meaning.name.startswith("execve"):
                starting = None
        _answer(where, listener, call, meaning)


def _answer(site: Site, listener: Listener, call: Call, meaning: Meaning) -> None:
    try:
        answer = _HANDLERS[meaning.name](site, call, meaning)
        if isinstance(answer, Gift):
            answer.give(listener, call)
            return
    except OSError as error:
        listener.fail(call, error.errno or _ENOSYS)
    except Exception:  # noqa: BLE001 # one call that nobody understands must not be the last
        listener.proceed(call)
    else:
        if answer is None:
            listener.proceed(call)
        else:
            listener.result(call, answer)
