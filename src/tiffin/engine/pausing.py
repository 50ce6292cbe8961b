"""Containers that are held still and let go on: by `pause` and `unpause`, or while something else is done."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.container import control, pausing
from tiffin.container.job import unpack_error
from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.engine.standing import control_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine

__all__ = ["pause", "still", "unpause"]


def pause(engine: Engine, name: str) -> None:
    """Hold all processes of a container still. Raises ConflictError if it does not run, or is paused."""
    _turn(engine, Records(engine.db).need(name), "pause")


def unpause(engine: Engine, name: str) -> None:
    """Let a paused container go on. Raises ConflictError if it is not paused."""
    _turn(engine, Records(engine.db).need(name), "unpause")


@contextmanager
def still(engine: Engine, record: Record) -> Iterator[None]:
    """Within the block the container stands still, if it runs; one that is paused stays so."""
    if state_of(engine, record).status != "running":
        yield
        return
    _turn(engine, record, "pause")
    try:
        yield
    finally:
        if state_of(engine, record).status == "paused":  # it may have been killed, or let go, meanwhile
            _turn(engine, record, "unpause")


def _turn(engine: Engine, record: Record, verb: str) -> None:
    who = f"the container {record.name}"
    pausing.check(verb, state_of(engine, record).status, who)
    answer = control.ask(control_of(engine, record), {"verb": verb})
    if answer is None:
        pausing.check("pause", "exited", who)  # it has ended a moment ago
    elif "error" in answer:
        raise unpack_error(answer["error"])
