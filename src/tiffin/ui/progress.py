r"""Events as a person or a program reads them: a live terminal, plain lines, JSON lines, or nothing.

Every reporter takes events from any thread. None starts a thread before the
first step begins: the engine has to enter its namespaces while the process has
one thread only.

`rawjson` writes one JSON object a line to standard error. Each has `event` and
`time` (seconds since the epoch), and the fields of its kind:

    {"event": "started", "time": 1700000000.1, "step": "s3", "name": "RUN make", "group": "build 2/4"}
    {"event": "log", "time": …, "step": "s3", "stream": 1, "data": "cc -c a.c\n"}
    {"event": "progress", "time": …, "step": "s1", "done": 1048576, "total": 45600000, "unit": "B"}
    {"event": "done", "time": …, "step": "s3", "status": "cached", "seconds": 0.0, "detail": ""}
    {"event": "unreached", "time": …, "step": "s4", "name": "RUN make test", "group": "build 3/4"}
    {"event": "why", "time": …, "step": "s4", "verdict": "miss", "reasons": ["ARG VERSION 1 → 2"], …}
    {"event": "notice", "time": …, "level": "warning", "message": "…", "file": "Dockerfile", "line": 3,
     "rule": "UndefinedVar"}
    {"event": "terminal-lent", "time": …, "message": "…"}
    {"event": "error", "time": …, "message": "…", "code": "step-failed", "hint": "", "file": "D", "line": 4}

docs/build-progress.md says what each is for; further fields and kinds may be added.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Literal, Self, TextIO

from tiffin.errors import InvalidError, TiffinError
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
from tiffin.ui.diagnostic import colours, notice
from tiffin.ui.failed import KEPT, Failed
from tiffin.ui.reporter import Reporter, headline
from tiffin.ui.text import LineSplitter, sanitise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from tiffin.errors import Where

Mode = Literal["auto", "tty", "plain", "quiet", "rawjson"]
MODES: tuple[Mode, ...] = ("auto", "tty", "plain", "quiet", "rawjson")


def open_reporter(
    mode: Mode, stream: TextIO, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic
) -> Reporter:
    """The reporter for `mode`; `auto` is live on a terminal that can do it, plain elsewhere."""
    from tiffin.ui.plain import PlainReporter

    if mode == "auto":
        mode = "tty" if stream.isatty() and environ.get("TERM", "") not in ("", "dumb") else "plain"
    if mode == "tty" and not stream.isatty():
        raise InvalidError(
            "--progress=tty needs a terminal on standard error, and there is none",
            code="no-terminal",
            hint="use --progress=plain, or leave the option away",
        )
    if mode == "tty":
        from tiffin.ui.live import LiveReporter

        return LiveReporter(stream, colour=colours(stream, environ), clock=clock)
    if mode == "rawjson":
        return JsonReporter(stream)
    if mode == "quiet":
        return QuietReporter(stream, colour=colours(stream, environ))
    return PlainReporter(stream, colour=colours(stream, environ), clock=clock)


class JsonReporter:
    """One JSON object a line, as this module's docstring says."""

    def __init__(self, stream: TextIO, now: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._now = now
        self._lock = threading.Lock()

    def emit(self, event: Event) -> None:
        """Write `event` as a line."""
        with self._lock:
            self._write({"event": _kind(event), "time": round(self._now(), 3), **_fields(event)})

    def say(self, line: str) -> None:
        """Write nothing: a program reads the result from --iidfile or --metadata-file."""

    def __enter__(self) -> Self:
        """The reporter itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what the build failed with; it is shown to people as well, when the command ends."""
        if isinstance(value, TiffinError):
            with self._lock:
                self._write({"event": "error", "time": round(self._now(), 3), **_of_error(value)})

    def _write(self, document: dict[str, object]) -> None:
        import json

        self._stream.write(json.dumps(document, ensure_ascii=True) + "\n")
        self._stream.flush()


def _kind(event: Event) -> str:
    match event:
        case StepStarted():
            return "started"
        case StepLog():
            return "log"
        case StepProgress():
            return "progress"
        case StepDone():
            return "done"
        case StepUnreached():
            return "unreached"
        case StepWhy():
            return "why"
        case Notice():
            return "notice"
        case TerminalLent():
            return "terminal-lent"


def _fields(event: Event) -> dict[str, object]:
    match event:
        case StepLog():
            data = event.data.decode("utf-8", "replace")
            return {"step": event.step, "stream": event.stream, "data": data}
        case Notice():
            rule = {"rule": event.rule} if event.rule else {}
            return {"level": event.level, "message": event.message, **_place(event.where), **rule}
        case _:
            return dict(event._asdict())


def _of_error(error: TiffinError) -> dict[str, object]:
    return {"message": error.message, "code": error.code, "hint": error.hint, **_place(error.where)}


def _place(where: Where | None) -> dict[str, object]:
    return {"file": where.file, "line": where.line} if where else {}


class QuietReporter:
    """Shows nothing but warnings and, of a step that fails, its name and last output.

    What lint rules find is not shown: like Docker's, a quiet build speaks of the Dockerfile only if it fails.
    """

    def __init__(self, stream: TextIO, *, colour: bool = False) -> None:
        self._stream = stream
        self._colour = colour
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[str, LineSplitter, list[str]]] = {}
        self._failed = Failed()

    def emit(self, event: Event) -> None:
        """Remember output, show failures."""
        with self._lock:
            match event:
                case StepStarted():
                    self._steps[event.step] = (headline(event), LineSplitter(), [])
                case StepLog() if event.step in self._steps:
                    _, splitter, lines = self._steps[event.step]
                    lines += splitter.feed(event.data)
                    del lines[:-KEPT]
                case StepDone():
                    self._finish(event)
                case StepUnreached():
                    self._failed.leave(event)
                case Notice() if event.level == "warning" and not event.rule:
                    self._print(notice(event, colour=self._colour))
                case TerminalLent():
                    self._close()
                    self._print(event.message)
                case _:
                    pass

    def say(self, line: str) -> None:
        """Show nothing."""

    def __enter__(self) -> Self:
        """The reporter itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show the step that failed, if one did."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        for line in self._failed.lines():
            self._print(line)
        self._failed = Failed()

    def _finish(self, event: StepDone) -> None:
        step = self._steps.pop(event.step, None)
        if step is None or event.status != "failed":
            return
        name, splitter, lines = step
        self._failed.fail(name, [sanitise(line) for line in [*lines, *splitter.finish()]])

    def _print(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()
