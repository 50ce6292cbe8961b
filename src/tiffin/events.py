"""Progress as values: rooms emit them, `ui` shows them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from tiffin.errors import Where


class StepStarted(NamedTuple):
    """A unit of work begins: `step` is its identity in later events, `group` a stage or image."""

    step: str
    name: str
    group: str = ""


class StepLog(NamedTuple):
    """Output of a running step, as it came."""

    step: str
    data: bytes
    stream: Literal[1, 2] = 1


class StepProgress(NamedTuple):
    """Work within a step: units done and, where known, the total (bytes unless `unit` says else)."""

    step: str
    done: int
    total: int | None = None
    unit: str = "B"


class StepDone(NamedTuple):
    """A step ended; `seconds` is its duration, `detail` a few words (a size, a digest, why)."""

    step: str
    status: Literal["done", "cached", "failed", "canceled"]
    seconds: float = 0.0
    detail: str = ""


class StepUnreached(NamedTuple):
    """A step that never began, because another one failed; named as by StepStarted."""

    step: str
    name: str
    group: str = ""


class StepWhy(NamedTuple):
    """Why a step was remembered or was not; it comes between the step's beginning and its end.

    A hit saves `seconds`, and was made `age` seconds ago, None if on another machine. A miss has `reasons`.
    """

    step: str
    verdict: Literal["hit", "miss"]
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0
    age: float | None = None


class Notice(NamedTuple):
    """Something worth a line that is no failure; `rule` is the lint rule that is broken, if one is."""

    message: str
    level: Literal["info", "warning"] = "warning"
    where: Where | None = None
    rule: str = ""


class TerminalLent(NamedTuple):
    """The terminal is another program's until the end of the work: after the message nothing is drawn."""

    message: str


Event = StepStarted | StepLog | StepProgress | StepDone | StepUnreached | StepWhy | Notice | TerminalLent
Emit = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """An `Emit` for callers that show nothing."""
