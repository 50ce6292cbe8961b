"""A blob that is still being written, for others to read: they need not wait for its end to begin."""

from __future__ import annotations

import os
import threading

from tiffin.errors import FailedError


class Growing:
    """What one thread writes into a file and one other takes from it, who waits where it ends for now.

    States: *growing*, in which `grown` tells how much there is; then *whole*, from which on there is an end,
    or *given up*, which the taker gets as FailedError. The file stays readable here under any
    name, or none, until `close`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fd = -1
        self._size = 0
        self._at = 0
        self._whole = False
        self._given_up = False

    def begin(self, fd: int) -> None:
        """The file is this one; it is kept open here."""
        self._fd = os.dup(fd)

    def grown(self, size: int) -> None:
        """There are `size` bytes now."""
        with self._changed:
            self._size = size
            self._changed.notify()

    def whole(self) -> None:
        """There will be no more, and all are the right ones."""
        with self._changed:
            self._whole = True
            self._changed.notify()

    def give_up(self) -> None:
        """There will be no more, and what there is is worth nothing."""
        with self._changed:
            self._given_up = True
            self._changed.notify()

    def take(self, size: int) -> bytes:
        """The next `size` bytes, fewer or none only at the end. Raises FailedError once it was given up."""
        with self._changed:
            while self._size - self._at < size and not (self._whole or self._given_up):
                self._changed.wait()
            if self._given_up:
                raise FailedError("a blob was given up while it was written", code="given-up")
            count = min(size, self._size - self._at)
        data = os.pread(self._fd, count, self._at) if count else b""
        self._at += len(data)
        return data

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
