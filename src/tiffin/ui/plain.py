"""Progress as plain lines, in the form that BuildKit's plain output has.

Steps are numbered as they begin. Output carries the seconds since its step
began. Steps may run at once: one is shown at a time, the others' lines wait
until it ends or has had its turn, and a step that is taken up again is named again.
The last that a failed build shows is the step that failed, with the end of its output.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Self, TextIO

from tiffin.events import (
    Event,
    Notice,
    StepDone,
    StepLog,
    StepProgress,
    StepStarted,
    StepUnreached,
    StepWhy,
    TerminalLent,
)
from tiffin.ui.columns import elapsed
from tiffin.ui.diagnostic import notice
from tiffin.ui.failed import KEPT, Failed
from tiffin.ui.pace import Pace
from tiffin.ui.reporter import amount, headline, why_lines
from tiffin.ui.text import LineSplitter, sanitise

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

TURN = 1.0  # seconds that a step keeps the output while others wait
PROGRESS_EVERY = 5.0  # seconds between two lines about the same transfer

_ENDINGS = {"done": "DONE", "cached": "CACHED", "failed": "ERROR", "canceled": "CANCELED"}


class _Step:
    """What is known of one step, and its lines that wait to be shown."""

    def __init__(self, number: int, title: str, started: float) -> None:
        self.number = number
        self.title = title
        self.started = started
        self.splitters = {1: LineSplitter(), 2: LineSplitter()}
        self.waiting: list[str] = []
        self.recent: deque[str] = deque(maxlen=KEPT)
        self.progress_shown = started
        self.pace = Pace()


class PlainReporter:
    """Writes lines such as `#5 [build 2/4] RUN make`, `#5 0.312 cc -c a.c`, `#5 DONE 1.2s`."""

    def __init__(
        self, stream: TextIO, *, colour: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._colour = colour
        self._clock = clock
        self._clean = stream.isatty()
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._ended: list[_Step] = []  # those that have not been shown to their end
        self._count = 0
        self._current: _Step | None = None
        self._failed = Failed()
        self._since = 0.0
        self._wrote = False

    def emit(self, event: Event) -> None:
        """Show `event`, or keep it until its step has its turn."""
        with self._lock:
            match event:
                case StepStarted():
                    self._count += 1
                    self._steps[event.step] = _Step(self._count, headline(event), self._clock())
                    self._give_turns()
                case StepLog() if event.step in self._steps:
                    self._log(self._steps[event.step], event)
                case StepProgress() if event.step in self._steps:
                    self._progress(self._steps[event.step], event)
                case StepWhy() if event.step in self._steps:
                    step = self._steps[event.step]
                    step.waiting += [f"#{step.number} {line}" for line in why_lines(event)]
                    self._give_turns()
                case StepDone() if event.step in self._steps:
                    self._done(self._steps[event.step], event)
                case StepUnreached():
                    self._failed.leave(event)
                case Notice():
                    self._print(notice(event, colour=self._colour))
                case TerminalLent():
                    self._close()
                    self._print(event.message)
                case _:
                    pass
            self._stream.flush()

    def say(self, line: str) -> None:
        """Show a closing line."""
        with self._lock:
            self._drain()
            self._print("\n" + line if self._wrote else line)
            self._stream.flush()

    def __enter__(self) -> Self:
        """The reporter itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the lines that still wait, and at last the step that failed."""
        with self._lock:
            self._close()
            self._stream.flush()

    def _close(self) -> None:
        for step in self._steps.values():
            self._take(step, [line for one in step.splitters.values() for line in one.finish()])
        self._drain()
        for line in self._failed.lines():
            self._print(line)
        self._failed = Failed()

    def _log(self, step: _Step, event: StepLog) -> None:
        self._take(step, step.splitters[event.stream].feed(event.data))
        self._give_turns()

    def _take(self, step: _Step, lines: list[str]) -> None:
        at = self._clock() - step.started
        shown = [f"{at:.3f} {sanitise(line) if self._clean else line}" for line in lines]
        step.waiting += [f"#{step.number} {line}" for line in shown]
        step.recent += shown

    def _progress(self, step: _Step, event: StepProgress) -> None:
        now = self._clock()
        pace = step.pace.told(event, now)
        finished = event.total is not None and event.done >= event.total
        if not finished and now - step.progress_shown < PROGRESS_EVERY:
            return
        step.progress_shown = now
        words = (amount(event), pace, elapsed(now - step.started))
        step.waiting.append(f"#{step.number} {' '.join(filter(None, words))}")
        self._give_turns()

    def _done(self, step: _Step, event: StepDone) -> None:
        self._take(step, [line for one in step.splitters.values() for line in one.finish()])
        ending = f"#{step.number} {_ENDINGS[event.status]}"
        if event.status == "done":
            ending += f" {elapsed(event.seconds)}"
            step.waiting += [f"#{step.number} {sanitise(event.detail)}"] if event.detail else []
        elif event.status == "failed":
            ending += f": {sanitise(event.detail)}" if event.detail else ""
            self._failed.fail(step.title, step.recent)
        step.waiting.append(ending)
        del self._steps[event.step]
        if self._current is step or self._current is None:
            self._show(step)
            self._current = None
        else:
            self._ended.append(step)
        self._give_turns()

    def _give_turns(self) -> None:
        """Show what may be shown now."""
        now = self._clock()
        if self._current is not None:
            running = any(step.waiting for step in self._steps.values() if step is not self._current)
            others = running or bool(self._ended)
            if self._current.waiting and not (others and now - self._since >= TURN):
                self._show(self._current)
            if not others or now - self._since < TURN:
                return
            self._show(self._current)
            self._print(f"#{self._current.number} ...")
            self._current = None
        self._next_turn(now)

    def _next_turn(self, now: float) -> None:
        for step in self._ended:
            self._show(step)
        self._ended.clear()
        chosen = next((step for step in self._steps.values() if step.waiting), None)
        if chosen is None and len(self._steps) == 1:
            chosen = next(iter(self._steps.values()))
        if chosen is not None:
            self._show(chosen)
            self._current, self._since = chosen, now

    def _drain(self) -> None:
        if self._current is not None:
            self._show(self._current)
        for step in (*self._ended, *self._steps.values()):
            if step.waiting and step is not self._current:
                self._show(step)
        self._ended.clear()
        self._current = None

    def _show(self, step: _Step) -> None:
        if self._current is not step:
            self._print(f"\n#{step.number} {step.title}" if self._wrote else f"#{step.number} {step.title}")
        for line in step.waiting:
            self._print(line)
        step.waiting.clear()

    def _print(self, line: str) -> None:
        self._wrote = True
        self._stream.write(line + "\n")
