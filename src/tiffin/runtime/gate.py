"""Where a created container waits for its start: a socket, whose file only its owner can reach.

The first process holds the socket and waits for a call. Who starts the container calls, and hears why the
program could not begin, or that the call is over: then it has. The last hooks are run in between.
Standard library only.
"""

from __future__ import annotations

import _socket as socket
import marshal
import os

from tiffin.linux.namespace import close_from
from tiffin.linux.record import NamedTuple
from tiffin.runtime.child import Failure
from tiffin.runtime.hooks import run_hook
from tiffin.runtime.model import HookCall
from tiffin.runtime.program import need_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tiffin.runtime.child import Handshake
    from tiffin.runtime.process import Process


_FIRST = 3


class Gate(NamedTuple):
    """The socket that listens, the hooks `startContainer`, and the state that they are told."""

    listener: int
    hooks: tuple[tuple[Any, ...], ...] = ()
    state: bytes = b""


class Caller:
    """Who starts the container, as the one to whom a failure is reported."""

    def __init__(self, connection: int) -> None:
        self._connection = connection

    def report(self, failure: Failure) -> None:
        """Tell why there will be no program."""
        os.write(self._connection, marshal.dumps(tuple(failure)))


def listen(directory: str, name: str) -> int:
    """Return a socket that listens at `name` in the directory, whose path may be long."""
    with _Short(directory, name) as path:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen(1)
        return listener.detach()


def call(directory: str, name: str) -> Failure | None:
    """Start the container; return why its program could not begin. Raises OSError if nobody waits there."""
    with _Short(directory, name) as path:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
    data = b""
    fd = connection.detach()
    try:
        while part := os.read(fd, 4096):
            data += part
    finally:
        os.close(fd)
    return Failure(*marshal.loads(data)) if data else None  # noqa: S302 - our own process wrote it


def wait_at(process: Process, handshake: Handshake) -> Caller:
    """Tell the launcher that all is ready, wait for the start, and run the hooks; in the first process.

    A command that there is not is an error for the launcher, before anybody starts the container.
    """
    gate = Gate(*process.gate)
    need_command(process)
    handshake.close()
    # What else this copy of the launcher has open, its lock for example, must not stay held meanwhile.
    first = _FIRST + process.preserved
    os.dup2(gate.listener, first, inheritable=False)
    close_from(first + 1)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, first)
    # What `socket.accept` wraps, which is much to load.
    connection, _ = listener._accept()  # type: ignore[attr-defined] # noqa: SLF001
    os.set_inheritable(connection, False)
    listener.close()
    caller = Caller(connection)
    for hook in gate.hooks:
        try:
            run_hook(HookCall(*hook), gate.state)
        except Exception as error:  # noqa: BLE001 - whatever it was, who starts the container must hear of it
            caller.report(Failure(str(error), "run its hooks", 0, 125))
            os._exit(125)
    return caller


class _Short:
    """A path of the socket that fits into the 108 bytes which an address of a socket has."""

    def __init__(self, directory: str, name: str) -> None:
        self._directory = directory
        self._name = name

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{self._name}"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
