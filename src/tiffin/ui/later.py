"""A reporter that is opened when there is something to report."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from tiffin.events import Event
    from tiffin.ui.reporter import Reporter


class Later:
    """Opens the reporter with the first event: a container that simply starts has none to show."""

    def __init__(self, open_reporter: Callable[[], Reporter]) -> None:
        self._open = open_reporter
        self._lock = threading.Lock()
        self._reporter: Reporter | None = None

    def emit(self, event: Event) -> None:
        """Show `event`; called from any thread."""
        self._reporter_now().emit(event)

    def say(self, line: str) -> None:
        """A closing line about the result."""
        self._reporter_now().say(line)

    def __enter__(self) -> Self:
        """The reporter itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the reporter, if there is one."""
        if self._reporter is not None:
            self._reporter.__exit__(kind, value, trace)

    def _reporter_now(self) -> Reporter:
        with self._lock:
            if self._reporter is None:
                self._reporter = self._open().__enter__()
            return self._reporter
