"""The socket by which other commands reach a container's supervisor: small JSON messages, and descriptors.

| request | answer |
| --- | --- |
| `{"verb": "signal", "number": 15}` | `{"ok": true}`; with `"last": true` it is the end |
| the same with `"wake": false` | the same; the signal waits while the container is paused |
| `{"verb": "wait"}` | `{"exit": 0}` when it has ended for good; with `"next": true` at its next end |
| `{"verb": "network", "connect": […]}` or `"disconnect": ID` | `{"ok": true}` or `{"error": …}` |
| `{"verb": "pause"}`, `{"verb": "unpause"}` | `{"ok": true}` or `{"error": …}` |
| `{"verb": "pause", "while": true}` | the same; let go when the caller does so, or is gone |
| `{"verb": "limit", "limits": […]}` | the same: it has a cgroup with the controllers of these limits |
| `{"verb": "change"}` with `name`, `restart` or `limits` | `{"ok": true}`: what a user has changed |
| `{"verb": "exec"}` with stdin, stdout, stderr and a request, and its `command` | see `execute` |
| `{"verb": "attach"}` with stdout and stderr | see `clients` |

A container's processes can be signalled and joined only from its user namespace, which without
root is that of its supervisor; so it is the supervisor that does it, for every rung alike.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

__all__ = ["Connection", "ask", "connect", "listen"]

_NAME = "control"
_LARGEST = 1 << 16
_MOST_DESCRIPTORS = 8
_KIND = socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC


class Connection:
    """One end of a conversation, message by message."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def fileno(self) -> int:
        """The socket."""
        return self._end.fileno()

    def close(self) -> None:
        """End the conversation."""
        self._end.close()

    def send(self, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> bool:
        """Send a message and copies of descriptors; False if the other end is gone."""
        rights = (
            [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        )
        try:
            self._end.sendmsg([json.dumps(message).encode()], rights, socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> tuple[dict[str, Any], list[int]] | None:
        """Return the next message with its descriptors, or None when the other end is gone."""
        room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * 4)
        try:
            data, ancillary, _, _ = self._end.recvmsg(_LARGEST, room, socket.MSG_CMSG_CLOEXEC)
        except OSError:
            return None
        descriptors = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(payload[: len(payload) - len(payload) % 4])
        try:
            message = json.loads(data) if data else None
        except ValueError:
            message = None
        if not isinstance(message, dict):
            for fd in descriptors:
                os.close(fd)
            return None
        return message, list(descriptors)


def pair() -> tuple[Connection, Connection]:
    """Return both ends of a new conversation, for one with a process of our own."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Connection(ours), Connection(theirs)


def inherited(fd: int) -> Connection:
    """Return the end of a conversation that our parent gave us."""
    return Connection(socket.socket(fileno=fd))


def listen(directory: Path) -> socket.socket:
    """Open the socket in `directory`, in the place of one that a dead supervisor left."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    (directory / _NAME).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, _KIND | socket.SOCK_NONBLOCK)
    with _short(directory) as path:
        listener.bind(path)
    listener.listen(16)
    return listener


def accept(listener: socket.socket) -> Connection | None:
    """Return who calls; None if it is another user."""
    try:
        end, _ = listener.accept()
    except OSError:
        return None
    end.setblocking(True)
    credentials = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    if struct.unpack("3i", credentials)[1] != os.geteuid():
        end.close()
        return None
    return Connection(end)


def connect(directory: Path) -> Connection | None:
    """Return a conversation with the supervisor, or None if there is none."""
    end = socket.socket(socket.AF_UNIX, _KIND)
    try:
        with _short(directory) as path:
            end.connect(path)
    except OSError:
        end.close()
        return None
    return Connection(end)


def ask(directory: Path, message: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the supervisor answers to a message; None if there is no supervisor, or it has ended."""
    connection = connect(directory)
    if connection is None:
        return None
    with connection:
        received = connection.receive() if connection.send(message) else None
    return None if received is None else received[0]


def discard(directory: Path) -> None:
    """Remove the socket and its directory."""
    (directory / _NAME).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        directory.rmdir()


class _short:  # noqa: N801 - used as a verb: `with _short(directory) as path:`
    """A path of the socket that fits into the 108 bytes which an address of a socket has."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __enter__(self) -> str:
        self._fd = os.open(self._directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/{_NAME}"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
