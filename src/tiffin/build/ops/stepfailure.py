"""What is said of a step that failed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.build.oneline import short
from tiffin.errors import FailedError
from tiffin.runtime.cgroups.limits import killed

if TYPE_CHECKING:
    from tiffin.build.graph import Run
    from tiffin.oci.runtimespec import Resources
    from tiffin.runtime.cgroups.stats import Usage

_WIDEST = 80


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
