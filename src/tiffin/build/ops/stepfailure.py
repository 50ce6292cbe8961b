"""What is said of a step that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.oneline import short
from tiffin.errors import FailedError
from tiffin.linux.room import room_of
from tiffin.runtime.cgroups.limits import killed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tiffin.build.graph import Run
    from tiffin.oci.runtimespec import Resources
    from tiffin.runtime.cgroups.stats import Usage

_WIDEST = 80
_FULL = (b"No space left on device", b"Disk quota exceeded", b"ENOSPC", b"EDQUOT", b"disk is full")


def step_failure(op: Run, status: int, tail: bytes) -> FailedError:
    """Return the error of a step that ended with `status`, `tail` being the end of its output."""
    command = op.arguments[-1].strip().splitlines()[0] if op.arguments[-1].strip() else " ".join(op.arguments)
    shown = short(command, _WIDEST)
    error = FailedError(f"`{shown}` ended with exit status {status}", code="step-failed", exit_status=status)
    error.output = tail.decode(errors="replace")
    return error


def tell_memory(error: FailedError, resources: Resources | None, usage: Usage) -> None:
    """Add to the error that processes were killed because the limit of memory was reached, if any were."""
    limit = resources.memory.limit if resources and resources.memory else None
    if not usage.killed or limit is None:
        return
    processes = "a process was" if usage.killed == 1 else f"{usage.killed} processes were"
    error.message += f": out of memory, {processes} {killed(limit, usage.peak)}"
    error.hint = "give the steps more with --memory, or let them do less at once"


def tell_room(error: FailedError, tail: bytes, folder: Path, advice: Callable[[], str]) -> None:
    """Add to the error what the disk has left, if the command has complained of that and is there still."""
    if any(words in tail for words in _FULL):
        error.message += f": {room_of(folder).told(folder)}"
        error.hint = error.hint or advice()
