"""What every kind of progress display is, and what they share (no output of its own)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from tiffin.ui.columns import ago, human_duration, human_size
from tiffin.ui.text import sanitise

if TYPE_CHECKING:
    from types import TracebackType

    from tiffin.events import Event, StepProgress, StepStarted, StepUnreached, StepWhy


class Reporter(Protocol):
    """Shows events until it is closed; used as a context manager around the engine call."""

    def emit(self, event: Event) -> None:
        """Show `event`; called from any thread."""

    def say(self, line: str) -> None:
        """A closing line about the result; not shown where only the result itself is wanted."""

    def __enter__(self) -> Self:
        """The reporter itself."""

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show what is still held back, and leave the terminal as it was."""


def headline(event: StepStarted | StepUnreached) -> str:
    """A step in one line: `[build 2/4] RUN pip install`."""
    name = sanitise(" ".join(event.name.split()))
    return f"[{sanitise(event.group)}] {name}" if event.group and not name.startswith("[") else name


def amount(event: StepProgress) -> str:
    """How far a transfer is: `12.3MB / 45.6MB`, `3 / 7 layers`."""
    if event.unit == "B":
        done, unit = human_size(event.done), ""
        total = human_size(event.total) if event.total is not None else ""
    else:
        done, unit = str(event.done), f" {event.unit}"
        total = str(event.total) if event.total is not None else ""
    return f"{done} / {total}{unit}" if total else f"{done}{unit}"


def why_lines(event: StepWhy) -> list[str]:
    """Why a step hits or misses: `HIT: made 2 days ago, saves 3 minutes`, `MISS: ARG VERSION 1 → 2`."""
    if event.verdict == "miss":
        return [f"MISS: {sanitise(reason)}" for reason in event.reasons]
    made = "made on another machine" if event.age is None else f"made {ago(0, event.age).lower()}"
    return [f"HIT: {made}, saves {human_duration(event.seconds).lower()}"]
