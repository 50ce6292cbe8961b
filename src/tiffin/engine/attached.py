"""Containers whose supervisor is a process of its own, and this command the terminal, which may leave."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tiffin.container import control, spawn
from tiffin.container.attach import await_end
from tiffin.container.foreground import Foreground, forwarding
from tiffin.container.record import Records
from tiffin.container.stdio import Stdio, leaving_by_signal
from tiffin.engine.running import state_of
from tiffin.engine.standing import control_of, say
from tiffin.engine.starting import job_of, locked
from tiffin.errors import ConflictError, InvalidError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.container.stdio import Outcome
    from tiffin.engine.engine import Engine
    from tiffin.engine.request import Client
    from tiffin.engine.standing import Made

__all__ = ["attach", "run_attached"]


def run_attached(engine: Engine, made: Made, client: Client, *, interactive: bool) -> int | None:
    """Start the container in the background and be its terminal; return its exit code, None if we left it."""
    record = made.record
    streams = _streams(engine, client, stdin=interactive)
    ours, theirs = control.pair()
    with ours, contextlib.ExitStack() as end:
        stdio = Stdio(ours, streams, tty=record.terminal, owner=True)
        end.enter_context(_signals(stdio, streams, proxy=client.proxy))
        with locked(engine, made), theirs:
            notices, supervisor = spawn.spawn(job_of(engine, made, interactive=interactive), theirs)
        for notice in notices:
            say(engine, notice)
        outcome = stdio.follow(client.keys)
    if outcome.again:
        say(engine, f"{record.name} is started again in the background (--restart {record.restart})")
    elif outcome.code is not None:
        await_end(supervisor)  # which has a little to put away
    return _tell(engine, record, outcome)


def attach(engine: Engine, name: str, client: Client) -> int | None:
    """Be a further terminal of a container that runs; return its exit code, None if we left it."""
    record = Records(engine.db).need(name)
    refuse_unless_running(state_of(engine, record))
    stdin = record.interactive and client.attaches("stdin")
    if record.terminal and client.attaches("stdin") and not os.isatty(0):
        raise InvalidError("the input device is not a TTY", code="no-terminal", hint="use --no-stdin")
    streams = _streams(engine, client, stdin=stdin)
    connection = control.connect(control_of(engine, record))
    if connection is None:
        raise _stopped()
    with connection:
        stdio = Stdio(connection, streams, tty=record.terminal, owner=False)
        with _signals(stdio, streams, proxy=client.proxy and not record.terminal):
            outcome = stdio.follow(client.keys)
    return _tell(engine, record, outcome)


def refuse_unless_running(found: State) -> None:
    """Raise ConflictError, with Docker's words, for a container that nobody can be attached to."""
    if not found.running:
        raise _stopped()
    if found.status == "paused":
        raise ConflictError(
            "You cannot attach to a paused container, unpause it first",
            code="paused",
            hint="'tiffin unpause' does",
        )
    if not found.pid:
        raise ConflictError(
            "You cannot attach to a restarting container, wait until it is running",
            code="not-running",
            hint="'tiffin wait --condition running' does",
        )


def _stopped() -> ConflictError:
    return ConflictError(
        "You cannot attach to a stopped container, start it first",
        code="not-running",
        hint="'tiffin start -a' does both",
    )


def _streams(engine: Engine, client: Client, *, stdin: bool) -> Foreground:
    numbers = [number if client.attaches(name) else -1 for number, name in ((1, "stdout"), (2, "stderr"))]
    own = 0 if stdin and client.attaches("stdin") else -1
    return Foreground(lambda text: say(engine, text), own, *numbers)


def _signals(stdio: Stdio, streams: Foreground, *, proxy: bool) -> AbstractContextManager[None]:
    return forwarding(stdio.signal, streams.say) if proxy else leaving_by_signal()


def _tell(engine: Engine, record: Record, outcome: Outcome) -> int | None:
    if outcome.oom:
        from tiffin.engine.limits import out_of_memory

        say(engine, out_of_memory(record.limits, outcome.peak))
    return outcome.code
