"""The caller's side of `exec`: ask the supervisor, then be the terminal of the process that it starts."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, Any

from tiffin.container import control
from tiffin.container.foreground import Foreground, following_size, forwarding
from tiffin.container.job import unpack_error
from tiffin.container.loop import Input, Loop, Output
from tiffin.errors import ConflictError, FailedError
from tiffin.linux import terminal
from tiffin.linux.namespace import pidfd_open

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.container.control import Connection
    from tiffin.container.detachkeys import DetachKeys
    from tiffin.linux.process import Identity

__all__ = ["Execution", "await_end", "await_exit", "await_next_exit", "execute", "send_signal"]

_LOST = 137


class Execution:
    """A process that was asked for: `interactive` passes standard input on, `detach` waits for nothing.

    `command` is what events tell of it. By the bytes `keys`, if there are any, a user at a terminal leaves
    it.
    """

    def __init__(
        self,
        process: bytes,
        *,
        tty: bool = False,
        interactive: bool = False,
        detach: bool = False,
        command: str = "",
        keys: bytes = b"",
    ) -> None:
        self.process = process
        self.command = command
        self.keys = keys
        self.tty = tty
        self.interactive = interactive
        self.detach = detach


def execute(directory: Path, wanted: Execution, streams: Foreground) -> int | None:
    """Start the process in the container with the control socket in `directory`; return its exit code.

    It is None if the user left it, and it goes on. Raises what kept it from starting, with the exit status
    125, 126 or 127.
    """
    connection = control.connect(directory)
    if connection is None:
        raise ConflictError("the container is not running", code="not-running", exit_status=1)
    from tiffin.container.detachkeys import DetachKeys  # `ps`, which has this module, executes nothing

    loop, keys = Loop(), DetachKeys(wanted.keys)
    with contextlib.ExitStack() as end:
        end.callback(loop.close)
        end.enter_context(connection)
        outputs, sink = _ask(connection, wanted, loop, streams)
        # The process begins only when it is joined: signals are passed on from here, and wait for it there.
        end.enter_context(forwarding(lambda number: _pass_on(connection, number), streams.say))
        console = _began(connection)
        if wanted.detach:
            return 0
        if console is not None:
            end.callback(os.close, console)
            outputs.append(Output(loop, os.dup(console), _drop, streams.stdout))
            end.enter_context(following_size(console, streams.stdin))
            if wanted.interactive:
                if os.isatty(streams.stdin):
                    end.enter_context(terminal.RawMode(streams.stdin))
                copier = Input(loop, streams.stdin, console, close_sink=False, through=keys.feed)
                end.callback(copier.close)
        elif sink is not None:
            end.callback(Input(loop, streams.stdin, sink).close)
        code = _until_exit(loop, connection, outputs, keys)
        if code is None and console is not None:
            connection.send({"leave": True}, (console,))  # without a reader its terminal would hang up
        return code


def _ask(
    connection: Connection, wanted: Execution, loop: Loop, streams: Foreground
) -> tuple[list[Output], int | None]:
    """Send the request with pipes as standard streams; a terminal of ours is never handed in."""
    request = os.memfd_create("process", os.MFD_CLOEXEC)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    given, outputs, sink = [null, null, null], [], None
    os.write(request, wanted.process)
    os.lseek(request, 0, os.SEEK_SET)
    if not wanted.tty and not wanted.detach:
        if wanted.interactive:
            given[0], sink = os.pipe()
        for number, tee in ((1, streams.stdout), (2, streams.stderr)):
            ours, given[number] = os.pipe()
            outputs.append(Output(loop, ours, _drop, tee))
    connection.send({"verb": "exec", "command": wanted.command}, (*given, request))
    for fd in {*given, null, request}:
        os.close(fd)
    return outputs, sink


def _began(connection: Connection) -> int | None:
    received = connection.receive()
    if received is None:
        raise FailedError(
            "the container ended before the process began", code="exec-failed", exit_status=_LOST
        )
    message, descriptors = received
    if "error" in message:
        raise unpack_error(message["error"])
    return descriptors[0] if descriptors else None


def _until_exit(loop: Loop, connection: Connection, outputs: list[Output], keys: DetachKeys) -> int | None:
    code: int | None = None

    def hear() -> None:
        nonlocal code
        received: tuple[dict[str, Any], list[int]] | None = connection.receive()
        code = int(received[0]["exit"]) if received and "exit" in received[0] else _LOST

    loop.watch(connection.fileno(), hear)
    while code is None and not keys.found:
        loop.turn()
    for output in outputs if code is not None else ():
        output.drain()
    return code


def _pass_on(connection: Connection, number: int) -> None:
    connection.send({"signal": number})


def _drop(_data: bytes) -> None:
    """What `exec` shows is not in the container's log, as in Docker."""


def send_signal(directory: Path, number: int, *, last: bool = False, wake: bool = True) -> bool:
    """Have the supervisor send the container a signal; False if there is no supervisor.

    With `last` it is a user who ends the container, whatever its restart policy says. One that is paused
    is let go, or without `wake` gets the signal when it is.
    """
    asked = {"verb": "signal", "number": number, "last": last, "wake": wake}
    return control.ask(directory, asked) is not None


def await_exit(directory: Path, supervisor: Identity, timeout: float | None = None) -> int | None:
    """Wait until the supervisor has ended, at most `timeout` seconds: then None.

    Returns the exit code if the supervisor told it, or -1: then the state says it.
    """
    connection = control.connect(directory)
    code = -1
    try:
        if connection is not None and connection.send({"verb": "wait"}):
            ready, _, _ = select.select([connection], [], [], timeout)
            if not ready:
                return None
            received = connection.receive()
            if received is not None:
                code = int(received[0].get("exit", -1))
    finally:
        if connection is not None:
            connection.close()
    return code if await_end(supervisor, timeout) else None


def await_next_exit(directory: Path) -> int | None:
    """Wait until the container has ended, whether or not it is started again; None if nobody knows."""
    connection = control.connect(directory)
    if connection is None:
        return None
    with connection:
        received = connection.receive() if connection.send({"verb": "wait", "next": True}) else None
    return int(received[0]["exit"]) if received and "exit" in received[0] else None


def await_end(supervisor: Identity, timeout: float | None = None) -> bool:
    """Wait for the process itself, which has a little to put away; False if `timeout` seconds pass."""
    if supervisor.pid == os.getpid() or not supervisor.alive:
        return True
    try:
        process = pidfd_open(supervisor.pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        return bool(poll.poll(None if timeout is None else timeout * 1000)) or not supervisor.alive
    finally:
        os.close(process)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(supervisor.pid, os.WNOHANG)  # it may be a child of ours
