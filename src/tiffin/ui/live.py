"""Progress on a terminal: finished steps scroll up, running ones are redrawn in place below them.

Only the lower region is ever redrawn, and it is kept smaller than the screen,
so nothing is lost from the scroll-back and a resize does no harm. Written
in plain escape sequences; all text from elsewhere is sanitised and cut to the width.
"""

from __future__ import annotations

import os
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
from tiffin.ui.failed import Failed
from tiffin.ui.pace import Pace
from tiffin.ui.reporter import amount, headline, why_lines
from tiffin.ui.text import LineSplitter, display_width, fit, sanitise

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

INTERVAL = 0.1  # seconds between two drawings
TAIL = 5  # lines of live output below a running step
KEPT = 2000  # lines of output kept for a step that fails

HIDE_CURSOR, SHOW_CURSOR, CLEAR_BELOW = "\x1b[?25l", "\x1b[?25h", "\x1b[J"
BOLD, DIM, RED, GREEN, CYAN, RESET = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"

_FANCY = {"spin": "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "done": "✔", "cached": "✔", "failed": "✘", "canceled": "-", "bar": "│"}
_ASCII = {"spin": "|/-\\", "done": "+", "cached": "+", "failed": "x", "canceled": "-", "bar": "|"}
_COLOURS = {"done": GREEN, "cached": CYAN, "failed": RED, "canceled": DIM}


class _Step:
    """A running step: its title, its last output, how far it is."""

    def __init__(self, title: str, started: float) -> None:
        self.title = title
        self.started = started
        self.splitters = {1: LineSplitter(), 2: LineSplitter()}
        self.lines: deque[str] = deque(maxlen=KEPT)
        self.amount = ""
        self.pace = Pace()

    def tail(self) -> list[str]:
        """The last lines of output, the unfinished one included."""
        partial = [text for one in self.splitters.values() if (text := sanitise(one.partial))]
        recent = [self.lines[i] for i in range(max(0, len(self.lines) - TAIL), len(self.lines))]
        return [line for line in recent + partial if line.strip()][-TAIL:]


class LiveReporter:
    """Draws running steps with elapsed time and last output; prints each step once when it ends."""

    def __init__(
        self,
        stream: TextIO,
        *,
        colour: bool = True,
        clock: Callable[[], float] = time.monotonic,
        ticking: bool = True,
    ) -> None:
        self._stream = stream
        self._colour = colour
        self._clock = clock
        self._ticking = ticking
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._ticker: threading.Thread | None = None
        self._steps: dict[str, _Step] = {}
        self._begun = clock()
        self._failed = Failed()
        self._output: list[str] = []
        self._ended = 0
        self._drawn = 0
        self._frame = 0
        encoding = (getattr(stream, "encoding", "") or "").lower().replace("-", "")
        self._signs = _FANCY if encoding.startswith("utf") else _ASCII

    def emit(self, event: Event) -> None:
        """Take `event` in; what has to stay on the screen is printed at once."""
        with self._lock:
            match event:
                case StepStarted():
                    self._steps[event.step] = _Step(headline(event), self._clock())
                    self._start_ticker()
                case StepLog() if event.step in self._steps:
                    step = self._steps[event.step]
                    step.lines.extend(
                        sanitise(line) for line in step.splitters[event.stream].feed(event.data)
                    )
                case StepProgress() if event.step in self._steps:
                    step = self._steps[event.step]
                    words = (amount(event), step.pace.told(event, self._clock()))
                    step.amount = "  ".join(filter(None, words))
                case StepWhy() if event.step in self._steps:
                    title = self._steps[event.step].title
                    self._draw([f"{title}: {self._paint(line, CYAN)}" for line in why_lines(event)])
                case StepDone() if event.step in self._steps:
                    self._finish(self._steps.pop(event.step), event)
                case StepUnreached():
                    self._failed.leave(event)
                case Notice():
                    self._draw([notice(event, colour=self._colour)])
                case TerminalLent():
                    self._stop.set()
                    self._close()
                    self._draw([event.message])
                case _:
                    pass

    def say(self, line: str) -> None:
        """Leave a closing line on the screen."""
        with self._lock:
            self._draw([line])

    def __enter__(self) -> Self:
        """The reporter itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing; steps that never ended stay on the screen as canceled.

        Below them is what was not reached, and the output of the step that failed.
        """
        self._stop.set()
        if self._ticker is not None:
            self._ticker.join()
        with self._lock:
            self._close()
            self._write(SHOW_CURSOR)

    def _close(self) -> None:
        left = [self._ended_line(step.title, "canceled", "CANCELED") for step in self._steps.values()]
        self._steps.clear()
        self._draw([*left, *self._failed.remainder(), *self._output])
        self._failed, self._output = Failed(), []

    def tick(self) -> None:
        """Draw the running steps again, unless the terminal is another's."""
        with self._lock:
            if self._stop.is_set():
                return
            self._frame += 1
            self._draw([])

    def _start_ticker(self) -> None:
        if self._ticker is None and self._ticking:
            self._ticker = threading.Thread(target=self._tick_on, name="progress", daemon=True)
            self._ticker.start()

    def _tick_on(self) -> None:
        while not self._stop.wait(INTERVAL):
            self.tick()

    def _finish(self, step: _Step, event: StepDone) -> None:
        self._ended += 1
        for splitter in step.splitters.values():
            step.lines.extend(sanitise(line) for line in splitter.finish())
        right = {
            "done": elapsed(event.seconds),
            "cached": "CACHED",
            "failed": "FAILED",
            "canceled": "CANCELED",
        }
        words = [right[event.status]]
        if event.detail and event.status in ("done", "cached"):
            words.insert(0, fit(sanitise(event.detail), 30))
        self._draw([self._ended_line(step.title, event.status, "  ".join(words))])
        if event.status == "failed" and not self._output:
            bar = self._paint(self._signs["bar"], RED)
            self._output = [f"   {bar} {line}" for line in step.lines]
            if event.detail:
                self._output.append(f"   {bar} {sanitise(event.detail)}")
            self._output[:0] = [f" > {step.title}:"] * bool(self._output)

    def _ended_line(self, title: str, status: str, right: str) -> str:
        return self._row(self._paint(self._signs[status], _COLOURS[status]), title, right)

    def _row(self, sign: str, title: str, right: str) -> str:
        """` ✔ title …                 1.2s`, exactly as wide as the screen allows."""
        width, _ = self._size()
        room = max(8, width - len(right) - 6)
        shown = fit(title, room)
        return f" {sign} {shown}{' ' * (room - display_width(shown))}  {self._paint(right, DIM)}"

    def _region(self) -> list[str]:
        """What is being done, in as many lines as the screen can spare."""
        if not self._steps:
            return []
        width, height = self._size()
        now = self._clock()
        spin = self._signs["spin"]
        sign = self._paint(spin[self._frame % len(spin)], CYAN)
        steps = list(self._steps.values())
        room = max(1, height - 3)
        shown = steps[-room:]
        tail = min(TAIL, max(0, room - len(shown)) // len(shown))
        lines = [f"{self._paint(elapsed(now - self._begun), BOLD)}  {self._ended} done, {len(steps)} running"]
        for step in shown:
            right = "  ".join(part for part in (step.amount, elapsed(now - step.started)) if part)
            lines.append(self._row(sign, step.title, right))
            bar, below = self._signs["bar"], step.tail()[-tail:] if tail else []
            lines += ["   " + self._paint(f"{bar} {fit(line, max(1, width - 6))}", DIM) for line in below]
        return lines

    def _draw(self, above: list[str]) -> None:
        """Replace the region by `above`, which stays, and the region as it is now."""
        region = self._region()
        up = f"\x1b[{self._drawn}A\r" if self._drawn else ""
        cursor = HIDE_CURSOR if region else SHOW_CURSOR if self._drawn else ""
        if not (up or above or region):
            return
        self._write(cursor + up + CLEAR_BELOW + "".join(f"{line}\n" for line in (*above, *region)))
        self._drawn = len(region)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _paint(self, text: str, code: str) -> str:
        return f"{code}{text}{RESET}" if self._colour else text

    def _size(self) -> tuple[int, int]:
        try:
            size = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return 80, 24
        return max(20, size.columns), max(4, size.lines)
