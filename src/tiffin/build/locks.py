"""Locks that a build waits for, and how it stops waiting."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tiffin.build.canceled import Canceled
from tiffin.linux.files import lock

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 0.05  # between looks at a lock that somebody else holds


@contextmanager
def patient_lock(path: Path, stop: threading.Event, *, exclusive: bool = True) -> Iterator[None]:
    """Hold the lock at `path`; while somebody else holds it, keep an eye on `stop`. Raises Canceled."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lock(path, exclusive=exclusive, blocking=False))
                break
            except BlockingIOError:
                if stop.wait(_SECONDS):
                    raise Canceled from None
        yield
