"""A pipe to a reader who must not hold us up: what it has not read waits here.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.container.loop import Loop

__all__ = ["Sink"]


class Sink:
    """The pipe `fd`, which is ours from now on; `moved` is called when what waits has become more or less.

    When nobody reads it any more, what is put in is lost.
    """

    def __init__(self, loop: Loop, fd: int, moved: Callable[[], None]) -> None:
        self._loop = loop
        self._fd = fd
        self._moved = moved
        self._waiting = bytearray()
        self._watched = False
        os.set_blocking(fd, False)

    def __len__(self) -> int:
        """So many bytes wait."""
        return len(self._waiting)

    def put(self, data: bytes) -> None:
        """Write it, as soon as there is room."""
        if self._fd >= 0:
            self._waiting += data
            if self._watched:
                self._moved()
            else:
                self._flush()

    def close(self) -> bytearray:
        """Close the pipe; return what has not gone into it."""
        waiting, self._waiting = self._waiting, bytearray()
        if self._fd >= 0:
            self._watch(wanted=False)
            os.close(self._fd)
            self._fd = -1
        return waiting

    def _flush(self) -> None:
        try:
            del self._waiting[: os.write(self._fd, self._waiting)]
        except BlockingIOError:
            pass  # it is full
        except OSError:
            self.close()  # nobody reads it any more
        if self._fd >= 0:
            self._watch(wanted=bool(self._waiting))
        self._moved()

    def _watch(self, *, wanted: bool) -> None:
        if wanted and not self._watched:
            self._loop.watch(self._fd, self._flush, select.EPOLLOUT)
        elif self._watched and not wanted:
            self._loop.forget(self._fd)
        self._watched = wanted
