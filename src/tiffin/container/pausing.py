"""Whether a container can be paused, or let go on, as it stands (pure), in Docker's words.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

from tiffin.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.container.state import Status

__all__ = ["check", "refuse_exec"]


def check(verb: str, status: Status, name: str = "the container") -> None:
    """Raise ConflictError unless a container of this status can be told to `pause` or to `unpause`."""
    if verb == "unpause" and status != "paused":
        raise _conflict(f"{name} is not paused", "not-paused", "'tiffin ps' lists those that are")
    if verb == "pause" and status == "paused":
        raise _conflict(f"{name} is already paused", "already-paused", "'tiffin unpause' lets it go on")
    if verb == "pause" and status == "restarting":
        wait = "wait until it runs: tiffin wait --condition running"
        raise _conflict(f"{name} is restarting", "not-running", wait)
    if verb == "pause" and status != "running":
        raise _conflict(f"{name} is not running", "not-running", "only what runs can be paused")


def refuse_exec(name: str = "the container") -> ConflictError:
    """Return the error for a process that is to be started in a container that is paused."""
    return _conflict(
        f"{name} is paused, unpause the container before exec", "paused", "let it go on first: tiffin unpause"
    )


def _conflict(message: str, code: str, hint: str) -> ConflictError:
    return ConflictError(message, code=code, hint=hint, exit_status=1)
