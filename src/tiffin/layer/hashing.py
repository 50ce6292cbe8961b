"""SHA-256 on a second core: large pieces go to a thread that hashes while the next are read."""

from __future__ import annotations

import hashlib
import threading
from queue import Queue
from typing import Final, Self

from tiffin.oci.digest import DiffID

LARGE: Final = 1 << 20
"""Pieces of this size are worth a hand-over. Between many small files a second thread only disturbs:
it wants the interpreter's lock just when the first one has let go of it for a system call."""


class BackgroundHash:
    """The digest of everything given to `update`, in its order.

    Used as a context manager: the thread, if one was needed, ends with the block
    whatever happens in it. `size` counts what was given.
    """

    def __init__(self) -> None:
        self.size = 0
        self._state = hashlib.sha256()
        self._queue: Queue[bytes | None] = Queue(maxsize=8)
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._end()

    def update(self, data: bytes) -> None:
        """Add `data`; waits while the thread is too far behind."""
        self.size += len(data)
        if len(data) < LARGE:
            if self._thread is not None:
                self._queue.join()
            self._state.update(data)
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="layer-hash", daemon=True)
            self._thread.start()
        self._queue.put(data)

    def diff_id(self) -> DiffID:
        """The digest of all that was given; nothing may be given after."""
        self._end()
        return DiffID.from_hash(self._state)

    def _end(self) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            self._state.update(data)
            self._queue.task_done()
