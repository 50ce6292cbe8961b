"""A blob on its way here: one stream, however often the connection is cut."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any, Final

from tiffin.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.registry.transport import Answer

_PATIENCE: Final = 5
_ENOUGH: Final = 256 << 10  # what has to arrive for a cut connection to count as progress
_WINDOW: Final = 60.0
_SLOWEST: Final = 32 << 10  # bytes in a window; less than this is a connection that only seems alive


class BlobStream(io.RawIOBase):
    """The bytes of a blob of `size` bytes from `start` on, unverified.

    `reopen(offset)` asks for the bytes from there on; it is called when a connection was cut or has become
    too slow to be true, and `pause(attempt)` before that. The stream ends after `size` bytes and at most one
    more, which tells the reader that the content is too long.
    """

    def __init__(
        self,
        first: Answer,
        size: int,
        reopen: Callable[[int], Answer],
        pause: Callable[[int], object],
        clock: Callable[[], float] = time.monotonic,
        *,
        start: int = 0,
    ) -> None:
        super().__init__()
        self._answer: Answer | None = first
        self._size = size
        self._reopen = reopen
        self._pause = pause
        self._clock = clock
        self._at = start
        self._failures = 0
        self._since_cut = 0
        self._window = (clock(), start)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` with what has come; 0 at the end."""
        target = memoryview(buffer).cast("B")
        if not self._rest:
            self._rest = memoryview(self._more(len(target)))
        part = self._rest[: len(target)]
        target[: len(part)] = part
        self._rest = self._rest[len(part) :]
        return len(part)

    def close(self) -> None:
        """Give the connection back."""
        if not self.closed:
            self._drop()
        super().close()

    def _more(self, wanted: int) -> bytes:
        # One byte too many is enough to know.
        wanted = min(max(wanted, 1), self._size + 1 - self._at)
        while wanted > 0:
            try:
                data = self._some(wanted)
            except UnavailableError as error:
                if error.code != "cut-off":
                    raise
                self._cut(error)
                continue
            self._at += len(data)
            self._since_cut += len(data)
            return data
        return b""

    def _some(self, wanted: int) -> bytes:
        answer = self._answer = self._answer or self._again()
        self._watch_pace()
        data = answer.some(wanted)
        if not data and self._at < self._size:
            raise UnavailableError("the content ended too early", code="cut-off")
        return data

    def _watch_pace(self) -> None:
        begun, at = self._window
        now = self._clock()
        if now - begun >= _WINDOW:
            if self._at - at < _SLOWEST:
                raise UnavailableError("too little of the content arrives", code="cut-off")
            self._window = (now, self._at)

    def _again(self) -> Answer:
        self._window = (self._clock(), self._at)
        return self._reopen(self._at)

    def _cut(self, error: UnavailableError) -> None:
        self._drop()
        self._failures = 1 if self._since_cut >= _ENOUGH else self._failures + 1
        self._since_cut = 0
        if self._failures > _PATIENCE:
            raise error
        self._pause(self._failures - 1)

    def _drop(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None
