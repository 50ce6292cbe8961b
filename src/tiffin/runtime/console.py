"""The terminal of a container that another runtime has made: it is sent over a socket.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import socket

from tiffin.linux import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Console:
    """Where a runtime sends the terminal that it has made, if one is wanted: a socket beside `place`."""

    def __init__(self, place: str, *, wanted: bool) -> None:
        self._path = f"{place}.sock"
        self._directory = -1
        self._listener: socket.socket | None = None
        if wanted:
            self._directory = os.open(os.path.dirname(place), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(self._short)
            self._listener.listen(1)

    @property
    def _short(self) -> str:
        """The path in less than the 108 bytes that an address has."""
        return f"/proc/{os.getpid()}/fd/{self._directory}/{os.path.basename(self._path)}"

    @property
    def words(self) -> tuple[str, ...]:
        """What the runtime is told of it."""
        return ("--console-socket", self._short) if self._listener is not None else ()

    def receive(self, size: tuple[int, int] | None) -> int | None:
        """Return the terminal, of this size."""
        if self._listener is None:
            return None
        connection, _ = self._listener.accept()
        with connection:
            fd = terminal.receive_fd(connection.fileno())
        if fd is not None and size is not None:
            terminal.set_size(fd, *size)
        return fd

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
            os.close(self._directory)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
