"""Wait for containers: until they have ended, are removed, run, or are healthy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tiffin.container import attach
from tiffin.container.conditions import CONDITIONS, await_removed, await_state
from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.engine.standing import control_of, directory_of
from tiffin.errors import FailedError, InvalidError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.engine.engine import Engine

__all__ = ["await_start", "wait"]

_UP = ("running", "paused")


def wait(engine: Engine, names: Sequence[str], condition: str = "not-running") -> list[int]:
    """Wait until each is so; return their exit codes, of one that runs the last.

    Not running is also one that ends only to be started again. Raises FailedError for one that ended, or is
    unhealthy, where it should become healthy.
    """
    if condition not in CONDITIONS:
        raise InvalidError(
            f"--condition {condition}: there is no such condition", code="usage", hint=", ".join(CONDITIONS)
        )
    return [_wait(engine, Records(engine.db).need(name), condition) for name in names]


def await_start(engine: Engine, name: str, timeout: int | None = None) -> None:
    """Return when the container runs and, if it has a health check, is healthy.

    Raises FailedError if it ends, or becomes unhealthy, before; and UnavailableError after `timeout` seconds.
    """
    record = Records(engine.db).need(name)
    condition = "healthy" if record.health else "running"
    _reach(engine, record, condition, timeout, begun=True)


def _wait(engine: Engine, record: Record, condition: str) -> int:
    found = state_of(engine, record)
    match condition:
        case "removed":
            code = _exit(engine, record, found)
            await_removed(directory_of(engine, record))
            return code
        case "not-running" | "next-exit":
            if condition == "next-exit" and not found.running:
                _reach(engine, record, "running", None)
                found = state_of(engine, record)
            return _exit(engine, record, found)
        case _:
            if condition != "running" and not record.health:
                raise _no_check(record)
            return _reach(engine, record, condition, None).exit_code


def _exit(engine: Engine, record: Record, found: State) -> int:
    if not found.running:
        return found.exit_code
    if record.restart:
        told = attach.await_next_exit(control_of(engine, record))
    else:
        told = attach.await_exit(control_of(engine, record), found.supervisor)
    return state_of(engine, record).exit_code if told is None or told < 0 else told


def _reach(
    engine: Engine, record: Record, condition: str, timeout: int | None, *, begun: bool = False
) -> State:
    """Wait for a state that the condition asks for, or that makes it vain; one that has `begun` can end."""

    def reached(found: State) -> bool:
        if condition == "running":
            return found.status in _UP
        return bool(found.health) and found.health[0] == condition and found.status in _UP

    def over(found: State) -> bool:
        sick = condition == "healthy" and bool(found.health) and found.health[0] == "unhealthy"
        ended = found.status == "exited" and (begun or condition != "running")
        return reached(found) or sick or ended

    try:
        found = await_state(directory_of(engine, record), over, timeout)
    except FileNotFoundError:
        raise _vain(record, f"was removed before it was {condition}") from None
    if found is None:
        raise UnavailableError(
            f"the container {record.name} was not {condition} within {timeout} seconds",
            code="wait-timeout",
            hint=f"see 'tiffin logs {record.name}' and 'tiffin inspect {record.name}'",
            exit_status=1,
        )
    if not reached(found):
        if found.status == "exited":
            raise _vain(record, f"ended with {found.exit_code} before it was {condition}")
        raise _vain(record, f"is unhealthy: {_last_words(found)}")
    return found


def _last_words(found: State) -> str:
    from tiffin.container.health import read

    log = read(found.health).log
    text = log[-1].output.strip().replace("\n", " ") if log else ""
    return text[:200] or f"its check ends with {log[-1].exit_code if log else 'nothing'}"


def _vain(record: Record, what: str) -> FailedError:
    return FailedError(
        f"the container {record.name} {what}",
        code="wait-failed",
        hint=f"see 'tiffin logs {record.name}'",
        exit_status=1,
    )


def _no_check(record: Record) -> InvalidError:
    return InvalidError(
        f"the container {record.name} has no health check",
        code="no-health-check",
        hint="give it one: HEALTHCHECK in the Dockerfile, or --health-cmd",
        exit_status=125,
    )
