"""Volumes that a container has in its root, for the next who wants them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from tiffin.container import lending, state
from tiffin.container.record import Records
from tiffin.engine.standing import ROOT, directory_of, lock_of, volumes_of
from tiffin.errors import ConflictError
from tiffin.linux.files import lock
from tiffin.runtime.orphans import end_in

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine

__all__ = ["recall"]


def recall(engine: Engine, name: str, wanted_by: str = "") -> None:
    """Have the volume in its place; who calls for a container has its lock.

    Raises ConflictError if another container than `wanted_by` has it, and runs.
    """
    data = volumes_of(engine).path(name)
    loan = lending.find(data)
    if loan is None:
        return
    other = Records(engine.db).find(loan.container)
    if other is None or loan.container == wanted_by:
        lending.bring_back(data)
        return
    with suppress(BlockingIOError), lock(lock_of(engine, other), blocking=False):  # or it is about to start
        if not state.read(directory_of(engine, other)).running:
            end_in(str(directory_of(engine, other) / ROOT))
            lending.bring_back(data)
            return
    raise ConflictError(
        f"the volume {name} is in use by the container {other.name}, and one at a time has it "
        "where nothing can be mounted",
        code="volume-in-use",
        hint=f"stop that one first: tiffin stop {other.name}",
        exit_status=125,
    )
