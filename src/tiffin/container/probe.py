"""Run a container's health check again and again, by the same way as `exec` goes.

Each check is a process of its own, for as long as it takes; between checks there is only a timer.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from tiffin.container import control, execute, health
from tiffin.runtime.model import pack_process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.container.loop import Loop, Timer
    from tiffin.runtime.process import Process

__all__ = ["Prober"]

_KILL = 9
_NOT_RUN = -1
_TURNS = 16


class Prober:
    """Checks the container of `entry`, which began at `begun`, until `close`; `changed` hears each result."""

    def __init__(
        self,
        loop: Loop,
        check: health.Check,
        first: Process,
        entry: Sequence[str],
        begun: int,
        changed: Callable[[health.Health], None],
    ) -> None:
        self._loop = loop
        self._check = check
        self._process = pack_process(
            first._replace(args=check.command(), terminal=False, death_signal=_KILL, init=False)
        )
        self._entry = entry
        self._begun = begun
        self._changed = changed
        self.health = health.Health()
        self._running: _Running | None = None
        self._timer: Timer | None = None
        self._schedule()

    def regroup(self, joins: Sequence[str]) -> None:
        """Begin checks in these cgroups from now on."""
        pid, _, *rest = self._entry
        self._entry = (pid, json.dumps(joins), *rest)

    def resume(self) -> None:
        """Check again, after `close`."""
        self._schedule()

    def close(self) -> None:
        """Check no more; a check that runs is killed, and has no result."""
        if self._timer is not None:
            self._timer.cancel()
        if self._running is not None:
            self._running.close()
            self._running = None

    def _schedule(self) -> None:
        wait = health.pause(self._check, self.health, time.time_ns(), self._begun)
        self._timer = self._loop.later(wait / health.SECOND, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._running = _Running(self._loop, self._entry, self._process, self._check.patience, self._end)

    def _end(self, result: health.Result) -> None:
        self._running = None
        self.health = health.judge(self._check, self.health, result, self._begun)
        self._changed(self.health)
        self._schedule()


class _Running:
    """One check: its conversation, what it writes, and its time."""

    def __init__(
        self,
        loop: Loop,
        entry: Sequence[str],
        process: bytes,
        patience: int,
        done: Callable[[health.Result], None],
    ) -> None:
        self._loop = loop
        self._done = done
        self._patience = patience
        self._start = time.time_ns()
        self._written = b""
        self._conversation, there = control.pair()
        self._output, theirs = os.pipe()
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        request = os.memfd_create("process", os.MFD_CLOEXEC)
        os.write(request, process)
        os.lseek(request, 0, os.SEEK_SET)
        try:
            execute.spawn(loop, there, entry, (null, theirs, theirs, request))
        finally:
            there.close()
            for fd in (null, theirs, request):
                os.close(fd)
        os.set_blocking(self._output, False)
        loop.watch(self._output, self._read)
        loop.watch(self._conversation.fileno(), self._hear)
        self._timer = loop.later(patience / health.SECOND, self._late)

    def close(self) -> None:
        """Kill it, if it still runs, and forget it."""
        self._timer.cancel()
        self._conversation.send({"signal": _KILL})
        self._loop.forget(self._conversation.fileno())
        self._conversation.close()
        self._loop.forget(self._output)
        os.close(self._output)

    def _read(self) -> None:
        for _ in range(_TURNS):
            try:
                data = os.read(self._output, 1 << 16)
            except BlockingIOError:
                return
            if not data:
                self._loop.forget(self._output)
                return
            if len(self._written) <= health.CUT:
                self._written += data

    def _hear(self) -> None:
        received = self._conversation.receive()
        message: dict[str, Any] = received[0] if received else {"error": {"message": "it was killed"}}
        if "exit" in message:
            self._finish(int(message["exit"]), "")
        elif "error" in message:
            self._finish(_NOT_RUN, str(message["error"].get("message", "")))

    def _late(self) -> None:
        self._finish(
            _NOT_RUN, f"Health check exceeded timeout ({self._patience / health.SECOND:g}s)", final=False
        )

    def _finish(self, code: int, reason: str, *, final: bool = True) -> None:
        self._read()
        written = self._written
        text = written[: health.CUT].decode("utf-8", "replace") + ("..." if len(written) > health.CUT else "")
        if reason:
            text = f"{reason}: {text}" if text and not final else reason
        self.close()
        self._done(health.Result(self._start, time.time_ns(), code, text))
