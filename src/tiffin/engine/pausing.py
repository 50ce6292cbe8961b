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
    from typing import Any

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
    """Within the block the container stands still, if it runs; one that is paused stays so.

    If this process is killed meanwhile, the supervisor lets the container go.
    """
    running = state_of(engine, record).status == "running"
    connection = control.connect(control_of(engine, record)) if running else None
    if connection is None:
        yield
        return
    with connection:
        _checked(_say(connection, {"verb": "pause", "while": True}), record)
        yield
        _say(connection, {"verb": "unpause"})  # it may have been let go, or killed, meanwhile


def _turn(engine: Engine, record: Record, verb: str) -> None:
    pausing.check(verb, state_of(engine, record).status, f"the container {record.name}")
    _checked(control.ask(control_of(engine, record), {"verb": verb}), record)


def _say(connection: control.Connection, message: dict[str, Any]) -> dict[str, Any] | None:
    received = connection.receive() if connection.send(message) else None
    return None if received is None else received[0]


def _checked(answer: dict[str, Any] | None, record: Record) -> None:
    """Raise what the supervisor could not do; without one the container has ended a moment ago."""
    if answer is None:
        pausing.check("pause", "exited", f"the container {record.name}")
    elif "error" in answer:
        raise unpack_error(answer["error"])
