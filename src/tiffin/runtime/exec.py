"""Start another process in a running container: in its namespaces, as confined as its first one.

For a caller with a single thread, in the user namespace from which the container was started, or an ancestor.
"""

from __future__ import annotations

import os

from tiffin.linux import namespace, prctl
from tiffin.linux.libc import kernel
from tiffin.runtime import init
from tiffin.runtime.between import clone_within
from tiffin.runtime.child import Child, Handshake, Streams, start_failure
from tiffin.runtime.launch import give_streams, load_substitutes
from tiffin.runtime.process import limit, set_oom_score

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from tiffin.linux.namespace import IdMap
    from tiffin.runtime.process import Process

_KINDS = {
    "user": namespace.NEWUSER,
    "mnt": namespace.NEWNS,
    "pid": namespace.NEWPID,
    "net": namespace.NEWNET,
    "ipc": namespace.NEWIPC,
    "uts": namespace.NEWUTS,
    "cgroup": namespace.NEWCGROUP,
}

_BY_PROCESS_SINCE = (5, 8)


def join(pid: int, process: Process, streams: Streams) -> Child:
    """Start the process in the container whose first process has this pid; return when its program has begun.

    Failures are those of `launch`. The new process is a child of the caller and does not die with it unless
    its death signal says so.
    """
    child: Child | None = None
    handshake: Handshake | None = None
    doors: list[tuple[int, int]] = []
    load_substitutes()
    try:
        kinds = _differing(pid)
        _open_doors(pid, kinds, doors)
        give_streams(streams, process.uid, read_map(pid, "uid") if kinds & namespace.NEWUSER else ())
        handshake = Handshake(terminal=process.terminal, owners=bool(process.owners))
        child = _enter(doors, process, streams, handshake)
        handshake.answer_calls(process, child.pid)
        if process.terminal:
            child.console = handshake.receive_console(streams.terminal)
        limit(process, child.pid)
        handshake.release()
        handshake.expect_program()
    except BaseException as error:
        if child is not None:
            child.end()
        if isinstance(error, OSError):
            raise start_failure(error) from error
        raise
    finally:
        if handshake is not None:
            handshake.close()
        for fd, _ in doors:
            os.close(fd)
    return child


def join_root(root: str, process: Process, streams: Streams) -> Child:
    """Start the process in a container that has a root directory and nothing else of its own."""
    from tiffin.runtime.launch import launch
    from tiffin.runtime.model import Plan
    from tiffin.runtime.rare_steps import ChangeRoot, EnterDirectory

    step = EnterDirectory(root) if process.trace else ChangeRoot(root)
    return launch(Plan(0, (), (), (), (step,), process), streams)


def _differing(pid: int) -> int:
    """Return the kinds of namespaces that the container does not share with this process."""
    kinds = 0
    for name, kind in _KINDS.items():
        try:
            if os.readlink(f"/proc/{pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"):
                kinds |= kind
        except FileNotFoundError:
            if not os.path.exists(f"/proc/{pid}"):
                raise
    return kinds


def _open_doors(pid: int, kinds: int, doors: list[tuple[int, int]]) -> None:
    """Append what leads into the namespaces of the process: itself, or before Linux 5.8 each of them."""
    process = namespace.pidfd_open(pid)
    if kernel() >= _BY_PROCESS_SINCE:
        doors.append((process, kinds))
        return
    try:
        for name, kind in _KINDS.items():
            if kinds & kind:
                doors.append((os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY | os.O_CLOEXEC), kind))
        namespace.pidfd_send_signal(process, 0)  # they were its own, if it is still there
    finally:
        os.close(process)


def read_map(pid: int, kind: str) -> tuple[IdMap, ...]:
    """Return the `uid` or `gid` map of the user namespace of a process."""
    with open(f"/proc/{pid}/{kind}_map", encoding="ascii") as file:  # pathlib is slow to load
        return tuple(namespace.IdMap(*map(int, line.split())) for line in file)


def _enter(doors: list[tuple[int, int]], process: Process, streams: Streams, handshake: Handshake) -> Child:
    def run() -> NoReturn:
        init.finish(process, lambda _doing: init.take_root(process.uid, process.gid), streams, handshake)

    def before() -> None:
        set_oom_score(process, os.getpid())
        # The child is seen in the container before it is confined, and nobody there may look into it or take
        # it over (CVE-2016-9962). SYS_PTRACE does not help where the container has its own user namespace.
        prctl.set_dumpable(False)

    made = Child(*clone_within(doors, 0, handshake, run, before))
    handshake.take_launchers_side()
    return made
