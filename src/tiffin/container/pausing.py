"""Pauses of a container: its supervisor holds it still, and lets it go when it is told to, or has to.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import signal

from tiffin.container.job import pack_error
from tiffin.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from tiffin.container.control import Connection
    from tiffin.container.state import Status
    from tiffin.container.supervisor import Supervisor
    from tiffin.runtime.freezer import Freezer

__all__ = ["Holding", "check", "refuse_exec"]

_SETTLING = 0.5
"""Seconds after which a process that was on its way into the container has come there."""


def check(verb: str, status: Status, name: str = "the container") -> None:
    """Raise ConflictError unless a container of this status can be told to `pause` or to `unpause`. Pure."""
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


class Holding:
    """The pauses of one life of the container that `supervisor` has; `close` it when that has ended."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._freezer: Freezer | None = None
        self._holder: Connection | None = None

    def answer(self, caller: Connection, message: dict[str, Any]) -> dict[str, object]:
        """Do what was asked for, and return what is answered; with `while` it is held for this caller."""
        verb = str(message["verb"])
        try:
            check(verb, self._supervisor.standing.status)
            if verb == "pause":
                self._freeze()
            else:
                self._thaw()
        except Exception as error:  # noqa: BLE001 - whatever it was, who asked must hear of it
            return {"error": pack_error(error)}
        if message.get("while"):
            self._holder = caller
        return {"ok": True}

    def gone(self, caller: Connection) -> None:
        """Let go what was held for a caller who has gone."""
        if caller is self._holder:
            self._thaw()

    def signalled(self, number: int, *, wake: bool) -> None:
        """See to a signal that the container got: it may have to be let go for it."""
        if self._supervisor.standing.status == "paused":
            if wake:
                self._thaw()
            elif number == signal.SIGCONT:
                self._hold_on()  # where it is held by signals, this was one too much

    @contextlib.contextmanager
    def moved(self, joins: Sequence[str]) -> Iterator[None]:
        """Within the block the processes are moved into these groups, and stay as they are, held or free.

        A group of version 2 that was made to hold them is given up: a process is in one of a hierarchy.
        """
        from tiffin.runtime.freezer import Unified, unified_of

        old, supervisor = self._freezer, self._supervisor
        new = unified_of(joins)
        if new is None or not isinstance(old, Unified) or not old.place:
            yield
            return
        held = supervisor.standing.status == "paused"
        if held:
            new.freeze()
        try:
            yield
        except BaseException:
            if held:
                self._hold_on()  # it takes back who was moved already: nobody would let them go there
                new.thaw()
            raise
        self._freezer = new
        supervisor.put(freezer="")
        old.close()

    def close(self) -> None:
        """Take back what was made for it; no process is left."""
        if self._freezer is not None:
            self._freezer.close()
            self._freezer = None
        self._holder = None

    def _freeze(self) -> None:
        from tiffin.runtime.freezer import freezer_of

        supervisor = self._supervisor
        if self._freezer is None:
            standing = supervisor.standing
            self._freezer = freezer_of(standing.pid, standing.cgroups)
            # Written before anything is held: whoever comes after us, should we be killed, lets it go.
            supervisor.put(freezer=self._freezer.place)
        supervisor.check_health(wanted=False)
        try:
            self._freezer.freeze()
            supervisor.put(status="paused")
        except BaseException:
            self._thaw()
            raise
        supervisor.job.note("pause")
        supervisor.loop.later(_SETTLING, self._hold_on)

    def _hold_on(self) -> None:
        """Hold also what has come into the container since."""
        if self._freezer is None or self._supervisor.standing.status != "paused":
            return
        try:
            self._freezer.freeze()
        except Exception:  # noqa: BLE001 - it says that it could not, and that nothing is held now
            self._thaw()

    def _thaw(self) -> None:
        supervisor = self._supervisor
        self._holder = None
        if self._freezer is not None:
            self._freezer.thaw()
        was = supervisor.standing.status
        with contextlib.suppress(OSError):  # on a disk that is full it goes on all the same
            supervisor.put(status="running")
        if was == "paused":
            supervisor.job.note("unpause")
        supervisor.check_health(wanted=True)


def _conflict(message: str, code: str, hint: str) -> ConflictError:
    return ConflictError(message, code=code, hint=hint, exit_status=1)
