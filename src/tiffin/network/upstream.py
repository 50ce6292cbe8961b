"""The way to name servers elsewhere, and the loop in which their answers are waited for.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    class Waiting(Protocol):
        """The loop that the supervisor waits in."""

        def watch(self, fd: int, handler: Callable[[], None], events: int = ...) -> None: ...
        def forget(self, fd: int) -> None: ...
        def later(self, seconds: float, handler: Callable[[], None]) -> Alarm: ...

    class Alarm(Protocol):
        """A moment that may be cancelled."""

        def cancel(self) -> None: ...


__all__ = ["PORT", "open_to"]

PORT = 53


def open_to(server: str, kind: int) -> socket.socket:
    """Return a socket that is connected to the server, or on its way. Raises OSError."""
    family, _, _, _, address = socket.getaddrinfo(server, PORT, type=kind, flags=socket.AI_NUMERICHOST)[0]
    made = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        with contextlib.suppress(BlockingIOError):
            made.connect(address)
    except BaseException:
        made.close()
        raise
    return made
