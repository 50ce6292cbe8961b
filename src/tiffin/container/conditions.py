"""Wait until a container stands as it should: its state's file is watched, and its supervisor's life."""

from __future__ import annotations

import contextlib
import os
import select
import time
from typing import TYPE_CHECKING

from tiffin.container import state
from tiffin.linux.inotify import Watch
from tiffin.linux.namespace import pidfd_open

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tiffin.container.state import State

__all__ = ["CONDITIONS", "await_removed", "await_state"]

CONDITIONS = ("not-running", "next-exit", "removed", "running", "healthy", "unhealthy")
_RECHECK = 10.0


def await_state(
    directory: Path, wanted: Callable[[State], bool], timeout: float | None = None
) -> State | None:
    """Return the state once it is as `wanted`; None if it is not so within `timeout` seconds.

    Raises FileNotFoundError if the container is removed meanwhile.
    """
    end = None if timeout is None else time.monotonic() + timeout
    with Watch(directory) as watch:
        while True:
            watch.drain()
            found = state.read(directory)
            if wanted(found):
                return found
            if not directory.exists():
                raise FileNotFoundError(directory)
            if not _next(watch, found, end):
                return None


def await_removed(directory: Path) -> None:
    """Return when the container's directory is gone."""
    with Watch(directory.parent) as watch:
        while directory.exists():
            _next(watch, state.State(), None)
            watch.drain()


def _next(watch: Watch, found: State, end: float | None) -> bool:
    """Wait for a change, or the death of the supervisor; False if the time is over."""
    left = _RECHECK if end is None else min(end - time.monotonic(), _RECHECK)
    if left <= 0:
        return False
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        poll.register(watch.fileno(), select.POLLIN)
        if found.running:
            with contextlib.suppress(ProcessLookupError):
                supervisor = pidfd_open(found.supervisor.pid)
                stack.callback(os.close, supervisor)
                poll.register(supervisor, select.POLLIN)
        poll.poll(left * 1000)
    return True
