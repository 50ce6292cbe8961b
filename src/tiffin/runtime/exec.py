"""Start another process in a running container: in its namespaces, as confined as its first one.

For a caller with a single thread, in the user namespace from which the container was started, or an ancestor.
"""

from __future__ import annotations

import os

from tiffin.linux import namespace, prctl
from tiffin.runtime import init
from tiffin.runtime.child import Child, Handshake, Streams, start_failure
from tiffin.runtime.launch import give_streams
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


def join(pid: int, process: Process, streams: Streams) -> Child:
    """Start the process in the container whose first process has this pid; return when its program has begun.

    Failures are those of `launch`. The new process is a child of the caller and does not die with it unless
    its death signal says so.
    """
    child: Child | None = None
    handshake: Handshake | None = None
    target = -1
    try:
        target = namespace.pidfd_open(pid)
        kinds = _differing(pid)
        give_streams(streams, process.uid, read_map(pid, "uid") if kinds & namespace.NEWUSER else ())
        handshake = Handshake(terminal=process.terminal)
        child = _enter(target, kinds, process, streams, handshake)
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
        if target >= 0:
            os.close(target)
    return child


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


def read_map(pid: int, kind: str) -> tuple[IdMap, ...]:
    """Return the `uid` or `gid` map of the user namespace of a process."""
    with open(f"/proc/{pid}/{kind}_map", encoding="ascii") as file:  # pathlib is slow to load
        return tuple(namespace.IdMap(*map(int, line.split())) for line in file)


def _enter(target: int, kinds: int, process: Process, streams: Streams, handshake: Handshake) -> Child:
    """Make the process by way of one that joins the namespaces: only its children are in the pid namespace.

    The middle process makes the new one a child of ours and tells its pid, as it is outside, before it ends.
    """
    answer_read, answer_write = os.pipe()
    middle, middle_pidfd = namespace.clone(0)
    if middle == 0:
        handshake.take_childs_side()
        _middle(target, kinds, process, streams, handshake, answer_write)
    os.close(middle_pidfd)
    os.close(answer_write)
    handshake.take_launchers_side()
    os.waitpid(middle, 0)
    answer = os.read(answer_read, 16)
    os.close(answer_read)
    if not answer:
        handshake.expect_program()
        message = "the process that was to enter the container was killed"
        raise OSError(0, message)
    pid = int(answer)
    return Child(pid, namespace.pidfd_open(pid))


def _middle(  # it is the one that knows all of it
    target: int, kinds: int, process: Process, streams: Streams, handshake: Handshake, answer: int
) -> NoReturn:
    """Join, make the process, and end."""
    step = "set its limits"
    try:
        set_oom_score(process, os.getpid())
        # Its child is seen in the container before it is confined, and nobody there may look into it or take
        # it over (CVE-2016-9962). SYS_PTRACE does not help where the container has its own user namespace.
        prctl.set_dumpable(False)
        step = "join the container's namespaces"
        namespace.setns(target, kinds)
        step = "create the process"
        pid, _ = namespace.clone(0, sibling=True)
        if pid == 0:
            init.finish(process, lambda _doing: init.take_root(), streams, handshake)
        os.write(answer, str(pid).encode())
    except BaseException as error:  # noqa: BLE001 # whatever it was, the launcher must hear of it
        init.report_failure(handshake, error, step)
    os._exit(0)
