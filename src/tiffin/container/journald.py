"""A container's output in the system's journal, with the fields that Docker's driver gives it.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import socket
import struct

from tiffin.container.logs import Lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.container.logs import Stream

__all__ = ["SOCKET", "JournalWriter"]

SOCKET = "/run/systemd/journal/socket"
_PRIORITY = {"stdout": "6", "stderr": "3"}


class JournalWriter:
    """Sends each line to the journal, with `fields`."""

    def __init__(self, fields: Mapping[str, str], path: str = SOCKET) -> None:
        self._path = path
        self._fields = b"".join(_field(name, value.encode()) for name, value in fields.items())
        self._lines = Lines()
        self._end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def write(self, stream: Stream, data: bytes) -> None:
        """Send what the container wrote."""
        for line in self._lines.cut(stream, data):
            self._send(stream, line)

    def close(self) -> None:
        """Send the beginnings of lines, too, and close."""
        for stream, rest in self._lines.rest():
            self._send(stream, rest)
        self._end.close()

    def _send(self, stream: Stream, line: bytes) -> None:
        whole = line.removesuffix(b"\n")
        message = _field("MESSAGE", whole) + _field("PRIORITY", _PRIORITY[stream].encode()) + self._fields
        if whole == line:  # a part of a line, to be read together with the next
            message += _field("CONTAINER_PARTIAL_MESSAGE", b"true")
        with contextlib.suppress(OSError):  # a journal that is away must not stop the container
            self._end.sendto(message, self._path)


def _field(name: str, value: bytes) -> bytes:
    """A field as the journal's native protocol has it: what has several lines with its length before it."""
    if b"\n" in value:
        return name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return name.encode() + b"=" + value + b"\n"
