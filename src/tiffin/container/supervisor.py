"""One container from start to end: launch, connect, forward, log, answer, and write down how it ended.

A detached container has this as a small process of its own; a foreground `run` does the same in its
own process, with a terminal. When the process that supervises dies, the kernel kills the container.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from tiffin.container import control, state
from tiffin.container.job import Job, pack_error, unpack
from tiffin.container.logs import LogWriter
from tiffin.container.loop import Loop, Output
from tiffin.linux.process import Identity
from tiffin.linux.remove import remove_tree
from tiffin.network.attach import Attachment, attach, write_hosts
from tiffin.runtime import model
from tiffin.runtime.child import Child, Streams
from tiffin.runtime.launch import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.container.foreground import Foreground
    from tiffin.container.logs import Stream
    from tiffin.network.listen import Listener
    from tiffin.network.ports import Forwarder

__all__ = ["Supervisor", "main", "supervise"]

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
_UNPUBLISHED = ("host", "none", "container")


class Supervisor:
    """The container of `job`. `start` it, then `wait` for its end; what was acquired goes in any case."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.loop = Loop()
        self.directory = Path(job.directory)
        self.notices: tuple[str, ...] = ()
        self._log: LogWriter | None = None
        self._listeners: list[Listener] = []
        self._attachment = Attachment()
        self._forwarder: Forwarder | None = None
        self._waiting: list[control.Connection] = []
        self._outputs: list[Output] = []
        self._undo = contextlib.ExitStack()
        self._ended = False
        self._state = state.State()
        self.stdin = -1
        self.child: Child | None = None

    def start(self, tees: tuple[int, int] | None = None) -> None:
        """Return when the container's program has begun; `tees` get a copy of its output.

        Raises what `launch` raises, and ConflictError for a port that is taken; nothing is left then.
        """
        try:
            if self.job.network.ports and self.job.network.mode not in _UNPUBLISHED:
                self._listen()
            self._log = LogWriter(self.directory)
            self._undo.callback(self._log.close)
            self._launch(tees)
            self._publish()
            self._serve()
        except BaseException:
            self._abandon()
            raise

    def wait(self) -> int:
        """Run until the container has ended; return its exit code."""
        child = self.child
        assert child is not None
        while not self._ended:
            self.loop.turn()
        self.loop.forget(child.pidfd)
        code = child.wait()
        for output in self._outputs:
            output.drain()
        self._finish(code)
        return code

    def kill(self, number: int) -> None:
        """Send the container's first process a signal."""
        if self.child is not None:
            self.child.kill(number)

    def _launch(self, tees: tuple[int, int] | None) -> None:
        plan = model.unpack(self.job.plan)
        if self.job.terminal is not None:
            self.child = launch(plan, Streams(terminal=self.job.terminal), self._attach)
            console = self.child.console
            assert console is not None
            self._keep("stdout", os.dup(console), tees[0] if tees else None)
            return
        with contextlib.ExitStack() as theirs:
            stdin = self._stdin(theirs)
            out, err = self._pipe(theirs), self._pipe(theirs)
            self.child = launch(plan, Streams(stdin, out[1], err[1]), self._attach)
        self._keep("stdout", out[0], tees[0] if tees else None)
        self._keep("stderr", err[0], tees[1] if tees else None)

    def _stdin(self, theirs: contextlib.ExitStack) -> int:
        if not self.job.interactive:
            stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        else:
            stdin, self.stdin = os.pipe()
        theirs.callback(os.close, stdin)
        return stdin

    def _pipe(self, theirs: contextlib.ExitStack) -> tuple[int, int]:
        ours, their = os.pipe()
        theirs.callback(os.close, their)
        return ours, their

    def _keep(self, stream: Stream, fd: int, tee: int | None) -> None:
        log = self._log

        def keep(data: bytes) -> None:
            if log is not None:
                with contextlib.suppress(OSError):  # a full disk must not stop the container
                    log.write(stream, data)

        self._outputs.append(Output(self.loop, fd, keep, tee))

    def _attach(self, pid: int) -> None:
        self._attachment = attach(self.job.network, pid)
        self._undo.callback(self._attachment.close)
        self.notices += self._attachment.notices
        hosts = self.job.hosts
        if hosts is not None:
            write_hosts(hosts.path, hosts.name, hosts.extra, self._attachment)

    def _listen(self) -> None:
        from tiffin.network.listen import close_all, listen  # most containers publish nothing

        self._listeners = listen(self.job.network.ports)
        self._undo.callback(close_all, self._listeners)

    def _publish(self) -> None:
        if self._listeners:
            from tiffin.network.ports import Forwarder

            forwarder = Forwarder(self._listeners, self._attachment.namespace, self._attachment.address)
            self._undo.callback(forwarder.close)
            forwarder.start()

    def _serve(self) -> None:
        child = self.child
        assert child is not None
        directory = Path(self.job.control)
        listener = control.listen(directory)
        self._undo.callback(control.discard, directory)
        self._undo.callback(listener.close)
        self.loop.watch(listener.fileno(), lambda: self._greet(control.accept(listener)))
        self.loop.watch(child.pidfd, self._on_end)
        self._state = state.State(
            status="running",
            pid=child.pid,
            supervisor=Identity.own(),
            started=time.time_ns(),
            address=self._attachment.address,
            ports=tuple(tuple(listener.port) for listener in self._listeners),
        )
        state.write(self.directory, self._state)

    def _on_end(self) -> None:
        self._ended = True

    def _greet(self, connection: control.Connection | None) -> None:
        if connection is not None:
            self.loop.watch(connection.fileno(), partial(self._answer, connection))

    def _answer(self, connection: control.Connection) -> None:
        received = connection.receive()
        child = self.child
        if received is None or child is None:
            self.loop.forget(connection.fileno())
            if connection in self._waiting:
                self._waiting.remove(connection)
            connection.close()
            return
        message, descriptors = received
        if message.get("verb") == "signal":
            child.kill(int(message["number"]))
            connection.send({"ok": True})
        elif message.get("verb") == "wait":
            self._waiting.append(connection)
        elif message.get("verb") == "exec":
            self._execute(connection, child.pid, descriptors)
        for fd in descriptors:
            os.close(fd)

    def _execute(self, connection: control.Connection, pid: int, descriptors: list[int]) -> None:
        from tiffin.container import execute  # most containers are never entered

        if len(descriptors) == execute.DESCRIPTORS:
            self.loop.forget(connection.fileno())
            execute.spawn(self.loop, connection, pid, descriptors)
            connection.close()

    def _finish(self, code: int) -> None:
        finished = self._state._replace(
            status="exited", pid=0, exit_code=code, finished=time.time_ns(), address="", ports=()
        )
        self._undo.close()
        with contextlib.suppress(OSError):  # removed, or on a disk that is full: it is exited all the same
            state.write(self.directory, finished)
        for connection in self._waiting:
            connection.send({"exit": code})
            connection.close()
        self._close()

    def _abandon(self) -> None:
        if self.child is not None:
            self.child.end()
        for output in self._outputs:
            output.close()
        self._undo.close()
        self._close()

    def _close(self) -> None:
        if self.child is not None and self.child.console is not None:
            os.close(self.child.console)
            self.child.console = None
        if self.stdin >= 0:
            with contextlib.suppress(OSError):  # the copier of the input may have closed it
                os.close(self.stdin)
            self.stdin = -1
        self.loop.close()


def supervise(job: Job, started: Callable[[Supervisor], None], foreground: Foreground | None = None) -> int:
    """Run the container to its end, here and now, and return its exit code.

    `started` is called when its program has begun. Call it from a process with a single thread.
    """
    supervisor = Supervisor(job)
    if foreground is not None:
        return foreground.run(supervisor, started)
    supervisor.start()
    for number in _FORWARDED:
        signal.signal(number, lambda number, _frame: supervisor.kill(number))
    started(supervisor)
    return supervisor.wait()


def main() -> None:
    """The process of a detached container: `argv` names the descriptors of its job and of its report."""
    source, report = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(report, False)
    with open(source, "rb") as file:
        job = unpack(file.read())

    def tell(message: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError):  # who started us was interrupted; the container goes on
            os.write(report, json.dumps(message).encode())
        os.close(report)

    try:
        supervise(job, lambda supervisor: tell({"started": True, "notices": supervisor.notices}))
    except Exception as error:  # noqa: BLE001 - whatever it was, who started us must hear of it
        with contextlib.suppress(OSError):
            tell({"error": pack_error(error)})
        sys.exit(1)
    for directory in job.remove:
        put_away(Path(directory))


def put_away(directory: Path) -> None:
    """Delete a container's directory, or a volume's: its name is gone at once, what is in it soon after."""
    away = directory.with_name(f".gone-{directory.name}")
    with contextlib.suppress(FileNotFoundError):
        directory.rename(away)
    remove_tree(away)
