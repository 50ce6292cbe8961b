"""Another process in a running container: asked for at its supervisor, started by a process of its own.

The supervisor hands the caller's conversation on to that process, which joins the container and then
talks with the caller itself: `{"started": true}`, with the terminal's descriptor if there is one, or
`{"error": …}`; `{"exit": 0}` at the end; and takes `{"signal": 2}` meanwhile, or `{"leave": true}` with
the terminal from a caller who goes while the process goes on.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from tiffin.container import control
from tiffin.container.job import pack_error
from tiffin.container.loop import Loop, Output
from tiffin.errors import ConflictError
from tiffin.linux import interpreter
from tiffin.linux.namespace import pidfd_open
from tiffin.runtime.child import OUR_FAILURE, Streams
from tiffin.runtime.exec import join
from tiffin.runtime.model import unpack_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.container.control import Connection
    from tiffin.container.supervisor import Supervisor
    from tiffin.runtime.child import Child
    from tiffin.runtime.process import Process

__all__ = ["DESCRIPTORS", "answer", "entry", "main", "spawn"]

DESCRIPTORS = 4
"""Standard input, output and error, and a file that holds the packed process."""

_CONVERSATION, _REQUEST = 3, 4
_BY_RUNTIME = 3


def entry(pid: int, joins: Sequence[str], external: Sequence[Any], root: str = "") -> tuple[str, ...]:
    """How a container is entered: by its first process or its `root`, and its cgroups, or by its runtime."""
    words = (f"{pid}:{root}" if root else str(pid), json.dumps(joins))
    return (*words, json.dumps(external[:-1])) if external else words


def answer(supervisor: Supervisor, connection: Connection, descriptors: Sequence[int], command: str) -> None:
    """Start what the caller asks for, `command` to those who read of it, or say why it cannot be had."""
    found, job = supervisor.standing, supervisor.job
    if not found.pid:
        message = "the container is not running: it waits to be started again"
        connection.send({"error": pack_error(ConflictError(message, code="not-running", exit_status=1))})
    elif found.status == "paused":
        from tiffin.container import pausing

        connection.send({"error": pack_error(pausing.refuse_exec())})
    elif len(descriptors) == DESCRIPTORS:
        identity = os.urandom(32).hex()
        job.note(f"exec_create: {command}", execID=identity)

        def ended(code: int) -> None:
            job.note("exec_die", execID=identity, exitCode=str(code))

        way = entry(found.pid, found.cgroups, job.external, supervisor.life.root)
        if spawn(supervisor.loop, connection, way, descriptors, ended):
            job.note(f"exec_start: {command}", execID=identity)
    connection.close()


def spawn(
    loop: Loop,
    connection: Connection,
    entry: Sequence[str],
    descriptors: Sequence[int],
    ended: Callable[[int], None] = lambda _code: None,
) -> bool:
    """Start the process that joins the container by `entry`, and reap it; `ended` hears the exit code then.

    If it cannot be started, who asked for it is told so, and the container goes on; False is returned.
    """
    stdin, stdout, stderr, request = descriptors
    given = (stdin, stdout, stderr, connection.fileno(), request)
    # First out of the way of the numbers 0 to 4, then to their places.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _REQUEST + 1) for fd in given]
    actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in enumerate(high)]
    arguments = [*interpreter.command(__name__), *entry]
    try:
        child = os.posix_spawn(
            arguments[0], arguments, interpreter.environment(), file_actions=actions, setsid=True
        )
    except OSError as error:
        connection.send({"error": pack_error(error)})
        return False
    finally:
        for fd in high:
            os.close(fd)
    pidfd = pidfd_open(child)

    def reap() -> None:
        loop.forget(pidfd)
        os.close(pidfd)
        ended(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    loop.watch(pidfd, reap)
    return True


def main() -> None:
    """Join, tell, wait, tell, and end as the process did."""
    conversation = control.inherited(_CONVERSATION)
    os.set_inheritable(_CONVERSATION, False)
    with open(_REQUEST, "rb") as file:
        process = unpack_process(file.read())
    terminal = (24, 80) if process.terminal else None
    try:
        child = _join(process, Streams(terminal=terminal))
    except Exception as error:  # noqa: BLE001 - whatever it was, the caller must hear of it
        conversation.send({"error": (wire := pack_error(error))})
        _reap()
        sys.exit(int(wire["exit_status"] or OUR_FAILURE))
    for number in (0, 1, 2):  # the container has them: the caller must see when it lets them go
        os.close(number)
    conversation.send({"started": True}, () if child.console is None else (child.console,))
    if child.console is not None:
        os.close(child.console)
    code = _wait(child, conversation)
    _reap()
    conversation.send({"exit": code})
    sys.exit(code)


def _join(process: Process, streams: Streams) -> Child:
    place, joins, *external = sys.argv[1:]
    process = process._replace(cgroups=tuple(json.loads(joins)))
    pid, _, root = place.partition(":")
    if root:
        from tiffin.runtime.exec import join_root  # of one rung only

        return join_root(root, process, streams)
    if not external:
        return join(int(pid), process, streams)
    from tiffin.runtime.external import Runtime  # few containers have another runtime
    from tiffin.runtime.external import join as join_by

    return join_by(Runtime(*json.loads(external[0])), process, streams)


def _reap() -> None:
    if len(sys.argv) > _BY_RUNTIME:
        from tiffin.runtime.external import reap

        reap()


def _wait(child: Child, conversation: Connection) -> int:
    loop = Loop()
    ended = False

    def end() -> None:
        nonlocal ended
        ended = True

    def listen() -> None:
        received: tuple[dict[str, Any], list[int]] | None = conversation.receive()
        if received is None:
            loop.forget(conversation.fileno())  # the caller is gone; the process goes on, as in Docker
        elif "signal" in received[0]:
            child.kill(int(received[0]["signal"]))
        elif "leave" in received[0] and received[1]:
            Output(loop, received[1][0], lambda _data: None, None)

    loop.watch(child.pidfd, end)
    loop.watch(conversation.fileno(), listen)
    while not ended:
        loop.turn()
    loop.close()
    return child.wait()
