"""A descriptor that becomes readable when something in a directory changes.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import ctypes
import os

from tiffin.linux import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100

_init = libc.function("inotify_init1", ctypes.c_int)
_add = libc.function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


class Watch:
    """Tells of files in the directory that are made, written, or renamed into it."""

    def __init__(self, directory: Path) -> None:
        self._fd = libc.check(_init(os.O_CLOEXEC | os.O_NONBLOCK), "watching a directory")
        try:
            events = _MODIFY | _MOVED_TO | _CREATE
            libc.check(_add(self._fd, os.fsencode(directory), events), "watching", str(directory))
        except OSError:
            os.close(self._fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def drain(self) -> None:
        """Forget what was told so far."""
        try:
            while os.read(self._fd, 1 << 16):
                pass
        except BlockingIOError:
            return
