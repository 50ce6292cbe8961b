"""Limits for a container that runs: its supervisor gives it the cgroup that they are written into.

The group is made as at the start, and the processes are moved into it; what they have used before stays
counted where they were. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
from functools import partial

from tiffin.container.job import pack_error
from tiffin.errors import ConflictError
from tiffin.runtime import members
from tiffin.runtime.cgroups.limits import Write, Writes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tiffin.container.supervisor import Supervisor

__all__ = ["answer"]

_SETTLING = 0.5
"""Seconds after which a process that was on its way into the container has come there."""


def answer(supervisor: Supervisor, message: dict[str, Any]) -> dict[str, object]:
    """See that the container has a group with the controllers of these limits, and return what is answered.

    The limits are not written: whoever asks does that, and can take it back.
    """
    try:
        _move(supervisor, Writes(*(tuple(Write(*write) for write in part) for part in message["limits"])))
    except Exception as error:  # noqa: BLE001 - the container goes on, and the caller must hear of it
        return {"error": pack_error(error)}
    return {"ok": True}


def _move(supervisor: Supervisor, writes: Writes) -> None:
    before = supervisor.standing.cgroups
    if not supervisor.standing.pid:
        raise ConflictError("the container is not running", code="not-running", exit_status=1)
    joins = supervisor.life.grow(writes)
    if joins == before:
        return
    # Written before anyone is moved: whoever comes after us, should we be killed, ends who is in there.
    supervisor.put(cgroups=joins)
    holding = supervisor.holding
    try:
        with contextlib.nullcontext() if holding is None else holding.moved(joins):
            _gather(supervisor)
    except BaseException:
        supervisor.put(cgroups=before)  # else the next one would take them for moved, and limit nobody
        raise
    supervisor.probe_by(joins)
    supervisor.loop.later(_SETTLING, lambda: _late(supervisor, joins))


def _late(supervisor: Supervisor, joins: tuple[str, ...]) -> None:
    """Move also what was on its way in."""
    if supervisor.standing.cgroups == joins:  # and not over, nor in another life
        with contextlib.suppress(OSError):
            _gather(supervisor)


def _gather(supervisor: Supervisor) -> None:
    found = supervisor.standing
    members.gather(found.cgroups, partial(members.pids_of, found.pid))
